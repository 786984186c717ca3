"""Free decay before the first pulse and after the second."""

from dataclasses import replace

import meshes
import numpy as np
import pytest
import torch
from layered_meshes import stack

from napari_remidi.physics.encoding import pgse, pgse_jacobian
from napari_remidi.physics.encoding.care import FINE
from napari_remidi.physics.encoding.pgse import pgse_signal
from napari_remidi.physics.encoding.pgse_jacobian import pgse_sensitivity
from napari_remidi.physics.encoding.pulses import PulseBlock, pulse_blocks
from napari_remidi.physics.matrices.assembly import Topology
from napari_remidi.physics.matrices.pieces import pieces
from napari_remidi.physics.reduction.modes import sparse_modes
from napari_remidi.physics.reduction.reduced import ReducedModel, reduced_model, reduced_tangents
from napari_remidi.physics.substrate import Compartment, Substrate
from napari_remidi.scan import Protocol

CPU = torch.device("cpu")
COUNT = 6
FINER = replace(FINE, fewest=256)
EVERY = 1000  # modes: as many as the mesh has nodes


@pytest.fixture(scope="module")
def blocks() -> list[PulseBlock]:
    bvecs = np.random.default_rng(1).standard_normal((COUNT, 3))
    bvecs /= np.linalg.norm(bvecs, axis=1, keepdims=True)
    protocol = Protocol.pgse(np.tile([1000.0, 3000.0], COUNT // 2), bvecs, 5.0, 12.0)
    return pulse_blocks(protocol, CPU, torch.float64, np.arange(COUNT) * 2.0)


@pytest.fixture
def fine_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """The mesh's fastest modes need short steps in the adjoint's integral; what is tested here is what stays then."""
    monkeypatch.setattr(pgse, "MOST_STEPS", 512)
    monkeypatch.setattr(pgse_jacobian, "FINE", FINER)


@pytest.mark.usefixtures("fine_steps")
def test_every_derivative_knows_about_it(blocks: list[PulseBlock]) -> None:
    """Spins that start in a window spread before the pulse; with every mode of the mesh the Jacobian is exact."""
    mesh = meshes.box((3, 2, 2), (6.0, 3.0, 3.0))
    topology, points = Topology.of(mesh.tetrahedra), torch.tensor(mesh.points)
    density = torch.where(points[:, 0] == 2, 1.0, 0.2).double()
    velocity = torch.stack([0 * points, torch.sin(points).roll(1, dims=1)])
    velocity[0, :, 2] = points[:, 0] / 4

    def model_of(where: torch.Tensor) -> ReducedModel:
        entries = topology.entries(where)
        return reduced_model(topology, entries, *sparse_modes(topology, entries, EVERY), density)

    def signal(where: torch.Tensor, diffusivity: float = 2.0) -> np.ndarray:
        return pgse_signal(model_of(where), blocks, diffusivity, care=FINER).numpy()

    model = model_of(points)
    tangents = reduced_tangents(topology, model, points, velocity)
    change = pgse_sensitivity(model, tangents, blocks, 2.0, None, COUNT, exact=True)
    h = 1e-4
    for index, way in enumerate(velocity):
        slope = (signal(points + h * way) - signal(points - h * way)) / (2 * h)
        assert change.shape[:, index].numpy() == pytest.approx(slope, abs=1e-5 * np.abs(slope).max())
    slope = (signal(points, 2 + h) - signal(points, 2 - h)) / (2 * h)
    assert change.diffusivity.numpy() == pytest.approx(slope, abs=1e-5 * np.abs(slope).max())


@pytest.mark.usefixtures("fine_steps")
def test_the_rate_of_everything_is_a_parameter_too(blocks: list[PulseBlock]) -> None:
    """Closed ends: start and detection are alike, and both decay."""
    substrate = Substrate(
        stack([2, 2], [2.0, 3.0]), {"0": Compartment(1.0, 20.0), "1": Compartment(2.0, 80.0)}, {("0", "1"): 0.1}
    )
    (piece,) = pieces(substrate)
    entries = piece.entries()
    model = reduced_model(piece.topology, entries, *sparse_modes(piece.topology, entries, EVERY))
    still = reduced_tangents(piece.topology, model, piece.points, torch.zeros(1, *piece.points.shape).double())
    change = pgse_sensitivity(model, still, blocks, 1.0, None, COUNT, exact=True).diffusivity.numpy()
    h = 1e-4
    above, below = (pgse_signal(model, blocks, diffusivity, care=FINER).numpy() for diffusivity in (1 + h, 1 - h))
    slope = (above - below) / (2 * h)
    assert change == pytest.approx(slope, abs=1e-5 * np.abs(slope).max())
