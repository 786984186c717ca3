"""Whether error bars and warnings can be believed: axons that the prior knows, and signals that no axon gives.

    python benchmarks/calibration.py [--axons 200] [--others 20] [--snr 50] [--seed 60000] [--prior axon]
        [--record FILE [--resume]] [--markdown FILE] [--device cpu]

Axons are drawn from the closed families with seeds that no training has, simulated on other, finer meshes with the
paper's protocol, given Rician noise, and reconstructed with their orientation unknown. Counted is how often the truth
lies within the 90 % intervals: of the quantities, and of the surface, the share of its nodes whose distance to the true
surface is at most 1.645 of their standard deviations. The others are half of one axon's signal and half of another's
that crosses it at 20° or more, spheres, and random numbers: counted is how often they are flagged. The exit status is 1
if a row fails.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np
import trimesh
from checks.members import Member, ball, crossing, nothing
from checks.table import Row, markdown
from numpy.typing import NDArray
from scipy import stats

from napari_remidi.inversion import Inverter
from napari_remidi.results import Axon, chamfer, inverter_for, reconstruct
from napari_remidi.scan import Protocol
from napari_remidi.scan.normalisation import normalised, series_of
from napari_remidi.shapes.quantities import UNITS, quantities

Floats = NDArray[np.float64]
SEED = 60_000
DIFFUSIVITY = 2.0  # µm²/ms, known
NINETY = stats.norm.ppf(0.95)
ASKED = ("radius_mean", "radius_min", "radius_max", "length", "bend", "bead_amplitude")
BETWEEN, FLAGGED = (85.0, 95.0), 95.0  # %
OTHERS: dict[str, Callable[[Protocol, float, list[int]], Floats]] = {
    "two crossing axons": crossing,
    "spheres": ball,
    "random numbers": nothing,
}
FALSE_ALARMS = 5.0  # %


def noisy(clean: Floats, protocol: Protocol, snr: float, seed: list[int]) -> Floats:
    noise = np.random.default_rng([*seed, 1]).standard_normal((2, len(clean))) / snr
    return normalised(np.hypot(clean + noise[0], noise[1]), series_of(protocol), str(seed))


def within(axon: Axon, member: Member, inverter: Inverter) -> dict[str, Any]:
    """For each quantity its value, interval and truth; for the surface, the share of its nodes within theirs."""
    prior = inverter.prior
    truths = quantities(member.points(prior.tube), prior.tube, prior.ends)
    found = {name: {**axon.solution.quantities[name], "truth": float(truths[name])} for name in UNITS}
    truth = member.mesh(prior.tube.halved()).surface
    return {"quantities": found, "vertices": covered_nodes(axon, truth), "chamfer_um": chamfer(axon.surface, truth)}


def covered_nodes(axon: Axon, truth: trimesh.Trimesh) -> float:
    """Share of the surface's nodes that are within 90 % of the true surface, or of its twin, whichever is nearer."""
    nodes = axon.surface.vertices - axon.surface.centroid
    away = min(
        (trimesh.proximity.closest_point(truth, sign * nodes + truth.centroid)[1] for sign in (1, -1)), key=np.mean
    )
    return float((away <= NINETY * axon.surface_sd).mean())


def case(kind: str, index: int, inverter: Inverter, arguments: argparse.Namespace) -> dict[str, Any]:
    seed = [arguments.seed, ["axon", *OTHERS].index(kind), index]
    member = Member.drawn(seed) if kind == "axon" else None
    clean = (
        member.signal(inverter.protocol, DIFFUSIVITY) if member else OTHERS[kind](inverter.protocol, DIFFUSIVITY, seed)
    )
    axon = reconstruct(noisy(clean, inverter.protocol, arguments.snr, seed), inverter.protocol, inverter=inverter)
    record = {
        "kind": kind,
        "index": index,
        "seed": arguments.seed,
        "snr": arguments.snr,
        "latent": axon.solution.latent.tolist(),
        "fit": axon.solution.fit,
        "explained": axon.solution.fit["explained"],
        "seconds": axon.solution.seconds,
    }
    return record if member is None else {**record, "family": member.axon.kind, **within(axon, member, inverter)}


