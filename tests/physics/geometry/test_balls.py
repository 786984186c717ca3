"""Balls and shells have the true volumes, good elements at every fineness and nearly the exact eigenvalues."""

import exact
import measures
import numpy as np
import pytest
import torch

from napari_remidi.errors import MeshError
from napari_remidi.physics import simulate
from napari_remidi.physics.geometry import sphere, spheres
from napari_remidi.physics.matrices.assembly import Topology
from napari_remidi.physics.reduction.modes import sparse_modes
from napari_remidi.scan import Protocol

BALL = 4 / 3 * np.pi


@pytest.mark.parametrize("nodes", [40, 300, 1500, 5000])
def test_a_ball_has_its_volume_and_about_the_nodes_asked_for(nodes: int) -> None:
    ball = sphere(3, nodes)
    assert ball.volume == pytest.approx(BALL * 27, rel=1e-12)
    assert len(ball.points) == pytest.approx(nodes, rel=0.4)  # whole layers only
    assert ball.surface.is_watertight
    assert ball.surface.euler_number == 2


@pytest.mark.parametrize("nodes", [300, 1500, pytest.param(50_000, marks=pytest.mark.slow)])
def test_elements_stay_well_shaped_however_fine(nodes: int) -> None:
    assert measures.shapes(sphere(5, nodes)).min() > 0.6


def test_the_wall_is_round() -> None:
    ball = sphere(3)
    distance = np.linalg.norm(ball.points[ball.surface_nodes], axis=1)
    assert np.ptp(distance) < 1e-12
    # an icosahedron divided 7 times has sides s = 0.16 R, whose middles lie s²/8R = 0.003 R deep; scaling shares it out
    assert distance[0] == pytest.approx(3, rel=0.01)


def test_shells_have_their_volumes_and_share_their_walls() -> None:
    mesh = spheres([2.0, 2.3, 5.0], ["cell", "wall", "extra"], 3000)
    assert mesh.names == ("cell", "wall", "extra")
    for name, outer, inner in zip(mesh.names, (2.0, 2.3, 5.0), (0.0, 2.0, 2.3), strict=True):
        assert measures.volume_of(mesh, name) == pytest.approx(BALL * (outer**3 - inner**3), rel=1e-12)
    for (a, b), radius in {("cell", "wall"): 2.0, ("wall", "extra"): 2.3}.items():
        wall = measures.interface(mesh, a, b)
        # a polyhedron of a ball's volume has more surface; sides of 0.4 R dip by (0.4 R)²/8R, 2 % of R
        assert 1 < measures.area(mesh, wall) / (4 * np.pi * radius**2) < 1.05
        assert len(np.unique(wall)) == len(wall) / 2 + 2  # closed: Euler's formula for triangles
    assert len(measures.interface(mesh, "cell", "extra")) == 0
    assert measures.shapes(mesh).min() > 0.3


@pytest.mark.parametrize("radius", [3.0, 5.0])
def test_a_ball_of_about_1500_nodes_gives_the_exact_signal_to_two_thousandths(radius: float) -> None:
    delta = np.array([5.0] * 9 + [30.0, 30.0, 1.0, 1.0])
    Delta = np.array([10.0, 25.0, 50.0] * 3 + [40.0] * 4)
    b = np.array([1000.0] * 3 + [4000.0] * 3 + [10_000.0] * 3 + [1000.0, 3000.0] * 2)
    directions = np.random.default_rng(1).standard_normal((len(b), 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    signal = simulate(sphere(radius), Protocol.pgse(b, directions, delta, Delta), 2.0, device="cpu")
    # the simulator promises 2e-3 at this size; the mesh may not use it all up
    assert np.abs(signal - exact.sphere(radius, b, delta, Delta, 2.0)).max() < 1.8e-3


def test_eigenvalues_of_a_ball_converge_with_the_square_of_the_element() -> None:
    first = exact.sphere_modes(10)[0][1:].min()
    errors = []
    for nodes in (309, 2057):  # 4 and 8 layers
        ball = sphere(1, nodes)
        assert len(ball.points) == nodes
        topology = Topology.of(ball.tetrahedra)
        found = sparse_modes(topology, topology.entries(torch.tensor(ball.points)), 4)[0][1:].numpy()
        errors.append(np.abs(found / first - 1).max())
    assert np.log2(errors[0] / errors[1]) > 1.8  # theory: 2
    assert errors[1] < 0.01


@pytest.mark.parametrize(
    ("radii", "names", "nodes", "message"),
    [
        ([3, 2], ["a", "b"], 100, "radii 3, 2 µm: give positive lengths from the inside out, each larger"),
        ([-1], ["a"], 100, "radii -1 µm: give positive lengths from the inside out, each larger"),
        ([1, 2], ["a"], 100, "2 radii but 1 names (a): give one name for each radius"),
        ([1], ["a"], 0, "0 nodes make no mesh; 500 to 5000 suit most cells"),
    ],
)
def test_impossible_shells_are_refused(radii: list, names: list, nodes: int, message: str) -> None:
    with pytest.raises(MeshError) as caught:
        spheres(radii, names, nodes)
    assert str(caught.value) == message
