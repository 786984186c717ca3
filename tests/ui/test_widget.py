"""The widget from a scan to an axon, with an engine that only pretends; no window is needed."""

from dataclasses import asdict
from pathlib import Path

import pytest
from napari.components import ViewerModel
from napari.layers import Layer
from tests.ui.conftest import VOXEL, FakeEngine, make_scan

from napari_remidi.errors import OutOfMemory
from napari_remidi.inversion import Settings
from napari_remidi.ui.choices import Choices
from napari_remidi.ui.layers import scan_layer
from napari_remidi.ui.session import MISSING
from napari_remidi.ui.status import Phase
from napari_remidi.ui.widget import AxonReconstruction


@pytest.fixture
def viewer(scan):
    viewer = ViewerModel()
    viewer.add_layer(Layer.create(*scan_layer(scan)))
    return viewer


@pytest.fixture
def engine():
    return FakeEngine()


@pytest.fixture
def widget(viewer, engine, errors, qtbot):
    widget = AxonReconstruction(viewer, engine=engine)
    qtbot.addWidget(widget)
    return widget


def run(widget, qtbot, *phases):
    widget.readout.reconstruct.native.click()
    qtbot.waitUntil(lambda: widget.status.now.phase in (phases or (Phase.DONE,)), timeout=10_000)


def surfaces(viewer):
    return [layer for layer in viewer.layers if layer._type_string == "surface"]


def test_the_open_scan_is_chosen_and_a_voxel_asked_for(widget, viewer):
    assert widget.form.scan.value is viewer.layers[0]
    assert "Click a voxel" in widget.status.now.message
    assert not widget.readout.reconstruct.enabled


def test_without_a_scan_the_window_says_what_to_do(qtbot, errors):
    widget = AxonReconstruction(ViewerModel())
    qtbot.addWidget(widget)
    assert "Phantom" in widget.status.now.message


def test_the_first_image_without_diffusion_weighting_is_shown(widget, viewer):
    assert viewer.dims.current_step[0] == 0


def test_a_picked_voxel_is_marked_plotted_and_can_be_reconstructed(widget, viewer):
    widget.pick(VOXEL)
    assert [layer.name for layer in viewer.layers] == ["test scan", "picked voxel"]
    assert widget.form.voxel.text().startswith("4, 2, 1")
    assert widget.plot.axes.lines
    assert widget.readout.reconstruct.enabled


def test_a_second_pick_moves_the_mark(widget, viewer):
    widget.pick(VOXEL)
    widget.pick((1, 1, 1))
    assert len(viewer.layers) == 2


def test_picking_leaves_the_users_layer_selected(widget, viewer):
    widget.pick(VOXEL)
    assert viewer.layers.selection.active is viewer.layers[0]


def test_a_voxel_without_signal_is_refused_in_a_sentence(widget, errors):
    widget.pick((0, 0, 0))
    assert len(errors) == 1
    assert not widget.readout.reconstruct.enabled


def test_reconstruct_ends_with_a_surface_in_both_views(widget, viewer, engine, qtbot):
    widget.pick(VOXEL)
    run(widget, qtbot)
    assert [layer.name.split(" ")[0] for layer in surfaces(viewer)] == ["axon"]
    assert [layer.name for layer in widget.microscope.model.layers] == ["axon", "truth"]
    assert surfaces(viewer)[0].data[2].max() == pytest.approx(0.3)
    assert "0.100 µm" in widget.readout.results.text()


def test_the_engine_gets_what_the_form_says(widget, engine, qtbot):
    widget.pick(VOXEL)
    widget.form.choices["starts"].value = 7
    run(widget, qtbot)
    assert engine.calls[0].settings.keys() == {*Choices().settings(), "noise_sd"}
    assert engine.calls[0].settings["starts"] == 7
    assert engine.calls[0].source == {"scan": "test scan", "path": None, "voxel": list(VOXEL)}


def test_the_forms_names_and_defaults_are_the_librarys():
    ours, theirs = asdict(Choices()), Settings().to_dict()
    assert ours.pop("fit_diffusivity") == Settings().fits_diffusivity
    assert ours == {name: theirs[name] for name in ours}


def test_the_surface_grows_while_it_runs(widget, viewer, engine, qtbot):
    engine.steps, engine.pause = 20, 0.05
    widget.pick(VOXEL)
    run(widget, qtbot, Phase.RUNNING)
    qtbot.waitUntil(lambda: bool(surfaces(viewer)), timeout=5000)
    assert widget.status.now.running
    qtbot.waitUntil(lambda: not widget.status.now.running, timeout=10_000)


