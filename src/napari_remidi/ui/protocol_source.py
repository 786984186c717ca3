"""Protocol source: an open scan's protocol, the paper's, or that of gradient files, with a timing."""

from typing import Any

from magicgui.widgets import ComboBox
from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_remidi.errors import InputError
from napari_remidi.scan import Protocol, open_protocol
from napari_remidi.ui.form import chosen_files, gradient_fields, pulse_field, pulse_row, rows
from napari_remidi.ui.layers import scan_of
from napari_remidi.ui.session import TYPED, Timing, timings

PAPER, FROM_FILES = "paper", "files"
RECORDED = Timing("as recorded")


class ProtocolSource(QWidget):
    """Fields that choose a protocol; the scans among a viewer's layers are offered first."""

    def __init__(self, viewer: Any) -> None:
        super().__init__()
        self.choice = ComboBox(tooltip="The protocol of an open scan, of gradient files, or the ReMiDi paper's.")
        self.files = gradient_fields()
        offered = [(timing.label, timing) for timing in (RECORDED, *timings(None))]
        self.timing = ComboBox(choices=offered, tooltip="Pulse duration δ and separation Δ.")
        self.delta, self.Delta = pulse_field("δ", 500.0), pulse_field("Δ", 2000.0)
        self._viewer = viewer
        self._events = (viewer.layers.events.inserted, viewer.layers.events.removed, viewer.layers.events.renamed)
        self._file_rows = rows((name, field.native) for name, field in self.files.items())
        self._pulses = rows((("", pulse_row(self.delta, self.Delta)),))
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(8)
        column.addWidget(rows((("Protocol", self.choice.native),)))
        column.addWidget(self._file_rows)
        column.addWidget(rows((("Timing", self.timing.native),)))
        column.addWidget(self._pulses)
        for event in self._events:
            event.connect(self._offer)
        self.choice.changed.connect(self._show_fields)
        self.timing.changed.connect(self._show_fields)
        self._offer()

    def protocol(self) -> Protocol:
        """The protocol that was chosen, with its timing.

        Raises
        ------
        RemidiError
            Where files or timing cannot be used.
        """
        protocol, timing = self._untimed(), self.timing.value
        if timing.label == TYPED:
            if not (self.delta.value and self.Delta.value):
                raise InputError("No timing is typed: give δ and Δ in ms")
            timing = Timing(TYPED, self.delta.value, self.Delta.value)
        if timing.delta is not None:
            protocol = protocol.with_timing(timing.delta, timing.Delta, timing.label)
        protocol.require_timing()
        return protocol

    def release(self) -> None:
        """Stop listening to the viewer."""
        for event in self._events:
            event.disconnect(self._offer)

    def _untimed(self) -> Protocol:
        if self.choice.value == PAPER:
            return Protocol.paper()
        if self.choice.value == FROM_FILES:
            return open_protocol(**chosen_files(self.files))
        scan = scan_of(self.choice.value)
        assert scan is not None
        return scan.protocol

    def _offer(self) -> None:
        """The open scans first; what is chosen stays chosen."""
        scans = [layer for layer in self._viewer.layers if scan_of(layer) is not None]
        offered = [*((layer.name, layer) for layer in scans), ("ReMiDi paper", PAPER), ("From files…", FROM_FILES)]
        chosen, values = self.choice.value, [value for _, value in offered]
        with self.choice.changed.blocked():
            self.choice.choices = offered
            self.choice.value = chosen if chosen in values else values[0]
        self._show_fields()

    def _show_fields(self) -> None:
        self._file_rows.setVisible(self.choice.value == FROM_FILES)
        self._pulses.setVisible(self.timing.value.label == TYPED)
