"""Layers lie where the scanner saw what they show: geometry in world units."""

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Layer
from tests.ui.conftest import VOXEL, make_scan, tube

from napari_remidi.ui import layers
from napari_remidi.ui.shape import Shape


@pytest.fixture
def shape():
    points, faces = tube()
    return Shape(points, faces, np.linspace(0.1, 0.4, len(points)))


def made(data):
    return Layer.create(*data)


def test_a_scans_layer_has_its_volume_axis_first_then_z_y_x(scan):
    layer = made(layers.scan_layer(scan))
    assert layer.data.shape == (44, 3, 6, 8)
    i, j, k = VOXEL
    np.testing.assert_array_equal(layer.data[:, k, j, i], scan.data[i, j, k])
    assert layer.axis_labels == ("volume", "z", "y", "x")
    assert layers.scan_of(layer) is scan


def test_the_windows_millimetres_are_the_scanners(scan):
    layer = made(layers.scan_layer(scan))
    i, j, k = VOXEL
    np.testing.assert_allclose(layer.data_to_world((0, k, j, i))[1:][::-1], scan.world(*VOXEL))
    np.testing.assert_allclose(layers.centre(scan, VOXEL)[::-1], scan.world(*VOXEL))


def test_all_layers_in_the_scans_window_share_units_and_axis_labels(scan, shape):
    image = made(layers.scan_layer(scan))
    for other in (made(layers.voxel_mark(scan, VOXEL)), made(layers.axon_in_scan(scan, VOXEL, shape))):
        assert other.units == image.units[1:]
        assert other.axis_labels == image.axis_labels[1:]


def test_the_mark_frames_exactly_one_voxel(scan):
    mark = made(layers.voxel_mark(scan, VOXEL))
    np.testing.assert_allclose(mark.data, [layers.centre(scan, VOXEL)])
    assert mark.size == pytest.approx([2.0])


def test_an_axon_in_the_scan_is_centred_on_its_voxel_and_magnified_as_its_name_says(scan, shape):
    layer = made(layers.axon_in_scan(scan, VOXEL, shape))
    factor = float(layer.name.split("×")[1])
    world = np.array([layer.data_to_world(vertex) for vertex in layer.data[0]])
    millimetres = shape.centred[:, ::-1] * factor * 1e-3
    np.testing.assert_allclose(world - layers.centre(scan, VOXEL), millimetres, atol=1e-9)


def test_a_magnified_axon_is_larger_than_a_voxel_and_smaller_than_the_scan(scan, shape):
    layer = made(layers.axon_in_scan(scan, VOXEL, shape))
    size = np.ptp(layer.extent.world, axis=0).max()
    assert scan.voxel_size.min() < size < 16


def test_the_slice_through_the_voxel_shows_the_whole_axon(scan, shape):
    viewer = ViewerModel()
    viewer.add_layer(made(layers.scan_layer(scan)))
    layer = viewer.add_layer(made(layers.axon_in_scan(scan, VOXEL, shape)))
    viewer.dims.set_point(1, layers.centre(scan, VOXEL)[0])
    assert len(layer._view_faces) == len(shape.faces)


def test_an_oblique_scans_axon_is_turned_into_the_images_axes(shape):
    angle = np.radians(20)
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    affine = np.eye(4)
    affine[:3, :3] = 2.0 * turn
    oblique = make_scan(affine)
    vertices = made(layers.axon_in_scan(oblique, VOXEL, shape)).data[0][:, ::-1]
    straight = shape.centred @ turn
    np.testing.assert_allclose(vertices / np.linalg.norm(vertices), straight / np.linalg.norm(straight), atol=1e-9)


def test_the_microscope_shows_micrometres_about_the_origin(shape):
    layer = made(layers.axon_in_microns(shape))
    np.testing.assert_allclose(layer.data[0] * (-1, 1, 1), shape.centred[:, ::-1])
    assert [str(unit) for unit in layer.units] == ["micrometer"] * 3


def test_colours_are_the_vertices_standard_deviations(scan, shape):
    for data in (layers.axon_in_scan(scan, VOXEL, shape), layers.axon_in_microns(shape)):
        layer = made(data)
        np.testing.assert_allclose(layer.data[2], shape.sd)
        assert layer.contrast_limits[0] == 0
        assert layer.contrast_limits[1] == pytest.approx(np.percentile(shape.sd, 98))


def test_redrawing_changes_a_layer_in_place(shape):
    layer = made(layers.axon_in_microns(shape))
    points, faces = tube(length=30)
    layers.redraw(layer, layers.axon_in_microns(Shape(points, faces)))
    assert np.ptp(layer.data[0], axis=0).max() > np.ptp(shape.points, axis=0).max()
    assert not layer.data[2].any()
