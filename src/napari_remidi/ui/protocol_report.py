"""Widget: Plugins > napari-remidi > Protocol report. What can a protocol see?"""

import logging
from collections.abc import Callable, Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from magicgui.widgets import CheckBox, ComboBox, FileEdit, FloatSpinBox, ProgressBar, PushButton
from napari.qt.threading import create_worker
from qtpy.QtCore import QSize, Qt
from qtpy.QtWidgets import QAbstractSpinBox, QLabel, QScrollArea, QVBoxLayout, QWidget

from napari_remidi.errors import InputError, RemidiError
from napari_remidi.scan import Protocol, open_protocol
from napari_remidi.ui.choices import PRIORS
from napari_remidi.ui.docked import Docked
from napari_remidi.ui.form import emphasise, note, row, rows, say
from napari_remidi.ui.layers import scan_of
from napari_remidi.ui.report_view import EXPLAINED, SpreadBars, errors_table, worth_table
from napari_remidi.ui.run import Failure
from napari_remidi.ui.session import TYPED, Timing, timings
from napari_remidi.ui.status import Phase, Status, StatusModel
from napari_remidi.ui.style import Palette, stylesheet

if TYPE_CHECKING:
    import napari

    from napari_remidi.inversion import ProtocolReport

Reporter = Callable[..., "Generator[float, None, ProtocolReport]"]
WIDTH = 430
PAPER, FROM_FILES = "paper", "files"
RECORDED = Timing("as recorded")
_GRADIENTS = {"bvals": "b-values (*.bval *.bvals *)", "bvecs": "b-vectors (*.bvec *.bvecs *)", "scheme": "scheme (*)"}
HINT = "Which errors to expect of an axon, before scanning."


def own_reporter(protocol: Protocol, **options: Any) -> "Generator[float, None, ProtocolReport]":
    """The product's own; PyTorch is imported in the worker's thread."""
    from napari_remidi.inversion import report_steps

    return (yield from report_steps(protocol, **options))


def steps(
    reporter: Reporter, protocol: Protocol, options: dict[str, Any]
) -> "Generator[float, None, ProtocolReport | Failure]":
    """Shares done, then the report; runs in the worker's thread, and an error comes back as a value."""
    try:
        return (yield from reporter(protocol, **options))
    except RemidiError as error:
        return Failure(str(error))
    except Exception as error:
        logging.getLogger(__name__).exception("The protocol report failed")
        return Failure(f"The protocol report failed ({type(error).__name__}: {error}); the log has the details.")


