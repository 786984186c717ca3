"""The prior explorer: logic without a window, then a real one."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import trimesh
from napari.components import ViewerModel
from napari.layers import Layer
from tests.ui.conftest import make_scan

from napari_remidi import Prior
from napari_remidi.shapes.autoencoder import SpectralAutoEncoder
from napari_remidi.shapes.quality import folded
from napari_remidi.ui import explorer
from napari_remidi.ui.explorer import FROM_FILE, PriorExplorer
from napari_remidi.ui.layers import scan_layer
from napari_remidi.ui.writer import write_surface


@pytest.fixture
def viewer():
    return ViewerModel()


def opened(viewer, qtbot):
    widget = PriorExplorer(viewer)
    qtbot.addWidget(widget)
    qtbot.waitUntil(lambda: widget.latent is not None, timeout=60_000)
    return widget


@pytest.fixture
def widget(viewer, qtbot):
    widget = opened(viewer, qtbot)
    yield widget
    widget.close()


@pytest.fixture
def prior():
    return Prior.load("axon")


def settle(qtbot):
    """Wait for the drawing that the last move asked for."""
    qtbot.wait(3 * explorer.REDRAW_EVERY)


def drawn(viewer):
    (layer,) = [layer for layer in viewer.layers if layer.name == "Prior explorer"]
    return layer


def extent_um(layer):
    return 1e3 * np.ptp(layer.data[0], axis=0)


def test_it_opens_with_the_mean_shape_in_its_true_size(widget, viewer, prior):
    points = prior.decode(np.zeros(prior.latent_dim)).points
    np.testing.assert_allclose(np.sort(extent_um(drawn(viewer))), np.sort(np.ptp(points, axis=0)), rtol=1e-4)
    assert {str(unit) for unit in drawn(viewer).units} == {"millimeter"}
    assert len(widget.sliders.sliders) == prior.latent_dim
    assert widget.message.text() == "Mean shape"


def test_a_slider_moves_one_dimension_and_the_surface_follows(widget, viewer, qtbot, prior):
    layer, before = drawn(viewer), drawn(viewer).data[0].copy()
    widget.sliders.sliders[1].setValue(1.5)
    settle(qtbot)
    z = np.zeros(prior.latent_dim)
    z[1] = 1.5
    np.testing.assert_allclose(widget.latent.z, z, atol=1e-9)
    assert drawn(viewer) is layer
    assert np.abs(drawn(viewer).data[0] - before).max() > 1e-4
    np.testing.assert_allclose(layer.metadata["shape"].points[0], prior.decode(widget.latent.z).points[0])


def test_many_moves_are_drawn_a_few_times(widget, qtbot, monkeypatch):
    calls = []
    monkeypatch.setattr(widget.stage, "draw", lambda *arguments: calls.append(arguments))
    for value in np.linspace(0, 2, 200):
        widget.sliders.sliders[0].setValue(value)
    settle(qtbot)
    assert 1 <= len(calls) <= 5
    assert calls[-1][0].points[0] == pytest.approx(Prior.load("axon").decode(widget.latent.z).points[0])


def test_sliding_leaves_the_camera_alone(widget, viewer, qtbot):
    viewer.scene.camera.angles, viewer.scene.camera.zoom = (10, 20, 30), 123.0
    widget.sliders.sliders[0].setValue(-1.0)
    settle(qtbot)
    assert viewer.scene.camera.angles == pytest.approx((10, 20, 30))
    assert viewer.scene.camera.zoom == 123.0


def test_a_deleted_layer_is_made_anew(widget, viewer, qtbot):
    viewer.layers.clear()
    widget.sample.native.click()
    settle(qtbot)
    assert drawn(viewer) is widget.stage.layer


def test_samples_are_those_of_the_seeds_shown(widget, prior):
    for seed in (0, 1):
        widget.sample.native.click()
        np.testing.assert_array_equal(widget.latent.z, prior.sample(1, seed)[0])
        assert widget.latent.caption == f"Random draw, seed {seed}"
    shown = [slider.value() for slider in widget.sliders.sliders]
    np.testing.assert_allclose(shown, widget.latent.z, atol=0.01)
    widget.mean.native.click()
    assert not widget.latent.z.any()


def test_every_member_of_the_family_fits_the_sliders(widget, prior):
    furthest = int(np.abs(prior.exemplars).max(axis=1).argmax())
    assert np.abs(prior.exemplars[furthest]).max() > 3
    for _ in range(furthest + 1):
        widget.member.native.click()
    np.testing.assert_allclose([slider.value() for slider in widget.sliders.sliders], widget.latent.z, atol=0.01)
    np.testing.assert_array_equal(widget.latent.z, prior.exemplars[furthest])
    widget.mean.native.click()
    assert widget.sliders.sliders[0].maximum() == 3


def test_interpolation_ends_at_a_member(widget, qtbot, prior, monkeypatch):
    monkeypatch.setattr(explorer, "JOURNEY", 0.4)
    path = []
    widget.latent.moved.connect(lambda: path.append(widget.latent.z))
    widget.interpolate.native.click()
    qtbot.waitUntil(lambda: np.array_equal(widget.latent.z, prior.exemplars[0]), timeout=5000)
    qtbot.wait(200)
    shares = np.array(path) @ prior.exemplars[0] / (prior.exemplars[0] @ prior.exemplars[0])
    assert len(path) > 2
    assert (np.diff(shares) > 0).all()


def test_moving_a_slider_stops_the_interpolation(widget, qtbot):
    widget.interpolate.native.click()
    qtbot.waitUntil(lambda: widget.latent.z.any(), timeout=2000)
    widget.sliders.sliders[0].setValue(1.0)
    stopped = widget.latent.z
    qtbot.wait(300)
    np.testing.assert_array_equal(widget.latent.z, stopped)
    assert stopped[0] == pytest.approx(1.0, abs=0.01)


def test_a_mesh_that_folds_is_told_and_coloured(widget, viewer, qtbot, prior):
    sound = drawn(viewer).data[2].copy()
    folding = next(z for z in 3 * prior.draws(100, seed=1) if folded(prior, z[None])[0])
    widget.latent.move(folding, "A test")
    settle(qtbot)
    assert "folds" in widget.message.text()
    assert widget.message.objectName() == "loud"
    assert not np.isin(drawn(viewer).data[2], sound).any()
    widget.mean.native.click()
    settle(qtbot)
    assert widget.message.objectName() == "quiet"
    np.testing.assert_array_equal(drawn(viewer).data[2], sound)


@pytest.mark.parametrize("far", [1e9, np.nan])
def test_what_is_no_shape_is_not_drawn(widget, viewer, qtbot, prior, monkeypatch, far):
    before = drawn(viewer).data[0].copy()
    monkeypatch.setattr(Prior, "nodes", lambda self, z: np.full((len(prior.tube.section), 3), far))
    widget.latent.move(np.ones(prior.latent_dim), "A test")
    settle(qtbot)
    assert "too far" in widget.message.text()
    np.testing.assert_array_equal(drawn(viewer).data[0], before)


def test_the_figures_are_those_of_the_shape(widget, prior):
    text = widget.figures.text()
    axis = prior.decode(np.zeros(prior.latent_dim)).points.reshape(prior.tube.layers, -1, 3)[:, 0]
    assert f"{np.linalg.norm(np.diff(axis, axis=0), axis=1).sum():.1f} µm" in text
    assert f"{prior.provenance['metrics']['vertex_error_um']:.3f} µm" in text
    assert f"= {prior.latent_dim**0.5:.1f}" in text


def test_a_file_that_holds_no_prior_is_refused_and_the_next_choice_works(widget, qtbot, tmp_path, prior):
    (tmp_path / "bad.safetensors").write_bytes(b"no weights")
    widget.prior.value = FROM_FILE
    assert widget.latent is None
    assert not widget.sample.enabled
    widget.file.value = tmp_path / "bad.safetensors"
    qtbot.waitUntil(lambda: "not a prior" in widget.message.text(), timeout=5000)
    prior.save(tmp_path / "mine.safetensors")
    widget.file.value = tmp_path / "mine.safetensors"
    qtbot.waitUntil(lambda: widget.latent is not None, timeout=5000)
    assert "mine" in widget.figures.text()
    widget.prior.value = "axon-open"
    qtbot.waitUntil(lambda: widget.latent is not None, timeout=5000)
    assert "100.0 µm" in widget.figures.text()


def test_there_is_a_slider_for_every_dimension_of_any_prior(widget, qtbot, tmp_path, prior):
    torch.manual_seed(0)
    network = SpectralAutoEncoder(prior.basis.size, 24).eval()
    replace(prior, network=network, exemplars=np.zeros((0, 24)), provenance={}).save(tmp_path / "wide.safetensors")
    widget.prior.value, widget.file.value = FROM_FILE, tmp_path / "wide.safetensors"
    qtbot.waitUntil(lambda: widget.latent is not None, timeout=5000)
    assert len(widget.sliders.sliders) == 24
    widget.sliders.sliders[23].setValue(1.0)
    assert widget.latent.z[23] == pytest.approx(1.0, abs=0.01)
    assert widget.sample.enabled
    assert not widget.member.enabled
    assert not widget.interpolate.enabled


def test_an_empty_viewer_turns_to_the_shape(widget, viewer):
    assert viewer.dims.ndisplay == 3
    assert not widget.hint.isVisibleTo(widget)
    length = extent_um(drawn(viewer)).max() * 1e-3 * viewer.scene.camera.zoom
    assert 0.5 < length / min(viewer.canvas.size) < 0.95


def test_beside_a_scan_the_view_stays_until_the_user_asks(viewer, qtbot):
    scan = viewer.add_layer(Layer.create(*scan_layer(make_scan())))
    viewer.scene.camera.orientation = ("towards", "up", "right")
    steps, zoom = viewer.dims.range[1].step, viewer.scene.camera.zoom
    widget = opened(viewer, qtbot)
    assert (viewer.dims.ndisplay, viewer.scene.camera.zoom) == (2, zoom)
    assert viewer.layers.selection.active is scan
    assert viewer.dims.range[1].step >= min(steps, 1.0)
    assert widget.hint.isVisibleTo(widget)
    widget.show_alone.native.click()
    assert viewer.dims.ndisplay == 3
    assert not scan.visible
    assert not widget.hint.isVisibleTo(widget)
    scan.visible = True
    assert [part.value for part in viewer.scene.camera.orientation] == ["towards", "up", "right"]
    assert widget.hint.isVisibleTo(widget)
    widget.close()


def test_the_surface_is_saved_in_micrometres(widget, viewer, prior, tmp_path):
    data, meta, _ = drawn(viewer).as_layer_data_tuple()
    write_surface(str(tmp_path / "shape.ply"), data, meta)
    saved = trimesh.load(tmp_path / "shape.ply", process=False)
    points = prior.decode(np.zeros(prior.latent_dim)).points
    np.testing.assert_allclose(np.ptp(saved.vertices, axis=0), np.ptp(points, axis=0), rtol=1e-4)


def test_a_closed_widget_leaves_no_callback(viewer, qtbot):
    events = (viewer.events.theme, viewer.dims.events.ndisplay, viewer.layers.events)
    before = [len(event.callbacks) for event in events]
    widget = opened(viewer, qtbot)
    widget.interpolate.native.click()
    widget.close()
    assert [len(event.callbacks) for event in events] == before
    z = widget.latent.z
    qtbot.wait(200)
    np.testing.assert_array_equal(widget.latent.z, z)


def test_a_real_window_shows_the_shape_bright_and_moves_it(display, make_napari_viewer, qtbot):
    viewer = make_napari_viewer(show=True)
    viewer.window.resize(1300, 850)
    _, widget = viewer.window.add_plugin_dock_widget("napari-remidi", "Prior explorer")
    qtbot.waitUntil(lambda: widget.latent is not None, timeout=60_000)
    qtbot.wait(300)
    before, picture = drawn(viewer).data[0].copy(), viewer.screenshot(flash=False)[..., :3].astype(int)
    seen = np.ptp(picture, axis=-1) > 30
    assert seen.mean() > 0.02
    assert np.percentile(picture[seen].max(axis=-1), 75) > 120
    widget.sliders.sliders[0].setValue(1.5)
    settle(qtbot)
    qtbot.wait(200)
    assert np.abs(drawn(viewer).data[0] - before).max() > 1e-4
    assert np.abs(viewer.screenshot(flash=False)[..., :3].astype(int) - picture).max() > 100
    widget.parent().destroyOnClose()
    qtbot.wait(100)
