"""The Jacobian against central differences of the whole simulation, solved again from its modes up."""

from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor

from checks import shapes
from checks.accuracy import DIFFUSIVITY, random_directions
from checks.table import Options, Row
from napari_remidi.physics import TetMesh
from napari_remidi.physics.encoding.pgse import pgse_signal
from napari_remidi.physics.encoding.pgse_jacobian import pgse_sensitivity
from napari_remidi.physics.encoding.pulses import pulse_blocks
from napari_remidi.physics.matrices.assembly import Topology
from napari_remidi.physics.reduction.modes import sparse_modes
from napari_remidi.physics.reduction.reduced import ReducedModel, reduced_model, reduced_tangents
from napari_remidi.scan import Protocol

TURNS_MODES, LEAVES_MODES = 1e-2, 1e-4
MODES, STEP = 120, 1e-3
VANISHING = 0.1  # of the largest derivative by any parameter; smaller ones are small by symmetry
CPU = torch.device("cpu")


def bent(mesh: TetMesh, seed: int) -> TetMesh:
    """A random smooth deformation: no symmetry left."""
    rng = np.random.default_rng(seed)
    size = np.ptp(mesh.points, axis=0).max()
    waves = np.sin(mesh.points / size @ rng.uniform(-4, 4, (3, 3)) + rng.uniform(0, 6, 3))
    return TetMesh(mesh.points + 0.04 * size * waves, mesh.tetrahedra)


SHAPES: dict[str, Callable[[], TetMesh]] = {
    "round cylinder R 3 × 9": lambda: shapes.cylinder(3.0, 9.0, 600),
    "ball R 3": lambda: shapes.sphere(3.0, 600),
    "cube 5": lambda: shapes.box((5.0, 5.0, 5.0), 500),
    "random shape 1": lambda: bent(shapes.cylinder(2.0, 9.0, 600), 1),
    "random shape 2": lambda: bent(shapes.cylinder(2.0, 9.0, 600), 2),
}


def velocities(points: Tensor) -> dict[str, Tensor]:
    x, y, z = points.T
    rng = np.random.default_rng(3)
    waves, phases = torch.tensor(rng.uniform(-0.8, 0.8, (3, 3))), torch.tensor(rng.uniform(0, 6, 3))
    return {
        "length": torch.stack([0 * x, 0 * y, z], 1) / 9,
        "calibre": torch.stack([x, y, 0 * z], 1) / 3,
        "bend": torch.stack([z**2 / 20, 0 * x, 0 * x], 1),
        "every vertex (random field)": torch.sin(points @ waves.T + phases) / 3,
    }


def jacobian_protocol() -> Protocol:
    bvals, Delta = np.resize([1000.0, 3000.0, 6000.0, 10000.0], 24), np.resize([10.0, 25.0, 50.0], 24)
    return Protocol.pgse(bvals, random_directions(24), 5.0, Delta)


def difference(derivative: Tensor, slope: Tensor, scale: float = 0.0) -> float:
    """Largest difference, relative to the largest derivative; to `scale` where symmetry leaves hardly any."""
    return float((derivative - slope).abs().max()) / max(float(slope.abs().max()), scale)


