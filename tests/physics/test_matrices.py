"""Finite-element matrices of a mesh, their change when its nodes move, and their projection onto a basis."""

import meshes
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from napari_remidi.physics.matrices import assembly
from napari_remidi.physics.matrices.assembly import Topology

APART = np.array([[0, 35]])  # two far corners of the block, which no element joins


@pytest.fixture(scope="module")
def block() -> tuple[Topology, torch.Tensor]:
    """36 nodes, none of them where symmetry could hide a mistake, and one extra pair as a wall would couple it."""
    mesh = meshes.box((2, 2, 3), (2.0, 3.0, 4.0))
    points = mesh.points + np.random.default_rng(0).uniform(-0.1, 0.1, mesh.points.shape)
    assert APART.max() == len(points) - 1
    return Topology.of(mesh.tetrahedra, extra=APART), torch.as_tensor(points)


def random(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def dense(topology: Topology, entries: torch.Tensor) -> NDArray[np.float64]:
    return np.stack([topology.scipy(matrix).toarray() for matrix in entries])


def test_the_matrices_are_the_integrals_over_all_elements(block: tuple[Topology, torch.Tensor]) -> None:
    topology, points = block
    delta = np.eye(4)
    same = delta[:, :, None] + delta[:, None] + delta[None]
    triple = 1 + same + 2 * delta[:, :, None] * delta[:, None]  # 120/V ∫ λa λb λc
    expected = np.zeros((5, len(points), len(points)))
    for nodes in topology.tetrahedra.numpy():
        x = points[nodes].numpy()
        volume = np.linalg.det(x[1:] - x[0]) / 6
        gradients = np.linalg.inv(np.column_stack([np.ones(4), x]))[1:].T
        moments = np.einsum("abc,cx->xab", triple, x) * volume / 120
        parts = [volume * (1 + delta) / 20, volume * gradients @ gradients.T, *moments]
        expected[np.ix_(range(5), nodes, nodes)] += np.stack(parts)
    assert np.allclose(dense(topology, topology.entries(points)), expected, rtol=0, atol=1e-12)


def test_tangents_are_the_derivatives_of_the_matrices(block: tuple[Topology, torch.Tensor]) -> None:
    topology, points = block
    velocities, h = random(3, *points.shape), 1e-5
    tangents = topology.entry_tangents(points, velocities)
    for velocity, tangent in zip(velocities, tangents, strict=True):
        ahead, behind = (topology.entries(points + step * velocity) for step in (h, -h))
        differences = (ahead - behind) / (2 * h)
        # central differences leave h² and the roundings 1e-16 / h
        assert torch.allclose(tangent, differences, rtol=0, atol=1e-8 * float(differences.abs().max()))
    assert (tangents[..., topology.linked] == 0).all()


def test_torch_differentiates_the_matrices_alike(block: tuple[Topology, torch.Tensor]) -> None:
    topology, points = block
    velocity, weights = random(1, *points.shape), random(5, len(topology.rows))
    nodes = points.clone().requires_grad_()
    (gradient,) = torch.autograd.grad((weights * topology.entries(nodes)).sum(), nodes)
    change = (weights * topology.entry_tangents(points, velocity)[0]).sum()
    assert float((gradient * velocity[0]).sum()) == pytest.approx(float(change), rel=1e-12)


def test_single_precision_tangents_differ_by_roundings(block: tuple[Topology, torch.Tensor]) -> None:
    topology, points = block
    velocities = random(20, *points.shape)
    exact = topology.entry_tangents(points, velocities)
    found = topology.entry_tangents(points.float(), velocities.float())
    assert found.dtype == torch.float32
    # a few sums of tens of numbers, each rounded to 6e-8
    largest = exact.abs().amax(dim=(0, 2))[:, None]
    assert float(((found - exact) / largest).abs().max()) < 2e-6


@pytest.mark.parametrize("chunk", [1, 2 * 36 * 7, assembly.CHUNK])
def test_projected_matrices_are_the_products_however_many_at_a_time(
    chunk: int, block: tuple[Topology, torch.Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    topology, points = block
    monkeypatch.setattr(assembly, "CHUNK", chunk)
    entries, basis = topology.entries(points), random(len(points), 7)
    projected = topology.projected(entries, basis)
    expected = basis.numpy().T @ dense(topology, entries) @ basis.numpy()
    assert np.allclose(projected.numpy(), expected, rtol=1e-13, atol=1e-13 * np.abs(expected).max())
    assert torch.equal(projected, projected.transpose(1, 2))
    assert torch.allclose(basis.T @ topology.product(entries, basis), projected, rtol=1e-12, atol=1e-12)
