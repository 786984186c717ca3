"""A click becomes a voxel; a drag, another button or the 3D view does not."""

from types import SimpleNamespace

import pytest
from napari.components import ViewerModel
from napari.layers import Layer
from tests.ui.conftest import VOXEL

from napari_remidi.ui.layers import centre, scan_layer
from napari_remidi.ui.picking import Picker, voxel_at


@pytest.fixture
def viewer(scan):
    viewer = ViewerModel()
    viewer.add_layer(Layer.create(*scan_layer(scan)))
    return viewer


@pytest.fixture
def picks():
    return []


@pytest.fixture
def refusals():
    return []


@pytest.fixture
def picker(viewer, picks, refusals):
    picker = Picker(viewer, lambda: viewer.layers[0], picks.append, refusals.append)
    picker.enable()
    return picker


def mouse(viewer, position, moves=(), button=1, modifiers=()):
    """Press, move through canvas positions, release."""
    event = SimpleNamespace(type="mouse_press", pos=(10, 10), position=position, button=button, modifiers=modifiers)
    steps = viewer.mouse_drag_callbacks[-1](viewer, event)
    for pos in (None, *moves, None):
        if pos is not None:
            event.type, event.pos = "mouse_move", pos
        next(steps, None)
    event.type = "mouse_release"
    next(steps, None)


def inside(scan, offset=0.0):
    z, y, x = centre(scan, VOXEL) + offset
    return (0, z, y, x)


@pytest.mark.parametrize("offset", [0.0, 0.9, -0.9])
def test_a_click_anywhere_in_a_voxel_picks_it(viewer, scan, picker, picks, offset):
    mouse(viewer, inside(scan, offset))
    assert picks == [VOXEL]


def test_a_drag_moves_the_picture_and_picks_nothing(viewer, scan, picker, picks):
    mouse(viewer, inside(scan), moves=[(30, 10)])
    assert picks == []


def test_a_trembling_hand_still_clicks(viewer, scan, picker, picks):
    mouse(viewer, inside(scan), moves=[(11, 9)])
    assert picks == [VOXEL]


@pytest.mark.parametrize("how", [{"button": 2}, {"modifiers": ("Shift",)}])
def test_other_buttons_and_keys_are_napari_s(viewer, scan, picker, picks, how):
    mouse(viewer, inside(scan), **how)
    assert picks == []


def test_a_click_beside_the_scan_picks_nothing(viewer, picker, picks):
    mouse(viewer, (0, 500, 500, 500))
    assert picks == []


def test_the_3d_view_refuses_and_says_why(viewer, scan, picker, picks, refusals):
    viewer.dims.ndisplay = 3
    mouse(viewer, inside(scan))
    assert picks == []
    assert "2D" in refusals[0]


def test_enabling_twice_listens_once_and_disabling_stops(viewer, picker):
    before = len(viewer.mouse_drag_callbacks)
    picker.enable()
    assert len(viewer.mouse_drag_callbacks) == before
    picker.disable()
    picker.disable()
    assert len(viewer.mouse_drag_callbacks) == before - 1


def test_more_dimensions_in_the_viewer_do_not_confuse(viewer, scan):
    assert voxel_at(viewer.layers[0], (3, *inside(scan))) == VOXEL
