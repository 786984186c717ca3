"""A real napari window, drawn on a real display and driven by real mouse clicks."""

import gc
import weakref

import nibabel
import numpy as np
import pytest
from napari.layers import Layer
from napari.qt import QtViewer
from napari.utils.notifications import notification_manager
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest
from tests.ui.conftest import VOXEL, FakeEngine, make_scan

from napari_remidi.ui.demo import bent_axon
from napari_remidi.ui.layers import scan_layer
from napari_remidi.ui.status import Phase

pytestmark = pytest.mark.usefixtures("display")


@pytest.fixture
def viewer(display, make_napari_viewer, qtbot):
    viewer = make_napari_viewer(show=True)
    viewer.window.resize(1500, 950)
    qtbot.wait(50)
    return viewer


def open_widget(viewer, qtbot, engine=None):
    _, widget = viewer.window.add_plugin_dock_widget("napari-remidi", "Axon reconstruction")
    if engine is not None:
        widget.run._engine = engine
    qtbot.wait(200)
    return widget


@pytest.fixture
def window(viewer, qtbot):
    """A window with a small scan, the widget, and an engine that only pretends."""
    viewer.add_layer(Layer.create(*scan_layer(make_scan())))
    return viewer, open_widget(viewer, qtbot, FakeEngine())


def click(field):
    QTest.mouseClick(field.native, Qt.MouseButton.LeftButton)


def click_voxel(viewer, layer, voxel):
    """Press and release the left button in the middle of a voxel of the shown slice."""
    qt_viewer = viewer.window._qt_viewer
    viewer.dims.set_point(viewer.dims.ndim - 3, layer.data_to_world((0, *voxel[::-1]))[-3])
    place = (
        qt_viewer.layer_to_visual[layer].node.get_transform("visual", "canvas").map([voxel[0] + 0.5, voxel[1] + 0.5])
    )
    spot = QPoint(round(place[0] / place[3]), round(place[1] / place[3]))
    QTest.mouseMove(qt_viewer.canvas.native, spot)
    QTest.mouseClick(qt_viewer.canvas.native, Qt.MouseButton.LeftButton, pos=spot)


def wait_for(qtbot, widget, *phases, seconds=10):
    qtbot.waitUntil(lambda: widget.status.now.phase in phases, timeout=1000 * seconds)


def surfaces(viewer):
    return [layer for layer in viewer.layers if layer._type_string == "surface"]


def last_error():
    return [n.message for n in notification_manager.records if n.severity.name == "ERROR"][-1]


def test_a_click_picks_the_voxel_under_the_mouse(window, qtbot):
    viewer, widget = window
    for voxel in (VOXEL, (0, 5, 2), (7, 0, 0)):
        click_voxel(viewer, widget.form.scan.value, voxel)
        qtbot.waitUntil(lambda voxel=voxel: widget.session.voxel == voxel, timeout=2000)


def test_anterior_is_up_and_right_is_right(window, qtbot):
    viewer, widget = window
    node = viewer.window._qt_viewer.layer_to_visual[widget.form.scan.value].node
    places = [node.get_transform("visual", "canvas").map([i + 0.5, j + 0.5])[:2] for i, j in ((4, 2), (5, 2), (4, 3))]
    assert places[1][0] > places[0][0]
    assert places[2][1] < places[0][1]


def test_from_click_to_surfaces_in_both_views_the_microscope_between_the_scan_and_the_widget(window, qtbot):
    viewer, widget = window
    click_voxel(viewer, widget.form.scan.value, VOXEL)
    click(widget.readout.reconstruct)
    wait_for(qtbot, widget, Phase.DONE)
    assert len(surfaces(viewer)) == 1
    assert widget.microscope.layer("axon") is not None
    assert widget.microscope.view.isVisible()
    qtbot.wait(200)
    canvas = viewer.window._qt_viewer.canvas.native
    left = [part.mapToGlobal(QPoint(0, 0)).x() for part in (canvas, widget.microscope.view, widget)]
    assert left == sorted(left)
    assert widget.microscope.view.width() >= 320