def coverage(records: list[dict[str, Any]]) -> Iterator[Row]:
    between = dict(zip(("at_least", "at_most"), BETWEEN, strict=True))
    for name in UNITS:
        known = [q for q in (record["quantities"][name] for record in records) if q["low"] is not None]
        inside = 100 * float(np.mean([q["low"] <= q["truth"] <= q["high"] for q in known]))
        what = f"{name.replace('_', ' ')}: truth within its 90 % interval, of {len(known)}"
        yield Row(what, inside, "%", **(between if name in ASKED else {}))
    vertices, alarms, distances = (
        np.mean([measure(record) for record in records], dtype=float)
        for measure in (itemgetter("vertices"), lambda r: r["explained"] is False, itemgetter("chamfer_um"))
    )
    yield Row("nodes of the surface within theirs", 100 * vertices, "%", **between)
    yield Row("axons flagged as not explained", 100 * alarms, "%", at_most=FALSE_ALARMS)
    yield Row("Chamfer distance, mean", distances, "µm")


def main() -> int:
    """Reconstruct all and count; 1 if a row fails."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--axons", type=int, default=200)
    parser.add_argument("--others", type=int, default=20, help="of each kind")
    parser.add_argument("--snr", type=float, default=50.0)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--prior", default="axon")
    parser.add_argument("--record", type=Path, help="keep every case's figures in this file, one JSON object a line")
    parser.add_argument("--resume", action="store_true", help="skip the cases that the record holds")
    parser.add_argument("--markdown", type=Path, help="write the tables to this file too")
    parser.add_argument("--device", default="cpu")
    arguments = parser.parse_args()
    if arguments.record and not arguments.resume:
        arguments.record.write_text("")
    earlier = {}
    if arguments.record and arguments.record.exists():
        earlier = {(r["kind"], r["index"]): r for r in map(json.loads, arguments.record.read_text().splitlines())}
    known = {"noise_sd": 1 / arguments.snr, "diffusivity": DIFFUSIVITY, "device": arguments.device}
    inverter = inverter_for(Protocol.paper(), arguments.prior, **known)
    records = []
    for kind in ["axon", *OTHERS]:
        for index in range(arguments.axons if kind == "axon" else arguments.others):
            record = earlier.get((kind, index))
            if record is None:
                record = case(kind, index, inverter, arguments)
                if arguments.record:
                    with arguments.record.open("a") as file:
                        file.write(json.dumps(record) + "\n")
                figures = f"Chamfer {record.get('chamfer_um', np.nan):.3f} µm, {record['seconds']:.1f} s"
                print(f"  {kind} {index}: explained {record['explained']}, {figures}", flush=True)
            records.append(record)
    axons = [r for r in records if r["kind"] == "axon"]
    tables = {"Intervals": list(coverage(axons)) if axons else []}
    others = [(kind, [r["explained"] is False for r in records if r["kind"] == kind]) for kind in OTHERS]
    tables["What no axon gives"] = [
        Row(f"{kind} flagged, of {len(flagged)}", 100 * float(np.mean(flagged)), "%", at_least=FLAGGED)
        for kind, flagged in others
        if flagged
    ]
    for title, rows in tables.items():
        print(f"\n{title}\n" + "\n".join(row.line() for row in rows))
    if arguments.markdown:
        counts = f"--axons {arguments.axons} --others {arguments.others} --seed {arguments.seed}"
        command = f"`python benchmarks/calibration.py {counts}`, SNR {arguments.snr:g}"
        text = "\n".join(markdown(title, rows) for title, rows in tables.items())
        arguments.markdown.write_text(f"# Calibration\n\n{command}.\n\n{text}", encoding="utf-8")
    return int(any(row.holds is False for rows in tables.values() for row in rows))


if __name__ == "__main__":
    sys.exit(main())
