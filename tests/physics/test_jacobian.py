"""The frozen-basis, adjoint Jacobian against finite differences of the whole simulation."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from napari_remidi.physics.encoding.pgse import pgse_signal
from napari_remidi.physics.encoding.pgse_jacobian import pgse_sensitivity
from napari_remidi.physics.encoding.pulses import pulse_blocks
from napari_remidi.physics.encoding.window import window
from napari_remidi.physics.matrices.assembly import Topology
from napari_remidi.physics.reduction.modes import modes_in_basis, sparse_modes
from napari_remidi.physics.reduction.reduced import ReducedModel, reduced_model, reduced_tangents
from napari_remidi.scan import Protocol

CPU = torch.device("cpu")
MODES = 100


@pytest.fixture(scope="module")
def protocol() -> Protocol:
    rng = np.random.default_rng(0)
    bvecs = rng.standard_normal((40, 3))
    bvecs /= np.linalg.norm(bvecs, axis=1, keepdims=True)
    bvals = np.tile([1000.0, 3000.0, 6000.0, 10000.0], 10)
    return Protocol.pgse(bvals, bvecs, 5.0, np.repeat([10.0, 50.0], 20))


@pytest.fixture(scope="module")
def cylinder() -> tuple[Topology, torch.Tensor]:
    """A squat cylinder, 3 µm by 9 µm, as a structured mesh."""
    turns, layers, rings = 12, 10, 2
    section = [(0.0, 0.0)] + [
        (3 * ring / rings * np.cos(phase), 3 * ring / rings * np.sin(phase))
        for ring in range(1, rings + 1)
        for phase in np.arange(turns) * 2 * np.pi / turns
    ]
    count = len(section)
    points = np.array([(x, y, 9 * layer / (layers - 1)) for layer in range(layers) for x, y in section])
    triangles = [(0, 1 + k, 1 + (k + 1) % turns) for k in range(turns)]
    for k in range(turns):
        inner, outer = (1 + k, 1 + (k + 1) % turns), (1 + turns + k, 1 + turns + (k + 1) % turns)
        triangles += [(inner[0], outer[0], outer[1]), (inner[0], outer[1], inner[1])]
    tets = []
    for layer in range(layers - 1):
        for corners in triangles:
            a, b, c = (layer * count + i for i in sorted(corners))
            tets += [(a, b, c, c + count), (a, b, b + count, c + count), (a, a + count, b + count, c + count)]
    tetrahedra = np.array(tets)
    p = points[tetrahedra]
    negative = np.linalg.det(p[:, 1:] - p[:, :1]) < 0
    tetrahedra[negative] = tetrahedra[negative][:, [0, 2, 1, 3]]
    return Topology.of(tetrahedra), torch.as_tensor(points - points.mean(axis=0))


@pytest.fixture(scope="module")
def velocities(cylinder: tuple[Topology, torch.Tensor]) -> torch.Tensor:
    """Longer, thicker, bent, and wavy."""
    x, y, z = cylinder[1].T
    zero = torch.zeros_like(x)
    fields = [(zero, zero, z), (x, y, zero), (z**2 / 10, zero, zero), (torch.sin(z), x * torch.cos(0.7 * z), x * y / 3)]
    return torch.stack([torch.stack(field, dim=1) for field in fields])


def model_of(topology: Topology, points: torch.Tensor, density: torch.Tensor | None) -> ReducedModel:
    entries = topology.entries(points)
    return reduced_model(topology, entries, *sparse_modes(topology, entries, MODES), density)


@pytest.mark.parametrize("ends", ["closed", "open"])
def test_every_derivative_agrees_with_finite_differences(
    ends: str, cylinder: tuple[Topology, torch.Tensor], velocities: torch.Tensor, protocol: Protocol
) -> None:
    topology, points = cylinder
    density = None if ends == "closed" else torch.as_tensor(window(points[:, 2].numpy() / 18))
    blocks = pulse_blocks(protocol, CPU, torch.float64)
    count = len(protocol)

    def signal(where: torch.Tensor, diffusivity: float = 2.0, rotation: torch.Tensor | None = None) -> NDArray:
        # many steps: their number depends on the shape and the diffusivity, and signals jump where it changes
        model = model_of(topology, where, density)
        return pgse_signal(model, blocks, diffusivity, rotation, count, refine=4).numpy()

    model = model_of(topology, points, density)
    tangents = reduced_tangents(topology, model, points, velocities)
    change = pgse_sensitivity(model, tangents, blocks, 2.0, None, count)
    h = 1e-3
    for index, velocity in enumerate(velocities):
        slope = (signal(points + h * velocity) - signal(points - h * velocity)) / (2 * h)
        # what the frozen basis leaves out is the modes beyond the hundredth: 0.5 % of the largest change
        assert np.abs(change.shape[:, index].numpy() - slope).max() < 5e-3 * np.abs(slope).max() + 5e-4
    slope = (signal(points, 2.01) - signal(points, 1.99)) / 0.02
    assert np.abs(change.diffusivity.numpy() - slope).max() < 2e-3 * np.abs(slope).max()

    spin = torch.tensor([[0, -0.3, 0.2], [0.3, 0, 0.5], [-0.2, -0.5, 0]], dtype=torch.float64)
    rotation = torch.linalg.matrix_exp(0.7 * spin)
    by_direction = pgse_sensitivity(model, tangents, blocks, 2.0, rotation, count).direction.numpy()
    ahead, behind = (torch.linalg.matrix_exp(s * h * spin) @ rotation for s in (1, -1))
    slope = (signal(points, 2.0, ahead) - signal(points, 2.0, behind)) / (2 * h)
    predicted = (by_direction * (-protocol.bvecs @ spin.numpy().T)).sum(axis=1)
    assert np.abs(predicted - slope).max() < 2e-3 * np.abs(slope).max()


def test_single_precision_is_enough(
    cylinder: tuple[Topology, torch.Tensor], velocities: torch.Tensor, protocol: Protocol
) -> None:
    topology, points = cylinder
    model = model_of(topology, points, None)
    results = []
    for dtype in (torch.float32, torch.float64):
        blocks = pulse_blocks(protocol, CPU, dtype)
        tangents = reduced_tangents(topology, model, points, velocities.to(dtype))
        change = pgse_sensitivity(model, tangents, blocks, 2.0, None, len(protocol))
        results.append((pgse_signal(model, blocks, 2.0, None, len(protocol)).double(), change.shape.double()))
    (signal32, slope32), (signal64, slope64) = results
    assert float((signal32 - signal64).abs().max()) < 1e-4  # a tenth of what CPU and GPU may differ by
    assert float((slope32 - slope64).abs().max()) < 1e-3 * float(slope64.abs().max())


def test_a_basis_that_holds_the_modes_gives_the_same_modes(cylinder: tuple[Topology, torch.Tensor]) -> None:
    topology, points = cylinder
    entries = topology.entries(points)
    decay, modes = sparse_modes(topology, entries, 40)
    mixed = modes @ torch.randn(40, 40, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    again, _ = modes_in_basis(topology, entries, mixed, 30)
    assert torch.allclose(again, decay[:30], rtol=1e-8, atol=1e-8)


def test_a_gradient_and_its_opposite_give_the_same_signal(cylinder: tuple[Topology, torch.Tensor]) -> None:
    topology, points = cylinder
    bent = points + torch.stack([points[:, 2] ** 2 / 20, 0 * points[:, 0], 0 * points[:, 0]], dim=1)
    model = model_of(topology, bent, None)
    direction = np.array([[0.6, 0.0, 0.8]])
    both = Protocol.pgse([4000.0, 4000.0], np.vstack([direction, -direction]), 5.0, 20.0)
    signal = pgse_signal(model, pulse_blocks(both, CPU), 2.0, None, 2)
    assert signal[0] == signal[1]
