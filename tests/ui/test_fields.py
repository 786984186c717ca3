"""Modes and magnetisation as layers: real values on a mesh's surface, with a slider for their leading axis."""

import meshes
import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Layer

from napari_remidi.physics.fields import eigenfunctions, magnetisation
from napari_remidi.scan import Protocol
from napari_remidi.ui.layers import axon_in_microns, field_in_microns
from napari_remidi.ui.shape import Shape


@pytest.fixture(scope="module")
def mesh():
    return meshes.cylinder(2, 2.0, 8.0)


def test_a_field_lies_where_the_axon_does(mesh):
    field = Layer.create(*field_in_microns(mesh, mesh.points[:, 2], "height"))
    axon = Layer.create(*axon_in_microns(Shape(mesh.points, mesh.boundary)))
    np.testing.assert_allclose(field.data[0], axon.data[0])
    np.testing.assert_array_equal(field.data[1], axon.data[1])
    np.testing.assert_allclose(field.data[2], mesh.points[mesh.surface_nodes, 2])
    assert field.units == axon.units


def test_modes_have_a_slider_and_colours_about_zero(mesh):
    viewer = ViewerModel(ndisplay=3)
    values = eigenfunctions(mesh, 5)[1].T
    layer = viewer.add_layer(Layer.create(*field_in_microns(mesh, values, "modes")))
    assert viewer.dims.range[0][:2] == (0, 4)
    low, high = layer.contrast_limits
    assert low == -high
    for mode in (0, 3):
        viewer.dims.set_point(0, mode)
        np.testing.assert_allclose(layer._view_vertex_values, values[mode, mesh.surface_nodes])


def test_the_magnetisation_has_a_slider_over_its_times(mesh):
    protocol = Protocol.pgse([4000.0], [[0, 0, 1.0]], 5.0, 20.0)
    field = magnetisation(mesh, protocol, 0, np.linspace(0, 25, 11), modes=40)
    viewer = ViewerModel(ndisplay=3)
    layer = viewer.add_layer(Layer.create(*field_in_microns(mesh, np.abs(field), "|m|")))
    assert viewer.dims.nsteps[0] == 11
    assert layer.contrast_limits[0] == 0
    viewer.dims.set_point(0, 0)
    np.testing.assert_allclose(layer._view_vertex_values, 1)