class ProtocolReportWidget(Docked):
    """Choose a protocol, an SNR and a prior; read the errors to expect.

    Parameters
    ----------
    napari_viewer : napari.viewer.Viewer
    reporter : the generator function that makes the report; by default the product's own
    """

    def __init__(self, napari_viewer: "napari.viewer.Viewer", reporter: Reporter = own_reporter) -> None:
        super().__init__()
        self.viewer = napari_viewer
        self.status = StatusModel()
        self.report: ProtocolReport | None = None
        self.protocol = ComboBox(tooltip="The protocol of an open scan, of gradient files, or the ReMiDi paper's.")
        self.files = {name: FileEdit(name=name, filter=kind, nullable=True) for name, kind in _GRADIENTS.items()}
        offered = [(timing.label, timing) for timing in (RECORDED, *timings(None))]
        self.timing = ComboBox(choices=offered, tooltip="Pulse duration δ and separation Δ.")
        self.delta = FloatSpinBox(value=0.0, min=0.0, max=500.0, step=0.1, tooltip="δ, ms")
        self.Delta = FloatSpinBox(value=0.0, min=0.0, max=2000.0, step=0.1, tooltip="Δ, ms")
        self.snr = FloatSpinBox(value=50.0, min=1.0, max=10000.0, step=1.0, tooltip="S0 over the noise.")
        self.prior = ComboBox(choices=PRIORS, tooltip="Which shapes are thought likely.")
        self.fit = CheckBox(text="Diffusivity unknown", tooltip="Let the signal decide on the diffusivity too.")
        self.start = PushButton(text="Report")
        self.cancel = PushButton(text="Cancel")
        self.bar = ProgressBar(min=0, max=1000, value=0)
        self.message, self.cautions = note(HINT), note()
        self.errors, self.explained, self.worth = QLabel(), note(EXPLAINED), QLabel()
        self.bars = SpreadBars(Palette.of(napari_viewer.theme))
        self._reporter = reporter
        self._worker: Any = None
        self._layers = napari_viewer.layers.events
        self._lay_out()
        self._connect()
        self._offer_protocols()
        self._show_report(None)
        self._on_status(self.status.now)

    def sizeHint(self) -> QSize:
        """Wide enough for every field."""
        return QSize(WIDTH, 860)

    def release(self) -> None:
        """Stop the worker, remove every callback."""
        self._stop()
        for event in (self._layers.inserted, self._layers.removed, self._layers.renamed):
            event.disconnect(self._offer_protocols)
        self.viewer.events.theme.disconnect(self._dress)
        super().release()

    def chosen_protocol(self) -> Protocol:
        """The protocol with the timing that was chosen.

        Raises
        ------
        RemidiError
            Where files or timing cannot be used.
        """
        protocol = self._source()
        timing = self.timing.value
        if timing.label == TYPED:
            if not (self.delta.value and self.Delta.value):
                raise InputError("No timing is typed: give δ and Δ in ms")
            timing = Timing(TYPED, self.delta.value, self.Delta.value)
        if timing.delta is not None:
            protocol = protocol.with_timing(timing.delta, timing.Delta, timing.label)
        protocol.require_timing()
        return protocol

    def begin(self) -> None:
        """Make a report, as the button does."""
        if self.status.now.running:
            return
        try:
            protocol = self.chosen_protocol()
        except RemidiError as error:
            self.status.crashed(str(error))
            return
        options = {"prior": self.prior.value, "snr": self.snr.value, "fit_diffusivity": self.fit.value}
        self._show_report(None)
        self._worker = create_worker(steps, self._reporter, protocol, options, _start_thread=False)
        self._worker.yielded.connect(self._on_share)
        self._worker.returned.connect(self._on_end)
        self._worker.finished.connect(self._on_finished)
        self.status.running("Deriving the signals of shapes…", 0.0)
        self._worker.start()

    def stop(self) -> None:
        """Stop after the shape that is running."""
        if self._worker is not None:
            self.status.running("Stopping after this shape…", self.status.now.fraction)
            self._worker.quit()

    def _source(self) -> Protocol:
        chosen = self.protocol.value
        if chosen == PAPER:
            return Protocol.paper()
        if chosen == FROM_FILES:
            given: dict[str, Any] = {name: field.value for name, field in self.files.items()}
            return open_protocol(**{n: None if v in (None, Path(".")) else v for n, v in given.items()})
        scan = scan_of(chosen)
        assert scan is not None
        return scan.protocol

    def _lay_out(self) -> None:
        self.start.native.setObjectName("primary")
        self.bar.native.setTextVisible(False)
        self.bar.native.setFixedHeight(6)
        self.snr.native.setDecimals(1)
        for box in (self.delta, self.Delta):
            box.native.setSpecialValueText("–")
            box.native.setButtonSymbols(QAbstractSpinBox.ButtonSymbols.NoButtons)
        self._file_rows = rows([(name, field.native) for name, field in self.files.items()])
        pulses = (QLabel("δ"), self.delta.native, QLabel("Δ"), self.Delta.native, QLabel("ms"))
        self._pulses = rows([("", row(*pulses, stretch=(0, 1, 0, 1, 0)))])
        content = QWidget()
        column = QVBoxLayout(content)
        column.setContentsMargins(10, 8, 10, 8)
        column.setSpacing(8)
        column.addWidget(rows([("Protocol", self.protocol.native)]))
        column.addWidget(self._file_rows)
        column.addWidget(rows([("Timing", self.timing.native)]))
        column.addWidget(self._pulses)
        fields = (("SNR", self.snr.native), ("Prior", self.prior.native), ("", self.fit.native))
        column.addWidget(rows(fields))
        column.addWidget(row(self.start.native, self.cancel.native, stretch=(2, 1)))
        for part in (self.bar.native, self.message, self.errors, self.explained, self.bars, self.worth, self.cautions):
            column.addWidget(part)
        column.addStretch(1)
        for label in (self.errors, self.worth):
            label.setWordWrap(True)
        emphasise(self.cautions, True)
        scroll = QScrollArea()
        scroll.setWidgetResizable(True)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        scroll.setWidget(content)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(scroll)
        self.setMinimumWidth(WIDTH)
        self._dress()

    def _connect(self) -> None:
        for event in (self._layers.inserted, self._layers.removed, self._layers.renamed):
            event.connect(self._offer_protocols)
        self.protocol.changed.connect(self._follow_choices)
        self.timing.changed.connect(self._follow_choices)
        self.start.changed.connect(self.begin)
        self.cancel.changed.connect(self.stop)
        self.status.changed.connect(self._on_status)
        self.viewer.events.theme.connect(self._dress)

    def _offer_protocols(self) -> None:
        """The open scans first; the chosen one stays chosen."""
        scans = [layer for layer in self.viewer.layers if scan_of(layer) is not None]
        chosen = self.protocol.value
        offered = [*((layer.name, layer) for layer in scans), ("ReMiDi paper", PAPER), ("From files…", FROM_FILES)]
        values = [value for _, value in offered]
        with self.protocol.changed.blocked():
            self.protocol.choices = offered
            self.protocol.value = chosen if chosen in values else values[0]
        self._follow_choices()

    def _follow_choices(self) -> None:
        self._file_rows.setVisible(self.protocol.value == FROM_FILES)
        self._pulses.setVisible(self.timing.value.label == TYPED)

    def _on_share(self, share: float) -> None:
        if self._worker is not None and not self._worker.abort_requested:
            self.status.running("Deriving the signals of shapes…", share)

    def _on_end(self, outcome: "ProtocolReport | Failure") -> None:
        self._worker = None
        if isinstance(outcome, Failure):
            self.status.crashed(outcome.message)
            return
        self._show_report(outcome)
        self.status.done(
            f"{outcome.measurements} measurements at SNR {outcome.snr:g}; {outcome.shapes} shapes of the prior, "
            f"{outcome.orientations} orientations each."
        )

    def _on_finished(self) -> None:
        # a worker that is asked to quit reports neither a result nor an abort, only its end
        if self._worker is not None:
            self._worker = None
            self.status.stopped("Stopped; no report was made.")

    def _show_report(self, report: "ProtocolReport | None") -> None:
        self.report = report
        self.errors.setText("" if report is None else errors_table(report))
        self.worth.setText("" if report is None else worth_table(report))
        for part in (self.errors, self.explained, self.bars):
            part.setVisible(report is not None)
        self.worth.setVisible(bool(self.worth.text()))
        say(self.cautions, "" if report is None else "\n".join(_sentence(text) for text in report.cautions))
        if report is not None:
            self.bars.show_report(report)

    def _on_status(self, status: Status) -> None:
        self.start.enabled = not status.running
        self.cancel.enabled = status.running
        self.bar.value = round(1000 * status.fraction)
        say(self.message, status.message or HINT)
        emphasise(self.message, status.phase is Phase.CRASHED)

    def _stop(self) -> None:
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.quit()
            for signal in (worker.yielded, worker.returned, worker.finished):
                signal.disconnect()

    def _dress(self) -> None:
        palette = Palette.of(self.viewer.theme)
        self.setStyleSheet(stylesheet(palette))
        self.bars.paint(palette)


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."
