"""Widget: Plugins > napari-remidi > Protocol report. What can a protocol see?"""

from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any

from magicgui.widgets import FloatSpinBox, ProgressBar, PushButton
from qtpy.QtCore import QSize, Qt
from qtpy.QtWidgets import QScrollArea, QVBoxLayout, QWidget

from napari_remidi.errors import RemidiError
from napari_remidi.scan import Protocol
from napari_remidi.ui.background import Background, Failure, answered
from napari_remidi.ui.choices import choice_fields
from napari_remidi.ui.docked import Docked
from napari_remidi.ui.form import diffusivity_row, emphasise, note, row, rows, say
from napari_remidi.ui.protocol_source import ProtocolSource
from napari_remidi.ui.report_view import ReportView
from napari_remidi.ui.status import Phase, Status, StatusModel
from napari_remidi.ui.style import Palette, stylesheet

if TYPE_CHECKING:
    import napari

    from napari_remidi.inversion import ProtocolReport

Reporter = Callable[..., "Generator[float, None, ProtocolReport]"]
WIDTH = 430
HINT = "Which errors to expect of an axon, before scanning."


def own_reporter(protocol: Protocol, **options: Any) -> "Generator[float, None, ProtocolReport]":
    """The product's own; PyTorch is imported in the worker's thread."""
    from napari_remidi.inversion import report_steps

    return (yield from report_steps(protocol, **options))


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
        self.source = ProtocolSource(napari_viewer)
        self.snr = FloatSpinBox(value=50.0, min=1.0, max=10000.0, step=1.0, tooltip="S0 over the noise.")
        fields = choice_fields()
        self.choices = {name: fields[name] for name in ("prior", "diffusivity", "fit_diffusivity")}
        self.start = PushButton(text="Report")
        self.cancel = PushButton(text="Cancel")
        self.bar = ProgressBar(min=0, max=1000, value=0)
        self.message = note(HINT)
        self.view = ReportView(Palette.of(napari_viewer.theme))
        self._reporter = reporter
        self._background = Background(self._on_share, self._on_end, self._on_stopped)
        self._lay_out()
        self._connect()
        self._show(None)
        self._on_status(self.status.now)

    def sizeHint(self) -> QSize:
        """Wide enough for every field."""
        return QSize(WIDTH, 860)

    def release(self) -> None:
        """Stop the worker, remove every callback."""
        self._background.close()
        self.source.release()
        self.viewer.events.theme.disconnect(self._dress)
        super().release()

    def begin(self) -> None:
        """Make a report, as the button does."""
        if self._background.busy:
            return
        try:
            protocol = self.source.protocol()
        except RemidiError as error:
            self.status.crashed(str(error))
            return
        options = {"snr": self.snr.value, **{name: field.value for name, field in self.choices.items()}}
        self._show(None)
        self._on_share(0.0)
        self._background.start(answered, "The protocol report", self._reporter(protocol, **options))

    def stop(self) -> None:
        """Stop after the shape that is running."""
        if self._background.busy:
            self.status.running("Stopping after this shape…", self.status.now.fraction)
            self._background.cancel()

    def _lay_out(self) -> None:
        self.start.native.setObjectName("primary")
        self.bar.native.setTextVisible(False)
        self.bar.native.setFixedHeight(6)
        self.snr.native.setDecimals(1)
        diffusivity = diffusivity_row(self.choices, "unknown")
        prior = self.choices["prior"].native
        content = QWidget()
        column = QVBoxLayout(content)
        column.setContentsMargins(10, 8, 10, 8)
        column.setSpacing(8)
        column.addWidget(self.source)
        column.addWidget(rows((("SNR", self.snr.native), ("Prior", prior), ("Diffusivity", diffusivity))))
        column.addWidget(row(self.start.native, self.cancel.native, stretch=(2, 1)))
        for part in (self.bar.native, self.message, self.view):
            column.addWidget(part)
        column.addStretch(1)
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
        self.start.changed.connect(self.begin)
        self.cancel.changed.connect(self.stop)
        self.status.changed.connect(self._on_status)
        self.viewer.events.theme.connect(self._dress)

    def _on_share(self, share: float) -> None:
        self.status.running("Deriving the signals of shapes…", share)

    def _on_end(self, outcome: "ProtocolReport | Failure") -> None:
        if isinstance(outcome, Failure):
            self.status.crashed(outcome.message)
            return
        self._show(outcome)
        self.status.done(
            f"{outcome.measurements} measurements at SNR {outcome.snr:g}; {outcome.draws} draws of the prior."
        )

    def _on_stopped(self) -> None:
        self.status.stopped("Stopped; no report was made.")

    def _show(self, report: "ProtocolReport | None") -> None:
        self.report = report
        self.view.setVisible(report is not None)
        if report is not None:
            self.view.show_report(report)

    def _on_status(self, status: Status) -> None:
        self.start.enabled = not status.running
        self.cancel.enabled = status.running
        self.bar.value = round(1000 * status.fraction)
        say(self.message, status.message or HINT)
        emphasise(self.message, status.phase is Phase.CRASHED)

    def _dress(self) -> None:
        palette = Palette.of(self.viewer.theme)
        self.setStyleSheet(stylesheet(palette))
        self.view.paint(palette)
