"""How good a preview is, and the network baseline of the ReMiDi paper beside it.

    python benchmarks/preview.py [--axons 48] [--shapes 6000] [--steps 3000] [--snr 50] [--preview FILE] [--json]

Axons of the prior's families that no training has seen, simulated on a mesh four times finer than the template, in
random orientations that are not told, with the paper's protocol and Rician noise; the diffusivity is known. Prints the
Chamfer distance to the true surface and the time of one voxel. The baseline is a multilayer perceptron from the signal
to the mesh's vertices, trained on the same axons, with random orientations as ours and, as in the paper, with one
orientation for all.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable
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
        mesh, rotation, _ = fine_axon(rng, None, {})
        if upright:
            mesh = TetMesh(mesh.points @ rotation, mesh.tetrahedra)
        signal = Simulator(mesh, DIFFUSIVITY, tolerance=TOLERANCE, device="cpu").run(protocol).signal
        noise = rng.standard_normal((2, len(protocol))) / snr
        found.append(Case(mesh.surface, np.hypot(signal + noise[0], noise[1])))
    return found


def measured(name: str, mesh: Callable[[Floats], trimesh.Trimesh], given: list[Case], asked: bool = False) -> list[Row]:
    """Distances and seconds of one method."""
    mesh(given[0].signal)  # what a first call prepares is not a voxel's time
    distances, seconds = [], []
    for case in given:
        began = time.perf_counter()
        surface = mesh(case.signal)
        seconds.append(time.perf_counter() - began)
        distances.append(chamfer(surface, case.surface))
    quantiles = np.quantile(distances, [0.5, 0.9])
    return [
        Row(f"{name}: Chamfer, median", quantiles[0], "µm", at_most=ASKED_CHAMFER if asked else None),
        Row(f"{name}: Chamfer, mean", np.mean(distances), "µm"),
        Row(f"{name}: Chamfer, 90th percentile", quantiles[1], "µm"),
        Row(f"{name}: time a voxel, median", np.median(seconds), "s", at_most=ASKED_SECONDS if asked else None),
    ]


def trained(protocol: Protocol, prior: Prior, shapes: int, steps: int) -> Preview:
    """A preview, as the command line makes it."""
    for step in Preview.train(protocol, prior, Settings(diffusivity=DIFFUSIVITY), shapes, steps):
        if isinstance(step, Preview):
            return step
    raise AssertionError("a training ends with a preview")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--axons", type=int, default=48)
    parser.add_argument("--shapes", type=int, default=6000)
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--snr", type=float, default=50.0)
    parser.add_argument("--preview", type=Path, help="a trained one; by default one is trained")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    protocol, prior = Protocol.paper(), Prior.load("axon")
    began = time.perf_counter()
    if arguments.preview is None:
        preview = trained(protocol, prior, arguments.shapes, arguments.steps)
    else:
        preview = Preview.load(arguments.preview, protocol, prior, Settings(diffusivity=DIFFUSIVITY))
    rows = [Row("training of the preview", time.perf_counter() - began, "s")]
    turned = cases(protocol, arguments.axons, arguments.snr)
    rows += measured("preview, orientation unknown", lambda signal: preview.mesh(signal).surface, turned, asked=True)
    *_, examples = simulate_examples(prior, protocol, DIFFUSIVITY, arguments.shapes)
    assert isinstance(examples, Examples)
    for name, given, upright in (
        ("perceptron, orientation unknown", turned, False),
        ("perceptron, orientation given", cases(protocol, arguments.axons, arguments.snr, upright=True), True),
    ):
        perceptron = Perceptron.trained(examples, prior, protocol, arguments.steps, upright)
        rows += measured(name, perceptron.surface, given)
    print(
        json.dumps([row.to_dict() for row in rows], indent=1) if arguments.json else "\n".join(r.line() for r in rows)
    )
    sys.exit(any(row.holds is False for row in rows))


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
