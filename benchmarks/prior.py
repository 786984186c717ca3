"""What the shape priors must show, measured: every row prints the figure, what is asked, and whether it holds.

    python benchmarks/prior.py [--prior axon] [--each 500] [--draws 10000] [--json] [--markdown FILE]
    python benchmarks/prior.py --variants [--each 200] [--markdown FILE]

Every family's held-out shapes are drawn anew with a seed that no training has. The linear basis of the same size is the
principal components of the same training set in the same coefficients, weighted alike. With `--variants`: other ways
to make the prior "axon", trained alike and for a shorter time, by what they hold and what a reconstruction reaches.
"""

import argparse
import json
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from checks import prior_variants
from checks.prior_variants import HEADINGS
from checks.table import Row, markdown
from numpy.typing import NDArray

from napari_remidi.shapes import Prior
from napari_remidi.shapes.families import EFFECTS, closed_axon, open_axon
from napari_remidi.shapes.learning import Learner
from napari_remidi.shapes.quality import folded, normality, vertex_errors
from napari_remidi.shapes.recipe import RECIPES
from napari_remidi.shapes.training import drawn

Floats = NDArray[np.float64]
SEED = 20_000
MEAN, MIXED, TAIL, BETWEEN = 0.05, 0.08, 0.25, 1.5
HALVES = np.arange(1.5, 8, 1.0)


def coefficients(prior: Prior, count: int, seed: int, kind: str | None = None, **fixed: float) -> Floats:
    """(N, C) of axons that no training has seen."""
    rng = np.random.default_rng(seed)
    axons = [open_axon(rng) if prior.ends == "open" else closed_axon(rng, kind, **fixed) for _ in range(count)]
    return np.array([prior.basis.coefficients(axon.fields, np.log(axon.length)) for axon in axons])


def linear_basis(prior: Prior, shapes: int) -> Prior:
    """Principal components of as many shapes of the same family, in as many dimensions."""
    recipe = replace(RECIPES[prior.name], latent=prior.latent_dim, width=0, axons=shapes, held_out=1)
    learner = Learner(recipe, torch.as_tensor(drawn(recipe).coefficients[:-1], dtype=torch.float32))
    return replace(prior, network=learner.finished())


def decoding(prior: Prior, linear: Prior, each: int) -> list[Row]:
    kinds = EFFECTS if prior.ends == "closed" else ("open",)
    rows = []
    for index, kind in enumerate(kinds):
        unseen = coefficients(prior, each, SEED + index, kind)
        errors, of_linear = vertex_errors(prior, unseen), vertex_errors(linear, unseen)
        bound = MIXED if kind == "mixed" else MEAN
        rows += [
            Row(f"{kind}: decode error, mean", errors.mean(), "µm", at_most=bound),
            Row(f"{kind}: decode error, 99th percentile", np.quantile(errors, 0.99), "µm", at_most=TAIL),
            Row(f"{kind}: over the linear basis's", errors.mean() / of_linear.mean(), "×", at_most=1.0),
        ]
    return rows


def between(prior: Prior, each: int) -> list[Row]:
    """Bead counts between whole ones; bends and fans at odd angles, as good as at round ones."""

    def error(seed: int, kind: str, **fixed: float) -> float:
        return float(vertex_errors(prior, coefficients(prior, each, seed, kind, **fixed)).mean())

    size = {"radius": 1.2, "length": 24.0}
    whole = np.mean([error(k, "rippled", beads=k, **size) for k in range(1, 9)])
    half = np.mean([error(int(10 * k), "rippled", beads=k, **size) for k in HALVES])
    rows = [Row("half bead counts: decode error over whole ones'", half / whole, "×", at_most=BETWEEN)]
    for kind, name, top in (("bent", "bend", 120), ("hinged", "fan", 60), ("sheared", "shear", 0.5)):
        trained, others = (
            np.mean([error(90 + i, kind, **{name: share * top}) for i, share in enumerate(shares)])
            for shares in ((0.2, 0.4, 0.6, 0.8), (0.27, 0.51, 0.73, 0.93))
        )
        rows.append(Row(f"{kind} at odd {name}s: over round ones'", others / trained, "×", at_most=BETWEEN))
    return rows


def latent(prior: Prior, draws: int, held_out: int) -> list[Row]:
    found = normality(prior.encode_coefficients(coefficients(prior, held_out, SEED - 1)))
    share = folded(prior, prior.draws(draws, SEED)).mean()
    kept = folded(prior, prior.sample(draws, SEED)).mean()
    return [
        Row(f"{draws} draws of N(0, I): share that folds", share, at_most=1e-3),
        Row("after the guard", kept, at_most=0.0),
        Row(f"{held_out} encoded shapes: largest deviation of the mean from 0", found["latent_mean"], at_most=0.1),
        Row("largest deviation of the covariance from I", found["latent_covariance"], at_most=0.1),
        Row("largest Kolmogorov-Smirnov distance of a dimension from N(0, 1)", found["latent_ks"]),
    ]


def shipped(prior: Prior) -> list[Row]:
    path = Path(sys.modules[Prior.__module__].__file__ or "").parent / "weights" / f"{prior.name}.safetensors"
    times = []
    for _ in range(5):
        began = time.perf_counter()
        Prior.load(path)
        times.append(time.perf_counter() - began)
    return [
        Row("size of the file", path.stat().st_size / 1e6, "MB", at_most=6.0),
        Row("time to load it", min(times), "s", at_most=0.3),
    ]


def variants(arguments: argparse.Namespace) -> None:
    """Print the comparison, a row as soon as it is there."""
    table = [HEADINGS, ("---",) * len(HEADINGS)]
    for row in prior_variants.lines(Prior.load("axon"), arguments.each, arguments.shapes):
        table.append(tuple(row))
        print("; ".join(row), flush=True)
    if arguments.markdown:
        lines = ["| " + " | ".join(row) + " |" for row in table]
        arguments.markdown.write_text("\n".join(["## Ways to make a prior", "", *lines, ""]), encoding="utf-8")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prior", default="axon,axon-open", help="separated by commas")
    parser.add_argument("--each", type=int, default=500, help="held-out shapes of a family")
    parser.add_argument("--draws", type=int, default=10_000)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--markdown", type=Path, help="write the table to this file too")
    parser.add_argument("--variants", action="store_true", help="compare ways to make a prior instead")
    parser.add_argument("--shapes", type=int, default=3, help="of each of the paper's kinds, that variants reconstruct")
    arguments = parser.parse_args()
    if arguments.variants:
        variants(arguments)
        return
    sections = {}
    for name in arguments.prior.split(","):
        prior = Prior.load(name)
        linear = linear_basis(prior, 15_000)
        parts = [decoding(prior, linear, arguments.each), latent(prior, arguments.draws, 10_000), shipped(prior)]
        if prior.ends == "closed":
            parts.insert(1, between(prior, max(20, arguments.each // 10)))
        sections[name] = [row for part in parts for row in part]
        if not arguments.json:
            print(f"\n{name}: latent {prior.latent_dim}, {len(prior.tube.straight(1, 10))} nodes")
            print("\n".join(row.line() for row in sections[name]), flush=True)
    if arguments.json:
        print(json.dumps({name: [row.to_dict() for row in rows] for name, rows in sections.items()}, indent=1))
    if arguments.markdown:
        arguments.markdown.write_text("\n".join(markdown(f"Prior {name}", rows) for name, rows in sections.items()))
    sys.exit(any(row.holds is False for rows in sections.values() for row in rows))


if __name__ == "__main__":
    main()