def test_the_surface_is_drawn_at_most_five_times_a_second(widget, engine, qtbot, monkeypatch):
    drawn = []
    monkeypatch.setattr(widget.run, "_draw", lambda request, iterate: drawn.append(iterate))
    engine.steps, engine.pause = 50, 0.02
    widget.pick(VOXEL)
    run(widget, qtbot)
    # fifty steps of 20 ms take a little over a second: six drawings at 0, 0.2 ... 1.0 s, and room for a slow machine
    assert 3 <= len(drawn) <= 12


def test_fields_are_locked_while_it_runs_and_free_afterwards(widget, engine, qtbot):
    engine.steps, engine.pause = 10, 0.05
    widget.pick(VOXEL)
    run(widget, qtbot, Phase.RUNNING)
    assert not widget.form.scan.enabled
    assert widget.readout.cancel.enabled
    assert not widget.readout.reconstruct.enabled
    qtbot.waitUntil(lambda: widget.status.now.phase is Phase.DONE, timeout=10_000)
    assert widget.form.scan.enabled
    assert not widget.readout.cancel.enabled


def test_cancel_stops_within_one_step(widget, engine, qtbot):
    engine.steps, engine.pause = 200, 0.05
    widget.pick(VOXEL)
    run(widget, qtbot, Phase.RUNNING)
    qtbot.waitUntil(lambda: engine.stepped >= 2, timeout=5000)
    widget.readout.cancel.native.click()
    asked = engine.stepped
    qtbot.waitUntil(lambda: widget.status.now.phase is Phase.STOPPED, timeout=5000)
    qtbot.wait(200)
    assert engine.stepped <= asked + 1
    assert widget.session.axon is None


def test_a_cancelled_run_leaves_its_best_axon_and_says_that_it_is_no_result(widget, engine, viewer, qtbot):
    engine.steps, engine.pause, engine.settles = 200, 0.05, True
    widget.pick(VOXEL)
    run(widget, qtbot, Phase.RUNNING)
    qtbot.waitUntil(lambda: engine.stepped >= 2, timeout=5000)
    widget.readout.cancel.native.click()
    qtbot.waitUntil(lambda: widget.status.now.phase is Phase.STOPPED, timeout=5000)
    assert widget.status.now.message == "Stopped. The axon is the best so far, not a result."
    assert widget.session.axon.report()["stop_reason"] == "cancelled"
    assert widget.readout.save.enabled
    assert len(surfaces(viewer)) == 1


def test_cancel_before_the_first_step_stops_too(widget, engine, qtbot):
    engine.steps, engine.pause = 200, 0.05
    widget.pick(VOXEL)
    widget.reconstruct()
    widget.run.cancel()
    qtbot.waitUntil(lambda: widget.status.now.phase is Phase.STOPPED, timeout=5000)
    assert engine.stepped <= 1


def test_cancel_in_the_last_step_still_stops(widget, engine, qtbot):
    engine.steps, engine.pause = 1, 0.3
    widget.pick(VOXEL)
    run(widget, qtbot, Phase.RUNNING)
    widget.readout.cancel.native.click()
    qtbot.waitUntil(lambda: widget.status.now.phase is Phase.STOPPED, timeout=5000)


def test_a_second_run_works_and_redraws_the_same_layer(widget, viewer, engine, qtbot):
    widget.pick(VOXEL)
    run(widget, qtbot)
    run(widget, qtbot, Phase.RUNNING)
    qtbot.waitUntil(lambda: widget.status.now.phase is Phase.DONE, timeout=10_000)
    assert len(engine.calls) == 2
    assert len(surfaces(viewer)) == 1


def test_another_voxels_axon_stands_beside_the_first(widget, viewer, qtbot):
    for voxel in (VOXEL, (1, 1, 1)):
        widget.pick(voxel)
        run(widget, qtbot, Phase.RUNNING)
        qtbot.waitUntil(lambda: widget.status.now.phase is Phase.DONE, timeout=10_000)
    assert len(surfaces(viewer)) == 2
    assert [layer.name for layer in widget.microscope.model.layers] == ["axon"]


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (OutOfMemory("The device ran out of memory: choose cpu."), "The device ran out of memory: choose cpu."),
        (RuntimeError("kernel"), "RuntimeError: kernel"),
    ],
)
def test_a_failed_run_says_why_and_the_next_one_works(widget, engine, errors, qtbot, error, sentence):
    engine.error = error
    widget.pick(VOXEL)
    run(widget, qtbot, Phase.CRASHED)
    assert len(errors) == 1
    assert sentence in errors[0]
    engine.error = None
    run(widget, qtbot)


