"""The Chamfer distance on surfaces whose distance is known."""

import numpy as np
import pytest
import trimesh

from napari_remidi.errors import MeshError
from napari_remidi.results import chamfer
from napari_remidi.results.metrics import chamfer_any_rotation


def test_concentric_spheres_are_as_far_apart_as_their_radii() -> None:
    small, large = (trimesh.creation.icosphere(5, radius) for radius in (2.0, 2.3))
    assert chamfer(small, large) == pytest.approx(0.3, abs=2e-3)


def test_a_surface_is_no_distance_from_itself_wherever_it_lies() -> None:
    box = trimesh.creation.box((2, 3, 9))
    moved = box.copy().apply_translation([100, -20, 5])
    assert chamfer(box, moved) < 1e-9


def test_the_twin_counts_as_the_same_shape() -> None:
    cone = trimesh.creation.cone(2.0, 7.0)
    twin = trimesh.Trimesh(-cone.vertices, cone.faces[:, ::-1])
    assert chamfer(cone, twin) < 1e-9


def test_a_turned_shape_is_another_shape() -> None:
    box = trimesh.creation.box((2, 2, 10))
    turned = box.copy().apply_transform(trimesh.transformations.rotation_matrix(np.pi / 2, [1, 0, 0]))
    assert chamfer(box, turned) > 0.5


def test_points_are_compared_to_points() -> None:
    cloud = np.random.default_rng(0).standard_normal((500, 3))
    assert chamfer(cloud, cloud + 3.0) < 1e-9


@pytest.mark.parametrize("nothing", [np.zeros((0, 3)), np.zeros((4, 2)), trimesh.Trimesh()])
def test_what_is_no_surface_is_refused(nothing) -> None:
    with pytest.raises(MeshError, match=r"trimesh\.Trimesh|give one with triangles"):
        chamfer(nothing, trimesh.creation.box())


@pytest.mark.parametrize("angle", [0.3, 1.6, 3.0])
def test_any_rotation_forgives_a_turn_and_a_mirror_but_no_other_shape(angle: float) -> None:
    cone, slimmer = trimesh.creation.cone(2.0, 9.0), trimesh.creation.cone(1.7, 9.0)
    turn = trimesh.transformations.rotation_matrix(angle, [1, 2, 3])
    turned = cone.copy().apply_transform(turn)
    assert chamfer(cone, turned, 1000) > 0.15
    assert chamfer_any_rotation(cone, turned, 1500) < 0.01
    assert chamfer_any_rotation(cone, turned.copy().apply_scale(-1), 1500) < 0.01
    expected = chamfer(cone, slimmer, 1500)
    assert chamfer_any_rotation(cone, slimmer.apply_transform(turn), 1500) == pytest.approx(expected, rel=0.05)


def test_points_have_no_normals_to_turn_a_shape_by() -> None:
    with pytest.raises(MeshError, match="give two surfaces"):
        chamfer_any_rotation(np.eye(3), trimesh.creation.box())
