"""Walls that spins may pass, against exact layers and their limits."""

from collections.abc import Iterator

import exact
import numpy as np
from exact_layers import Layer, shells, slabs
from layered_meshes import concentric, stack

from checks.table import Options, Row
from napari_remidi.physics import Simulator, TetMesh
from napari_remidi.physics.substrate import Compartment, Substrate
from napari_remidi.scan import Protocol

BOUND, CONSERVED = 3e-3, 1e-10
SMALL = 1e-5  # tolerance for modes and time steps, beside which only the mesh's error is left
DELTA, ECHO = 5.0, 70.0
ALIKE = [Layer(3.0), Layer(5.0)]
UNLIKE = [Layer(3.0, 1.0, 60.0, 0.7), Layer(2.0, 3.0, 30.0, 1.0), Layer(4.0, 2.0, np.inf, 1.3)]
STACKS = {
    "two slabs, κ 0.005": (ALIKE, [0.005]),
    "two slabs, κ 0.05": (ALIKE, [0.05]),
    "two slabs, κ 0.5": (ALIKE, [0.5]),
    "three slabs of different D, T2, density, κ 0.02 and 0.2": (UNLIKE, [0.02, 0.2]),
}
BALLS = {
    "ball in a shell, κ 0.01": ([Layer(3.0), Layer(2.0)], 0.01),
    "ball in a shell, κ 0.1": ([Layer(3.0), Layer(2.0)], 0.1),
    "ball in a shell of different D, T2, density, κ 0.05": (
        [Layer(3.0, 1.0, 80.0, 1.2), Layer(2.0, 2.5, 40.0, 0.8)],
        0.05,
    ),
}


def layered_protocol(direction: list[float]) -> Protocol:
    b, Delta = (a.ravel() for a in np.meshgrid([500.0, 2000.0, 5000.0, 10000.0], [10.0, 25.0, 50.0], indexing="ij"))
    return Protocol.pgse(b, np.tile(direction, (len(b), 1)), DELTA, Delta, te=ECHO)


def substrate_of(mesh: TetMesh, layers: list[Layer], walls: list[float]) -> Substrate:
    parts = {str(k): Compartment(layer.diffusivity, layer.t2, layer.density) for k, layer in enumerate(layers)}
    return Substrate(mesh, parts, {(str(k), str(k + 1)): kappa for k, kappa in enumerate(walls)})


def signal(substrate: Substrate, protocol: Protocol, options: Options, tolerance: float = 1e-8) -> np.ndarray:
    return Simulator(substrate, tolerance=tolerance, device=str(options.device)).run(protocol).signal


def rows(options: Options) -> Iterator[Row]:
    protocol = layered_protocol([1, 0, 0])
    timing = exact.strength(protocol.bvals, DELTA, protocol.Delta), DELTA, protocol.Delta
    for name, (layers, walls) in STACKS.items():
        substrate = substrate_of(stack([12] * len(layers), [layer.thickness for layer in layers]), layers, walls)
        truth = slabs(layers, walls).signal(*timing, ECHO if substrate.relaxes else None)
        yield Row(f"{name} µm/ms", largest(signal(substrate, protocol, options, SMALL), truth), at_most=BOUND)

    ball = concentric([4, 2] if options.quick else [5, 3], [3.0, 2.0])
    for name, (layers, kappa) in BALLS.items():
        substrate = substrate_of(ball, layers, [kappa])
        truth = shells(layers, [kappa]).signal(*timing, ECHO if substrate.relaxes else None)
        oblique = layered_protocol([0, 0.6, 0.8])
        yield Row(f"{name} µm/ms", largest(signal(substrate, oblique, options, SMALL), truth), at_most=BOUND)

    mesh = stack([5, 5], [3.0, 4.0])
    closed = signal(Substrate(mesh), protocol, options)
    nearly = signal(Substrate(mesh, permeability={("0", "1"): 1e-9}), protocol, options)
    yield Row("κ → 0: 1e-9 µm/ms against a closed wall", largest(nearly, closed), at_most=BOUND)
    one = signal(Substrate(TetMesh(mesh.points, mesh.tetrahedra)), protocol, options)
    absent = signal(Substrate(mesh, permeability={("0", "1"): np.inf}), protocol, options)
    yield Row("κ = ∞ against the mesh without a wall", largest(absent, one), at_most=CONSERVED)
    thin = signal(Substrate(mesh, permeability={("0", "1"): 1e6}), protocol, options)
    yield Row("κ → ∞: 1e6 µm/ms against no wall", largest(thin, one), at_most=BOUND)

    still = Protocol.pgse([0.0], [[0, 0, 0]], DELTA, 50.0, te=ECHO)
    unlike = [Layer(layer.thickness, layer.diffusivity, np.inf, layer.density) for layer in UNLIKE]
    leaking = substrate_of(stack([5] * 3, [3.0, 2.0, 4.0]), unlike, [0.02, 0.2])
    yield Row("mass conserved without relaxation", largest(signal(leaking, still, options), 1.0), at_most=CONSERVED)


def largest(found: np.ndarray, expected: np.ndarray | float) -> float:
    return float(np.abs(found - expected).max())
