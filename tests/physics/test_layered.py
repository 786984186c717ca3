"""Block Cholesky factors of a mesh in layers, and the modes that a step of inverse iteration finds with them."""

import numpy as np
import pytest
import torch

from napari_remidi.errors import MeshError
from napari_remidi.physics.matrices.assembly import Topology
from napari_remidi.physics.matrices.layered import Layers
from napari_remidi.physics.reduction.modes import modes_in_basis, modes_near_basis, sparse_modes
from napari_remidi.shapes.tube import Tube

TUBE = Tube(2, 41)
SIZE = len(TUBE.section)


def entries_of(topology: Topology, bulge: float = 0.0) -> torch.Tensor:
    """A tube with a bulge in the middle."""
    points = TUBE.straight(1.2, 14.0)
    points[:, :2] *= 1 + bulge * np.exp(-(points[:, 2:] ** 2) / 4)
    return topology.entries(torch.as_tensor(points))


def test_factors_solve_what_a_dense_solver_does() -> None:
    topology = Topology.of(TUBE.tetrahedra)
    mass, stiffness = entries_of(topology)[:2]
    values = stiffness + 0.3 * mass
    right = torch.as_tensor(np.random.default_rng(1).standard_normal((topology.nodes, 5)))
    found = Layers.of(topology, SIZE).factors(values).solve(right)
    dense = torch.as_tensor(topology.scipy(values).toarray())
    torch.testing.assert_close(found, torch.linalg.solve(dense, right), atol=1e-10, rtol=1e-10)


def test_another_numbering_is_refused() -> None:
    shuffled = np.random.default_rng(0).permutation(TUBE.layers * SIZE)[TUBE.tetrahedra]
    with pytest.raises(MeshError, match=rf"not numbered in layers of {SIZE} nodes"):
        Layers.of(Topology.of(shuffled), SIZE)


def test_a_step_from_another_shape_s_modes_finds_a_shape_s_own() -> None:
    topology = Topology.of(TUBE.tetrahedra)
    _, basis = sparse_modes(topology, entries_of(topology), 60)
    bulged = entries_of(topology, 0.4)
    exact, _ = sparse_modes(topology, bulged, 30)
    near, modes = modes_near_basis(topology, Layers.of(topology, SIZE), bulged, basis, 30)
    rough, _ = modes_in_basis(topology, bulged, basis, 30)
    error, of_rough = ((found - exact)[1:20] / exact[1:20] for found in (near, rough))
    assert error.abs().max() < 1e-3 < of_rough.abs().max()
    torch.testing.assert_close(topology.projected(bulged[:1], modes)[0], torch.eye(30, dtype=torch.float64))
