"""One status drives the window."""

import pytest

from napari_remidi.ui.status import Phase, Status, StatusModel


@pytest.fixture
def model():
    return StatusModel("hello")


def test_every_change_is_announced(model):
    heard = []
    model.changed.connect(heard.append)
    model.running("step 1", 0.5)
    model.done("done")
    assert heard == [Status(Phase.RUNNING, "step 1", 0.5), Status(Phase.DONE, "done", 1.0)]


def test_a_hint_does_not_interrupt_a_run(model):
    model.running("step 1", 0.5)
    model.idle("click a voxel")
    assert model.now.running


def test_the_bar_stays_where_a_stopped_run_left_it(model):
    model.running("step 1", 0.4)
    model.stopped("stopped")
    assert model.now == Status(Phase.STOPPED, "stopped", 0.4)


def test_fractions_stay_between_nothing_and_all(model):
    model.running("odd", 1.7)
    assert model.now.fraction == 1.0
