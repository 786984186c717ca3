"""How a substrate is taken apart, and the matrices of each part."""

import meshes
import numpy as np
import pytest
import torch
from layered_meshes import stack

from napari_remidi.physics import TetMesh
from napari_remidi.physics.matrices.assembly import Topology
from napari_remidi.physics.matrices.pieces import Piece, pieces
from napari_remidi.physics.substrate import Compartment, Substrate


def wedges() -> TetMesh:
    """A block of three compartments that meet along the line x = y = 1: below, and left and right above."""
    block = meshes.box((2, 2, 2), (2.0, 2.0, 2.0))
    x, y, _ = block.points[block.tetrahedra].mean(axis=1).T
    labels = np.where(y < 1, 0, np.where(x < 1, 1, 2))
    return TetMesh(block.points, block.tetrahedra, labels, ["below", "left", "right"])


ABOVE, LEFT, RIGHT = ("left", "right"), ("below", "left"), ("below", "right")


def mass(piece: Piece) -> float:
    return float(torch.as_tensor(piece.topology.scipy(piece.entries()[0]).sum()))


def test_a_plain_mesh_is_one_piece_with_the_mesh_s_own_nodes_and_matrices() -> None:
    mesh = meshes.box((2, 2, 3), (2.0, 3.0, 4.0))
    (piece,) = pieces(Substrate(mesh, 1.7))
    assert piece.node.tolist() == list(range(len(mesh.points)))
    assert (piece.amount, piece.baseline) == (pytest.approx(24.0), 0.0)
    points = torch.as_tensor(mesh.points - mesh.points.mean(axis=0))
    plain = Topology.of(mesh.tetrahedra).entries(points) * torch.tensor(
        [[1], [1.7], [1], [1], [1]], dtype=torch.float64
    )
    assert torch.allclose(piece.entries(), plain, rtol=1e-12, atol=1e-12)


def test_closed_walls_separate_and_open_ones_join() -> None:
    mesh = stack([2, 2, 2], [1.0, 2.0, 3.0])
    both_closed = pieces(Substrate(mesh, {"0": 1.0, "1": Compartment(t2=50, density=0.5), "2": Compartment(t2=80)}))
    assert [piece.amount for piece in both_closed] == pytest.approx([4.0, 4.0, 12.0])
    assert [piece.baseline for piece in both_closed] == pytest.approx([0.0, 1 / 50, 1 / 80])
    one_open = pieces(Substrate(mesh, permeability={("1", "2"): 0.1}))
    assert [len(piece.node) for piece in one_open] == [27, 27 + 27]
    one_absent = pieces(Substrate(mesh, permeability={("1", "2"): np.inf}))
    assert [len(piece.node) for piece in one_absent] == [27, 27 + 18]


def test_two_cells_of_one_compartment_are_two_pieces() -> None:
    mesh = stack([2, 2, 2], [1.0, 2.0, 1.0])
    cells = TetMesh(mesh.points, mesh.tetrahedra, np.where(mesh.labels == 1, 1, 0), ["cell", "gap"])
    assert [piece.amount for piece in pieces(Substrate(cells))] == pytest.approx([4.0, 8.0, 4.0])
    assert len(pieces(Substrate(cells, permeability={("cell", "gap"): 0.1}))) == 1


@pytest.mark.parametrize(
    ("walls", "copies"),
    [
        ({}, {"below": 18, "left": 12, "right": 12}),
        ({ABOVE: 0.1, LEFT: 0.2, RIGHT: 0.3}, {"all": 42}),
        ({LEFT: 0.2, RIGHT: 0.3}, {"all": 42}),
        ({ABOVE: np.inf}, {"below": 18, "above": 18}),
        ({ABOVE: np.inf, LEFT: 0.2}, {"all": 36}),
        # left meets below and right without a wall: along the middle line the wall between those two ends in one node
        ({ABOVE: np.inf, LEFT: np.inf, RIGHT: 0.3}, {"all": 27 + 3}),
        ({ABOVE: np.inf, LEFT: np.inf, RIGHT: np.inf}, {"all": 27}),
    ],
)
def test_where_three_compartments_meet_nothing_is_lost(walls: dict, copies: dict) -> None:
    parts = pieces(Substrate(wedges(), {"below": 1.0, "left": Compartment(2.0, density=0.5), "right": 3.0}, walls))
    assert sorted(len(piece.node) for piece in parts) == sorted(copies.values())
    assert sum(piece.amount for piece in parts) == pytest.approx(4 + 0.5 * 2 + 2)
    for piece in parts:
        generator = piece.topology.scipy(piece.entries()[1])
        assert np.abs(generator.sum(axis=0)).max() < 1e-12
        assert mass(piece) == pytest.approx(piece.amount)
        # only what is even everywhere stays as it is
        assert (np.linalg.eigvalsh(generator.toarray()) < 1e-10).sum() == 1


