"""The protocol report: which protocol it takes, what it shows, and how it stops; then a real window."""

import time

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Layer
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from tests.ui.conftest import make_scan

from napari_remidi.errors import InputError
from napari_remidi.inversion.design.report import Expected, LeftOut, ProtocolReport
from napari_remidi.ui.layers import scan_layer
from napari_remidi.ui.protocol_report import ProtocolReportWidget
from napari_remidi.ui.protocol_source import FROM_FILES, PAPER
from napari_remidi.ui.session import TYPED
from napari_remidi.ui.status import Phase

QUANTITIES = (Expected("radius", "µm", 1.25, 0.5, 0.04, 0.06, 0.08), Expected("surface", "µm", None, 5, 0.1, 0.2, 0.02))
REPORT = ProtocolReport(
    QUANTITIES,
    (LeftOut("δ 5, Δ 10 ms", 600, 2.12),),
    tuple(LeftOut(f"b {b} s/mm²", 30, 1.04) for b in range(1000, 11000, 1000)),
    ("the gradient directions determine 3 of the 6 numbers of a diffusion tensor; add directions",),
    measurements=44,
    snr=50.0,
    prior="axon",
    diffusivity=2.0,
    fit_diffusivity=False,
    draws=2,
    seed=0,
)


class FakeReporter:
    """Yields shares, then a report; remembers what it was asked."""

    def __init__(self, count=4, pause=0.0, error=None):
        self.count, self.pause, self.error, self.done, self.asked = count, pause, error, 0, []

    def __call__(self, protocol, **options):
        self.asked.append((protocol, options))
        for number in range(self.count):
            time.sleep(self.pause)
            self.done = number + 1
            yield (number + 1) / self.count
        if self.error is not None:
            raise self.error
        return REPORT


@pytest.fixture
def viewer():
    return ViewerModel()


def opened(viewer, qtbot, reporter=None):
    widget = ProtocolReportWidget(viewer, reporter or FakeReporter())
    qtbot.addWidget(widget)
    return widget


def reported(widget, qtbot):
    widget.start.native.click()
    qtbot.waitUntil(lambda: not widget.status.now.running, timeout=60_000)


def choose_timing(widget, label):
    widget.source.timing.value = next(timing for timing in widget.source.timing.choices if timing.label == label)


def test_without_a_scan_the_paper_s_protocol_is_reported(viewer, qtbot):
    reporter = FakeReporter()
    widget = opened(viewer, qtbot, reporter)
    assert widget.source.choice.value == PAPER
    widget.snr.value = 30.0
    for name, value in (("prior", "axon-open"), ("diffusivity", 0.5), ("fit_diffusivity", True)):
        widget.choices[name].value = value
    reported(widget, qtbot)
    protocol, options = reporter.asked[0]
    assert len(protocol) == 1890
    assert options == {"snr": 30.0, "prior": "axon-open", "diffusivity": 0.5, "fit_diffusivity": True}
    assert widget.status.now.phase is Phase.DONE


def test_a_report_is_a_table_bars_and_cautions(viewer, qtbot):
    widget = opened(viewer, qtbot)
    assert not widget.view.isVisibleTo(widget)
    reported(widget, qtbot)
    for text in ("radius, µm", "1.25", "± 0.5", "± 0.04", "± 0.06"):
        assert text in widget.view.errors.text()
    assert "× 2.12" in widget.view.worth.text()
    assert widget.view.worth.text().count("s/mm²") == 5
    assert widget.view.cautions.text().startswith("The gradient directions determine 3 of the 6")
    assert widget.view.cautions.objectName() == "loud"
    background, shares = widget.view.bars.axes.containers
    assert [bar.get_width() for bar in background] == [100, 100]
    assert [bar.get_width() for bar in shares] == pytest.approx([8, 2])


def test_an_open_scan_s_protocol_is_offered_first_and_leaves_with_its_layer(viewer, qtbot):
    layer = viewer.add_layer(Layer.create(*scan_layer(make_scan())))
    reporter = FakeReporter()
    widget = opened(viewer, qtbot, reporter)
    assert widget.source.choice.value == layer
    reported(widget, qtbot)
    assert len(reporter.asked[0][0]) == 44
    viewer.layers.remove(layer)
    assert widget.source.choice.value == PAPER
    again = viewer.add_layer(Layer.create(*scan_layer(make_scan())))
    assert again in widget.source.choice.choices
    assert widget.source.choice.value == PAPER