def rows(options: Options) -> Iterator[Row]:
    protocol = jacobian_protocol()
    blocks, count = pulse_blocks(protocol, CPU, torch.float64), len(protocol)
    for name, shape in list(SHAPES.items())[:: 4 if options.quick else 1]:
        mesh = shape()
        topology, points = Topology.of(mesh.tetrahedra), torch.tensor(mesh.points - mesh.points.mean(axis=0))

        def model_of(where: Tensor, topology: Topology = topology) -> ReducedModel:
            entries = topology.entries(where)
            return reduced_model(topology, entries, *sparse_modes(topology, entries, MODES))

        def signal(model: ReducedModel, diffusivity: float = DIFFUSIVITY, rotation: Tensor | None = None) -> Tensor:
            return pgse_signal(model, blocks, diffusivity, rotation, count)

        model, fields = model_of(points), velocities(points)
        tangents = reduced_tangents(topology, model, points, torch.stack(list(fields.values())))
        spin = torch.tensor([[0, -0.3, 0.2], [0.3, 0, 0.5], [-0.2, -0.5, 0]], dtype=torch.float64)
        turn = torch.linalg.matrix_exp(0.7 * spin)
        found = pgse_sensitivity(model, tangents, blocks, DIFFUSIVITY, turn, count, exact=True)
        pairs: dict[str, tuple[Tensor, Tensor]] = {}
        for column, (what, velocity) in enumerate(fields.items()):
            above, below = (signal(model_of(points + sign * STEP * velocity), rotation=turn) for sign in (1, -1))
            pairs[what] = found.shape[:, column], (above - below) / (2 * STEP)
        above, below = (signal(model, DIFFUSIVITY + sign * STEP, turn) for sign in (1, -1))
        pairs["diffusivity"] = found.diffusivity, (above - below) / (2 * STEP)
        above, below = (signal(model, rotation=torch.linalg.matrix_exp(sign * STEP * spin) @ turn) for sign in (1, -1))
        predicted = (found.direction * (torch.tensor(-protocol.bvecs) @ spin.T)).sum(1)
        pairs["rotation"] = predicted, (above - below) / (2 * STEP)
        scale = VANISHING * max(float(slope.abs().max()) for _, slope in pairs.values())
        for what, (derivative, slope) in pairs.items():
            bound = LEAVES_MODES if what in ("diffusivity", "rotation") else TURNS_MODES
            yield Row(f"{name} µm: {what}", difference(derivative, slope, scale), at_most=bound)
    yield from tissue_rows(options)


def tissue_rows(options: Options) -> Iterator[Row]:
    """Every kind of parameter of a substrate by torch.autograd: vertices, D, tensor D, T2, κ, relaxivity."""
    from layered_meshes import stack

    from napari_remidi.physics.autograd import DifferentiableSimulator
    from napari_remidi.physics.substrate import Compartment, Substrate

    wall = ("0", "1")
    parts = {"0": Compartment(1.0, 60.0, 0.8), "1": Compartment(2.0, 90.0, 1.2)}
    substrate = Substrate(stack([4, 4], [3.0, 4.0], 3.0), parts, {wall: 0.05}, 0.01)
    listed = jacobian_protocol()
    protocol = Protocol.pgse(listed.bvals, listed.bvecs, listed.delta, listed.Delta, te=70.0)
    simulator = DifferentiableSimulator(substrate, protocol, modes=MODES, device="cpu", dtype=torch.float64)
    points = torch.tensor(substrate.mesh.points)
    one = torch.ones((), dtype=torch.float64)
    tensor = torch.diag(torch.tensor([0.3, 0.1, -0.2], dtype=torch.float64))
    kinds: dict[str, Callable[[Tensor], Tensor]] = {
        "vertices": lambda s: simulator(points + s * torch.sin(points)),
        "diffusivity of a compartment": lambda s: simulator(diffusivity={"0": 1.0 + s}),
        "diffusion tensor": lambda s: simulator(diffusivity={"1": 2 * torch.eye(3, dtype=torch.float64) + s * tensor}),
        "T2": lambda s: simulator(t2={"0": 60 * (1 + s)}),
        "permeability": lambda s: simulator(permeability={wall: 0.05 * (1 + s)}),
        "relaxivity": lambda s: simulator(relaxivity={"1": 0.01 * (1 + s)}),
    }
    for what, function in kinds.items():
        with torch.no_grad():
            slope = (function(STEP * one) - function(-STEP * one)) / (2 * STEP)
        parameter = torch.zeros((), dtype=torch.float64, requires_grad=True)
        values = function(parameter)
        derivative = torch.stack([torch.autograd.grad(value, parameter, retain_graph=True)[0] for value in values])
        yield Row(f"two slabs and a wall, by autograd: {what}", difference(derivative, slope), at_most=TURNS_MODES)