def test_flux_is_permeability_times_area_times_the_jump() -> None:
    """One on one side and zero on the other: ξᵀ Q ξ is κ √(ρa ρb) times the area, for every pair by itself."""
    walls = {ABOVE: 0.1, LEFT: 0.02, RIGHT: 0.003}
    substrate = Substrate(wedges(), {"below": 1.0, "left": Compartment(density=0.25), "right": 1.0}, walls)
    (piece,) = pieces(substrate)
    generator = piece.topology.scipy(piece.entries()[1])
    below_left, below_right, left_right = 0.02 * 0.5 * 2, 0.003 * 2, 0.1 * 0.5 * 2  # every wall has 2 µm²
    for label, flux in enumerate((below_left + below_right, below_left + left_right, below_right + left_right)):
        inside = np.zeros(len(piece.node))
        inside[piece.topology.tetrahedra[piece.labels == label].flatten()] = 1
        assert inside @ generator @ inside == pytest.approx(flux)


def test_a_relaxing_wall_takes_its_area_times_its_relaxivity() -> None:
    """The outer surface and its side of interfaces count, an absent wall does not."""
    mesh = stack([2, 2, 2], [1.0, 2.0, 3.0])
    substrate = Substrate(
        mesh,
        {"0": 1.0, "1": Compartment(density=0.5), "2": 1.0},
        {("0", "1"): 0.1, ("1", "2"): np.inf},
        {"1": 0.2},
    )
    (piece,) = pieces(substrate)
    generator = piece.topology.scipy(piece.entries()[1])
    assert generator.sum() == pytest.approx(0.2 * 0.5 * (4 * 2 * 2 + 4))


def test_entries_have_the_derivatives_of_finite_differences() -> None:
    mesh = wedges()
    parts = {"below": Compartment(1.0, 40.0), "left": Compartment(np.diag([2.0, 1.0, 1.5]), 60.0, 0.7), "right": 3.0}
    substrate = Substrate(mesh, parts, {ABOVE: 0.1, LEFT: 0.2}, {"below": 0.05})
    (piece,) = pieces(substrate)
    nodes = torch.as_tensor(mesh.points + np.random.default_rng(0).uniform(-0.1, 0.1, mesh.points.shape))
    given = (
        nodes,
        torch.as_tensor(substrate.diffusivity),
        torch.tensor([40.0, 60.0, 100.0], dtype=torch.float64),
        torch.as_tensor(substrate.permeabilities),
        torch.as_tensor(substrate.relaxivities),
    )
    for value in given:
        value.requires_grad_()

    def entries(points: torch.Tensor, *parameters: torch.Tensor) -> torch.Tensor:
        return piece.entries(points[piece.node], *parameters)

    assert torch.autograd.gradcheck(entries, given, fast_mode=True)
    assert torch.autograd.gradcheck(lambda points: entries(points), (nodes,), fast_mode=True)


def test_infinite_t2_has_a_derivative_of_zero() -> None:
    (piece,) = pieces(Substrate(stack([1], [1.0])))
    t2 = torch.tensor([np.inf], dtype=torch.float64, requires_grad=True)
    piece.entries(t2=t2).sum().backward()
    assert t2.grad.item() == 0


def test_a_mesh_far_from_the_origin_loses_no_digits() -> None:
    mesh = stack([2, 2], [1.0, 2.0])
    far = TetMesh(mesh.points + 1e4, mesh.tetrahedra, mesh.labels)
    (near_piece,), (far_piece,) = (pieces(Substrate(m, permeability={("0", "1"): 0.1})) for m in (mesh, far))
    assert torch.allclose(near_piece.entries(), far_piece.entries(), rtol=0, atol=1e-9)