def test_a_scan_without_timing_asks_and_runs_once_told(viewer, engine, errors, qtbot):
    viewer.layers.clear()
    viewer.add_layer(Layer.create(*scan_layer(make_scan(delta=None, Delta=None))))
    widget = AxonReconstruction(viewer, engine=engine)
    qtbot.addWidget(widget)
    assert widget.form.source.text() == MISSING
    widget.pick(VOXEL)
    widget.readout.reconstruct.native.click()
    assert len(errors) == 1
    preset = next(timing for label, timing in _offered(widget) if "HCP WU-Minn" in label)
    widget.form.timing.value = preset
    assert "preset HCP WU-Minn" in widget.form.source.text()
    run(widget, qtbot)
    assert engine.calls[0].protocol.Delta[-1] == pytest.approx(43.1)


def test_typed_timing_is_used_and_named(widget, engine, qtbot):
    widget.form.timing.value = _offered(widget)[-1][1]
    widget.form.delta.value, widget.form.Delta.value = 6.0, 33.0
    assert widget.form.source.text() == "typed"
    widget.pick(VOXEL)
    run(widget, qtbot)
    assert engine.calls[0].protocol.delta[-1] == 6.0
    assert engine.calls[0].protocol.Delta[-1] == 33.0


def test_typed_timing_that_contradicts_itself_is_refused(widget, errors):
    widget.form.timing.value = _offered(widget)[-1][1]
    widget.form.delta.value = 60.0
    assert len(errors) == 1
    assert widget.form.source.text() == MISSING


def test_a_result_stays_and_says_whose_it_is_when_another_voxel_is_picked(widget, qtbot):
    widget.pick(VOXEL)
    run(widget, qtbot)
    widget.pick((1, 1, 1))
    assert "4, 2, 1" in widget.readout.results.text()
    assert len(widget.plot.axes.lines) == 2
    widget.pick(VOXEL)
    assert len(widget.plot.axes.lines) == 4


def test_the_twin_is_shown_and_hidden(widget, qtbot):
    widget.pick(VOXEL)
    run(widget, qtbot)
    assert "mirror" in widget.readout.twin_note.text()
    widget.readout.twin.native.click()
    assert widget.microscope.layer("twin") is not None
    widget.readout.twin.native.click()
    assert widget.microscope.layer("twin") is None


def test_save_asks_where_and_writes(widget, qtbot, tmp_path, monkeypatch):
    path = str(tmp_path / "axon.ply")
    monkeypatch.setattr("napari_remidi.ui.widget.QFileDialog.getSaveFileName", lambda *_: (path, ""))
    widget.pick(VOXEL)
    run(widget, qtbot)
    widget.readout.save.native.click()
    assert Path(path).exists()
    assert "axon.ply" in widget.status.now.message


def test_a_file_that_is_no_scan_is_refused_in_a_sentence(widget, errors, tmp_path, monkeypatch):
    path = tmp_path / "broken.nii.gz"
    path.write_bytes(b"not a scan")
    monkeypatch.setattr("napari_remidi.ui.source.QFileDialog.getOpenFileName", lambda *_: (str(path), ""))
    widget.form.open.native.click()
    assert len(errors) == 1
    assert "broken.nii.gz" in errors[0]


def test_tissue_suggests_open_ends_and_a_fitted_diffusivity(viewer, errors, qtbot):
    viewer.layers.clear()
    viewer.add_layer(Layer.create(*scan_layer(make_scan(truth=False))))
    widget = AxonReconstruction(viewer)
    qtbot.addWidget(widget)
    choices = widget.form.read_choices()
    assert (choices.prior, choices.model, choices.fit_diffusivity) == ("axon-open", "voxel", True)


def test_removing_the_scan_leaves_a_usable_window(widget, viewer):
    widget.pick(VOXEL)
    viewer.layers.remove(widget.form.scan.value)
    assert widget.session.scan is None
    assert not widget.readout.reconstruct.enabled


def _offered(widget):
    return [(timing.label, timing) for timing in widget.form.timing.choices if timing is not None]
