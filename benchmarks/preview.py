"""How good a preview is, and the network baseline of the ReMiDi paper beside it.

    python benchmarks/preview.py [--axons 48] [--shapes 6000] [--steps 3000] [--snr 50] [--preview FILE] [--save FILE]
        [--json]

Axons of the prior's families that no training has seen, simulated on a mesh four times finer than the template, in
random orientations that are not told, with the paper's protocol and Rician noise; the diffusivity is known. Prints the
Chamfer distance to the true surface and the time of one voxel. The baseline is a multilayer perceptron from the signal
to the mesh's vertices, trained on the same axons, with random orientations as ours and, as in the paper, with one
orientation for all; every row of it is asked to be no better than ours.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import trimesh
from checks.perceptron import Perceptron
from checks.table import Row
from numpy.typing import NDArray

from napari_remidi.inversion.preview import Preview
from napari_remidi.inversion.preview.examples import Examples, simulate_examples
from napari_remidi.inversion.settings import Settings
from napari_remidi.physics import Simulator, TetMesh
from napari_remidi.results import chamfer
from napari_remidi.scan import Protocol
from napari_remidi.shapes import Prior
from napari_remidi.shapes.families import EFFECTS, SHARES
from napari_remidi.shapes.phantom import DIFFUSIVITY, TOLERANCE, fine_axon

Floats = NDArray[np.float64]
SEED = 30_000
ASKED_CHAMFER, ASKED_SECONDS = 0.4, 0.1


@dataclass(frozen=True)
class Case:
    """A true surface and its noisy signal."""

    surface: trimesh.Trimesh
    signal: Floats


def cases(protocol: Protocol, count: int, snr: float, upright: bool = False) -> list[Case]:
    """Unseen axons, in random orientations or all end to end along z."""
    found = []
    for index in range(count):
        rng = np.random.default_rng([SEED, index])
        mesh, rotation, _ = fine_axon(rng, str(rng.choice(EFFECTS, p=SHARES)), {})
        if upright:
            mesh = TetMesh(mesh.points @ rotation, mesh.tetrahedra)
        signal = Simulator(mesh, DIFFUSIVITY, tolerance=TOLERANCE, device="cpu").run(protocol).signal
        noise = rng.standard_normal((2, len(protocol))) / snr
        found.append(Case(mesh.surface, np.hypot(signal + noise[0], noise[1])))
    return found


def measured(mesh: Callable[[Floats], trimesh.Trimesh], given: list[Case]) -> dict[str, float]:
    """Distances and seconds of one method."""
    mesh(given[0].signal)  # what a first call prepares is not a voxel's time
    distances, seconds = [], []
    for case in given:
        began = time.perf_counter()
        surface = mesh(case.signal)
        seconds.append(time.perf_counter() - began)
        distances.append(chamfer(surface, case.surface))
    return {
        "Chamfer, median": float(np.median(distances)),
        "Chamfer, mean": float(np.mean(distances)),
        "Chamfer, 90th percentile": float(np.quantile(distances, 0.9)),
        "time a voxel, median": float(np.median(seconds)),
    }


def simulated(protocol: Protocol, prior: Prior, shapes: int) -> Examples:
    """What preview and perceptron learn from."""
    *_, examples = simulate_examples(prior, protocol, DIFFUSIVITY, shapes)
    assert isinstance(examples, Examples)
    return examples


def fitted(examples: Examples, protocol: Protocol, prior: Prior, steps: int) -> Preview:
    """A preview, as the command line makes it."""
    for step in Preview.fit(examples, protocol, prior, Settings(diffusivity=DIFFUSIVITY), steps):
        if isinstance(step, Preview):
            return step
    raise AssertionError("a training ends with a preview")


def rows(arguments: argparse.Namespace) -> Iterator[Row]:
    """The table, row by row."""
    protocol, prior = Protocol.paper(), Prior.load("axon")
    examples = None
    if arguments.preview is None:
        began = time.perf_counter()
        examples = simulated(protocol, prior, arguments.shapes)
        yield Row("simulation of the axons to learn from", time.perf_counter() - began, "s")
        began = time.perf_counter()
        preview = fitted(examples, protocol, prior, arguments.steps)
        yield Row("training of the preview", time.perf_counter() - began, "s")
    else:
        preview = Preview.load(arguments.preview, protocol, prior, Settings(diffusivity=DIFFUSIVITY))
    if arguments.save is not None:
        preview.save(arguments.save)
    turned = cases(protocol, arguments.axons, arguments.snr)
    ours = measured(lambda signal: preview.mesh(signal).surface, turned)
    for name, figure in ours.items():
        unit, asked = ("s", ASKED_SECONDS) if "time" in name else ("µm", ASKED_CHAMFER if "median" in name else None)
        yield Row(f"preview, orientation unknown: {name}", figure, unit, at_most=asked)
    examples = examples or simulated(protocol, prior, arguments.shapes)
    for name, given, upright in (
        ("perceptron, orientation unknown", turned, False),
        ("perceptron, orientation given", cases(protocol, arguments.axons, arguments.snr, upright=True), True),
    ):
        perceptron = Perceptron.trained(examples, prior, protocol, arguments.steps, upright)
        for what, figure in measured(perceptron.surface, given).items():
            lowest = None if "time" in what else ours[what]
            yield Row(f"{name}: {what}", figure, "s" if "time" in what else "µm", at_least=lowest)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--axons", type=int, default=48)
    parser.add_argument("--shapes", type=int, default=6000)
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--snr", type=float, default=50.0)
    parser.add_argument("--preview", type=Path, help="a trained one; by default one is trained")
    parser.add_argument("--save", type=Path, help="write the preview")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    found = []
    for row in rows(arguments):
        found.append(row)
        if not arguments.json:
            print(row.line(), flush=True)
    if arguments.json:
        print(json.dumps([row.to_dict() for row in found], indent=1))
    sys.exit(any(row.holds is False for row in found))


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