def test_both_views_show_the_axon_bright_and_whole(window, qtbot):
    viewer, widget = window
    scale_bar = widget.microscope.model.canvas.overlays.scale_bar
    assert not scale_bar.visible
    click_voxel(viewer, widget.form.scan.value, VOXEL)
    click(widget.readout.reconstruct)
    wait_for(qtbot, widget, Phase.DONE)
    assert scale_bar.visible
    qtbot.wait(300)
    widget.microscope.layer("truth").visible = False
    shot = widget.microscope.view.screenshot(flash=False)[..., :3].astype(int)
    height, width = shot.shape[:2]
    coloured = np.ptp(shot, axis=-1) > 30
    coloured[: height // 4, width // 2 :] = False
    share = max(np.flatnonzero(coloured.any(axis=1)).size / height, np.flatnonzero(coloured.any(axis=0)).size / width)
    assert 0.4 < share < 0.98
    # lit from the front: napari's ambient light alone would leave a quarter of the colours' brightness
    assert np.percentile(shot[coloured].max(axis=-1), 75) > 120


def test_cancel_then_a_second_run(window, qtbot):
    viewer, widget = window
    widget.run._engine = FakeEngine(steps=300, pause=0.03)
    click_voxel(viewer, widget.form.scan.value, VOXEL)
    click(widget.readout.reconstruct)
    qtbot.waitUntil(lambda: len(surfaces(viewer)) == 1, timeout=5000)
    click(widget.readout.cancel)
    wait_for(qtbot, widget, Phase.STOPPED)
    widget.run._engine = FakeEngine()
    click(widget.readout.reconstruct)
    wait_for(qtbot, widget, Phase.DONE)
    assert len(surfaces(viewer)) == 1


def test_an_empty_voxel_is_refused_and_the_next_click_works(window, qtbot):
    viewer, widget = window
    click_voxel(viewer, widget.form.scan.value, (0, 0, 0))
    qtbot.wait(50)
    assert "(0, 0, 0)" in last_error() or "0, 0, 0" in last_error()
    click_voxel(viewer, widget.form.scan.value, VOXEL)
    qtbot.waitUntil(lambda: widget.readout.reconstruct.enabled, timeout=2000)


def test_a_scan_without_timing_is_refused_and_runs_once_told(viewer, qtbot):
    viewer.add_layer(Layer.create(*scan_layer(make_scan(delta=None, Delta=None))))
    widget = open_widget(viewer, qtbot, FakeEngine())
    click_voxel(viewer, widget.form.scan.value, VOXEL)
    click(widget.readout.reconstruct)
    assert "HCP WU-Minn" in last_error()
    widget.form.timing.value = next(t for t in widget.form.timing.choices if t is not None)
    click(widget.readout.reconstruct)
    wait_for(qtbot, widget, Phase.DONE)


def test_gradients_given_by_hand_make_an_image_a_scan(viewer, qtbot, tmp_path):
    rng = np.random.default_rng(0)
    image = nibabel.Nifti1Image(rng.uniform(1, 2, (6, 5, 3, 7)).astype("float32"), np.diag([2.0, 2, 2, 1]))
    nibabel.save(image, tmp_path / "images.nii.gz")
    np.savetxt(tmp_path / "b.txt", [[0, *[1000] * 6]], fmt="%d")
    np.savetxt(tmp_path / "directions.txt", np.vstack([np.zeros(3), np.eye(3), -np.eye(3)]).T)
    viewer.open(str(tmp_path / "images.nii.gz"), plugin="napari-remidi")
    widget = open_widget(viewer, qtbot, FakeEngine())
    assert widget.form.gradients.isVisible()
    widget.form.files["bvals"].value = tmp_path / "b.txt"
    widget.form.files["bvecs"].value = tmp_path / "directions.txt"
    click(widget.form.use_files)
    assert widget.session.scan is not None
    assert not widget.form.gradients.isVisible()
    assert len(viewer.layers) == 1


def test_closing_the_docks_releases_both_views(window, qtbot):
    viewer, widget = window
    click_voxel(viewer, widget.form.scan.value, VOXEL)
    click(widget.readout.reconstruct)
    wait_for(qtbot, widget, Phase.DONE)
    second = weakref.ref(widget.microscope.view)
    callbacks = len(viewer.mouse_drag_callbacks)
    dock = widget.parent()
    dock.destroyOnClose()
    qtbot.wait(200)
    assert len(viewer.mouse_drag_callbacks) == callbacks - 1
    gc.collect()
    assert second() is None
    assert [view.viewer for view in QtViewer._instances] == [viewer]


def test_closing_the_microscope_alone_leaves_a_widget_that_opens_it_again(window, qtbot):
    viewer, widget = window
    click_voxel(viewer, widget.form.scan.value, VOXEL)
    for _ in range(2):
        click(widget.readout.reconstruct)
        wait_for(qtbot, widget, Phase.RUNNING)
        wait_for(qtbot, widget, Phase.DONE)
        assert widget.microscope.view.isVisible()
        widget.microscope.view.parent().destroyOnClose()
        qtbot.wait(200)
        assert widget.microscope.view is None


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_product_itself_sample_click_reconstruct(viewer, qtbot):
    (layer,) = viewer.open_sample("napari-remidi", "phantom")
    widget = open_widget(viewer, qtbot)
    click_voxel(viewer, layer, bent_axon(layer))
    click(widget.readout.reconstruct)
    wait_for(qtbot, widget, Phase.DONE, Phase.CRASHED, seconds=300)
    assert widget.status.now.phase is Phase.DONE
    assert len(surfaces(viewer)) == 1
    assert {layer.name for layer in widget.microscope.model.layers} == {"axon", "truth"}
    # the phantom's noise is SNR 50: the demo promises a quarter of a micrometre
    assert widget.session.axon.report()["chamfer_um"] <= 0.25
    click(widget.readout.reconstruct)
    qtbot.waitUntil(lambda: len(surfaces(viewer)) == 1 and widget.status.now.fraction > 0, timeout=60_000)
    click(widget.readout.cancel)
    wait_for(qtbot, widget, Phase.STOPPED, seconds=60)
