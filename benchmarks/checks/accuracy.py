"""Sphere, slab and closed cylinder against exact matrix formalism, as their meshes are refined."""

from collections.abc import Callable, Iterator

import exact
import numpy as np
from numpy.typing import NDArray

from checks import shapes
from checks.table import Options, Row
from napari_remidi.physics import TetMesh, simulate
from napari_remidi.scan import Protocol

Floats = NDArray[np.float64]
Truth = Callable[[Protocol], Floats]

DIFFUSIVITY = 2.0
NODES = (400, 1500, 5000, 15000)
COARSE_BOUND, FINE_BOUND, ORDER = 2e-3, 5e-4, 1.8
STRONG = [500.0, 1000.0, 2000.0, 4000.0, 7000.0, 10000.0]
WEAK = [500.0, 1000.0, 2000.0, 3000.0]
TIMINGS = [(5.0, 10.0, STRONG), (5.0, 25.0, STRONG), (5.0, 50.0, STRONG), (30.0, 40.0, WEAK), (1.0, 40.0, WEAK)]
DIRECTIONS = 5


def random_directions(count: int, seed: int = 0) -> Floats:
    vectors = np.random.default_rng(seed).standard_normal((count, 3))
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def listed_protocol(directions: Floats) -> Protocol:
    """Every listed timing and b-value in every direction."""
    rows = [(b, u, delta, Delta) for delta, Delta, bvals in TIMINGS for b in bvals for u in directions]
    b, vectors, delta, Delta = (np.array(column) for column in zip(*rows, strict=True))
    return Protocol.pgse(b, vectors, delta, Delta)


def ball_truth(radius: float) -> Truth:
    def truth(protocol: Protocol) -> Floats:
        timing = np.stack([protocol.bvals, protocol.delta, protocol.Delta])
        (b, delta, Delta), which = np.unique(timing, axis=1, return_inverse=True)
        return exact.sphere(radius, b, delta, Delta, DIFFUSIVITY)[which.ravel()]

    return truth


def cylinder_truth(radius: float, height: float) -> Truth:
    return lambda p: exact.cylinder(radius, height, [0, 0, 1], p.bvals, p.bvecs, p.delta, p.Delta, DIFFUSIVITY)


def box_truth(lengths: tuple[float, float, float]) -> Truth:
    return lambda p: exact.box(lengths, p.bvals, p.bvecs, p.delta, p.Delta, DIFFUSIVITY)


SLAB, BOX = (9.0, 1.5, 1.5), (9.0, 4.0, 4.0)
EVERYWHERE = np.vstack([random_directions(DIRECTIONS), np.eye(3)[[0, 2]]])
CASES: dict[str, tuple[Callable[[int], TetMesh], Truth]] = {
    "sphere R 3 µm": (lambda nodes: shapes.sphere(3.0, nodes), ball_truth(3.0)),
    "sphere R 5 µm": (lambda nodes: shapes.sphere(5.0, nodes), ball_truth(5.0)),
    "slab 9 µm, gradient across": (lambda nodes: shapes.box(SLAB, nodes), box_truth(SLAB)),
    "cylinder R 3 × 9 µm": (lambda nodes: shapes.cylinder(3.0, 9.0, nodes), cylinder_truth(3.0, 9.0)),
    "cylinder R 5 × 9 µm": (lambda nodes: shapes.cylinder(5.0, 9.0, nodes), cylinder_truth(5.0, 9.0)),
    "box 9 × 4 × 4 µm": (lambda nodes: shapes.box(BOX, nodes), box_truth(BOX)),
}
DIRECTIONS_OF = {"slab 9 µm, gradient across": np.eye(3)[:1]}
REPORTED = ("box 9 × 4 × 4 µm",)  # nothing is asked of it


def errors_by_nodes(name: str, options: Options) -> dict[int, float]:
    """Largest error over all timings, b-values and directions, by the mesh's number of nodes."""
    mesh_of, truth = CASES[name]
    protocol = listed_protocol(DIRECTIONS_OF.get(name, EVERYWHERE))
    expected = truth(protocol)
    found = {}
    for nodes in NODES[:2] if options.quick else NODES:
        mesh = mesh_of(nodes)
        signal = simulate(mesh, protocol, DIFFUSIVITY, device=str(options.device))
        found[len(mesh.points)] = float(np.abs(signal - expected).max())
    return found


def observed_order(errors: dict[int, float]) -> float:
    """Slope of log error over log of the elements' size (nodes to the power of −1/3)."""
    size = -np.log(list(errors)) / 3
    return float(np.polyfit(size, np.log(list(errors.values())), 1)[0])


def rows(options: Options) -> Iterator[Row]:
    for name in CASES:
        errors = errors_by_nodes(name, options)
        asked = name not in REPORTED
        usual = min(errors, key=lambda nodes: abs(nodes - 1500))
        for nodes, error in errors.items():
            bound = COARSE_BOUND if nodes == usual else FINE_BOUND if nodes == max(errors) else None
            yield Row(f"{name}, {nodes} nodes: largest error", error, at_most=bound if asked else None)
        order = observed_order(errors)
        yield Row(f"{name}: observed order", order, "in h", at_least=ORDER if asked else None)