def test_a_protocol_without_timing_is_refused_until_one_is_chosen(viewer, qtbot):
    viewer.add_layer(Layer.create(*scan_layer(make_scan(delta=None, Delta=None))))
    reporter = FakeReporter()
    widget = opened(viewer, qtbot, reporter)
    reported(widget, qtbot)
    assert "records no pulse timing" in widget.message.text()
    assert widget.message.objectName() == "loud"
    assert not reporter.asked
    choose_timing(widget, TYPED)
    reported(widget, qtbot)
    assert "give δ and Δ in ms" in widget.message.text()
    widget.source.delta.value, widget.source.Delta.value = 8.0, 30.0
    reported(widget, qtbot)
    assert reporter.asked[0][0].shells[0].Delta == 30.0
    choose_timing(widget, "preset HBCD 14.2/43")
    reported(widget, qtbot)
    assert (reporter.asked[1][0].shells[0].delta, reporter.asked[1][0].shells[0].Delta) == (14.2, 43.0)


def test_gradient_files_are_enough(viewer, qtbot, tmp_path):
    protocol = make_scan().protocol
    np.savetxt(tmp_path / "dwi.bval", protocol.bvals[None])
    np.savetxt(tmp_path / "dwi.bvec", protocol.bvecs.T)
    reporter = FakeReporter()
    widget = opened(viewer, qtbot, reporter)
    assert not widget.source.files["bvals"].native.isVisibleTo(widget)
    widget.source.choice.value = FROM_FILES
    assert widget.source.files["bvals"].native.isVisibleTo(widget)
    choose_timing(widget, "preset HBCD 14.2/43")
    reported(widget, qtbot)
    assert "no gradients" in widget.message.text()
    widget.source.files["bvals"].value, widget.source.files["bvecs"].value = (
        tmp_path / "dwi.bval",
        tmp_path / "dwi.bvec",
    )
    reported(widget, qtbot)
    assert len(reporter.asked[0][0]) == 44


@pytest.mark.parametrize("error", [InputError("the SNR is odd"), RuntimeError("out of memory")])
def test_an_error_is_a_sentence_in_the_window(viewer, qtbot, error):
    widget = opened(viewer, qtbot, FakeReporter(error=error))
    reported(widget, qtbot)
    assert widget.status.now.phase is Phase.CRASHED
    assert str(error) in widget.message.text()
    assert widget.start.enabled


def test_cancel_stops_and_leaves_no_report(viewer, qtbot):
    reporter = FakeReporter(count=500, pause=0.01)
    widget = opened(viewer, qtbot, reporter)
    widget.start.native.click()
    qtbot.waitUntil(lambda: reporter.done > 2, timeout=5000)
    assert not widget.start.enabled
    widget.cancel.native.click()
    qtbot.waitUntil(lambda: widget.status.now.phase is Phase.STOPPED, timeout=5000)
    assert reporter.done < 500
    assert widget.report is None
    assert not widget.view.isVisibleTo(widget)


def test_closing_stops_the_worker_and_leaves_no_callback(viewer, qtbot):
    events = (viewer.events.theme, *(getattr(viewer.layers.events, name) for name in ("inserted", "removed")))
    before = [len(event.callbacks) for event in events]
    reporter = FakeReporter(count=500, pause=0.01)
    widget = opened(viewer, qtbot, reporter)
    widget.start.native.click()
    qtbot.waitUntil(lambda: reporter.done > 2, timeout=5000)
    widget.close()
    assert [len(event.callbacks) for event in events] == before
    qtbot.wait(100)
    done = reporter.done
    qtbot.wait(150)
    assert reporter.done == done


def test_a_real_window_reports_a_small_protocol(display, make_napari_viewer, qtbot):
    viewer = make_napari_viewer(show=True)
    viewer.window.resize(1300, 950)
    viewer.add_layer(Layer.create(*scan_layer(make_scan())))
    _, widget = viewer.window.add_plugin_dock_widget("napari-remidi", "Protocol report")
    QTest.mouseClick(widget.start.native, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: not widget.status.now.running, timeout=120_000)
    assert widget.status.now.phase is Phase.DONE, widget.status.now.message
    assert widget.report.draws == 40
    assert 0 < widget.report["radius"].left < 1
    qtbot.wait(300)
    for part in (widget.view.errors, widget.view.bars, widget.view.worth):
        assert part.isVisible()
        assert part.width() <= widget.width()
    picture = np.asarray(widget.view.bars.buffer_rgba())[..., :3].astype(int)
    assert (np.abs(picture - [0x2F, 0x9E, 0x98]).max(axis=-1) < 12).mean() > 0.02
    widget.parent().destroyOnClose()
    qtbot.wait(100)
