"""The button that trains a preview, with a trainer that only pretends."""

import time

import pytest
from napari.components import ViewerModel
from napari.layers import Layer
from tests.ui.conftest import VOXEL, make_scan

from napari_remidi.errors import InputError
from napari_remidi.inversion.preview import Preview
from napari_remidi.shapes import Prior
from napari_remidi.ui.layers import scan_layer
from napari_remidi.ui.preview_training import DONE, own_trainer
from napari_remidi.ui.status import Phase
from napari_remidi.ui.widget import AxonReconstruction


class FakeTrainer:
    """Takes a number of steps, then fails or not; it remembers what it was asked."""

    def __init__(self, steps=3, error=None):
        self.steps, self.error, self.asked, self.taken = steps, error, [], 0

    def __call__(self, protocol, settings):
        self.asked.append((protocol, settings))
        for step in range(self.steps):
            time.sleep(0.02)
            self.taken += 1
            yield "simulating axons", (step + 1) / self.steps
        if self.error is not None:
            raise self.error


def opened(qtbot, trainer, scan):
    viewer = ViewerModel()
    viewer.add_layer(Layer.create(*scan_layer(scan)))
    widget = AxonReconstruction(viewer, trainer=trainer)
    qtbot.addWidget(widget)
    return widget


def test_the_button_trains_for_the_scan_s_protocol_without_a_voxel(scan, errors, qtbot):
    trainer = FakeTrainer()
    widget = opened(qtbot, trainer, scan)
    told = []
    widget.status.changed.connect(lambda status: told.append((status.message, widget.form.train.enabled)))
    widget.form.train.native.click()
    qtbot.waitUntil(lambda: widget.status.now.phase is Phase.DONE, timeout=5000)
    assert widget.status.now.message == DONE
    assert ("Simulating axons…", False) in told
    assert widget.form.train.enabled
    (protocol, settings), *more = trainer.asked
    assert protocol is scan.protocol
    assert settings == widget.form.read_choices().settings()
    assert more == errors == []


def test_cancel_stops_the_training_and_a_reconstruction_waits_for_it(scan, errors, qtbot):
    trainer = FakeTrainer(steps=500)
    widget = opened(qtbot, trainer, scan)
    widget.pick(VOXEL)
    widget.train_preview()
    qtbot.waitUntil(lambda: trainer.taken > 0, timeout=5000)
    assert not widget.readout.reconstruct.enabled
    widget.readout.cancel.native.click()
    qtbot.waitUntil(lambda: widget.status.now.phase is Phase.STOPPED, timeout=5000)
    assert widget.readout.reconstruct.enabled


def test_what_cannot_be_trained_is_said(scan, errors, qtbot):
    widget = opened(qtbot, FakeTrainer(error=InputError("no shell has 6 directions")), scan)
    widget.train_preview()
    qtbot.waitUntil(lambda: widget.status.now.phase is Phase.CRASHED, timeout=5000)
    assert errors == ["no shell has 6 directions"]
    untimed = FakeTrainer()
    widget = opened(qtbot, untimed, make_scan(delta=None, Delta=None))
    widget.train_preview()
    assert untimed.asked == []
    assert len(errors) == 2


def test_closing_the_window_stops_the_training(scan, qtbot):
    trainer = FakeTrainer(steps=500)
    widget = opened(qtbot, trainer, scan)
    widget.train_preview()
    qtbot.waitUntil(lambda: trainer.taken > 0, timeout=5000)
    widget.close()
    qtbot.wait(100)
    taken = trainer.taken
    qtbot.wait(200)
    assert trainer.taken == taken


def test_the_product_s_own_is_kept_where_a_reconstruction_looks(scan, monkeypatch, tmp_path):
    monkeypatch.setattr("napari_remidi.inversion.preview.store.user_cache_path", lambda name: tmp_path / name)
    real, prior = Preview.train, Prior.load("axon")
    monkeypatch.setattr(Preview, "train", lambda *args: real(*args, shapes=4, steps=2))
    stages = {what for what, _ in own_trainer(scan.protocol, {"prior": "axon", "model": "axon"})}
    assert len(stages) == 3
    assert Preview.for_protocol(scan.protocol, prior) is not None
    with pytest.raises(InputError, match="closed ends"):
        next(own_trainer(scan.protocol, {"prior": "axon-open", "model": "voxel"}))
