"""A surface to draw: its centre, its twin, and the nodes it needs."""

import numpy as np
from tests.ui.conftest import tube

from napari_remidi.ui.shape import Shape


def test_inner_nodes_are_left_out():
    points, faces = tube()
    inside = Shape(np.vstack([np.zeros((5, 3)), points]), faces + 5, np.arange(len(points) + 5.0)).outside()
    np.testing.assert_array_equal(inside.points, points)
    np.testing.assert_array_equal(inside.faces, faces)
    np.testing.assert_array_equal(inside.sd, np.arange(5.0, len(points) + 5))


def test_the_centre_does_not_depend_on_where_the_axon_lies():
    points, faces = tube()
    np.testing.assert_allclose(
        Shape(points + np.array([7, -3, 90]), faces).centred, Shape(points, faces).centred, atol=1e-10
    )


def test_the_twin_of_the_twin_is_the_axon():
    points, faces = tube()
    shape = Shape(points, faces)
    np.testing.assert_allclose(shape.mirrored().mirrored().points, shape.centred, atol=1e-10)


def test_the_nearer_twin_of_a_mirrored_surface_is_the_surface_itself():
    points, faces = tube(bend=4.0)
    shape = Shape(points, faces)
    np.testing.assert_allclose(shape.mirrored().nearer_twin(shape).centred, shape.centred, atol=1e-10)
    np.testing.assert_allclose(shape.nearer_twin(shape).centred, shape.centred, atol=1e-10)
