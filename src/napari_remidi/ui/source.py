"""Source: which scan, which gradients and which timing; the form's upper half, connected to the session."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from napari.layers import Layer
from psygnal import Signal
from qtpy.QtWidgets import QFileDialog

from napari_remidi.errors import InputError
from napari_remidi.scan import Scan
from napari_remidi.ui.form import Form, chosen_files, say
from napari_remidi.ui.layers import nifti_of, scan_layer, scan_of
from napari_remidi.ui.session import TYPED, Session, Timing, timings

_OPEN = "Diffusion MRI (*.nii *.nii.gz)"
_NEUROLOGICAL = ("towards", "up", "right")


class Source:
    """Keeps the form's scan and timing and the session's in step.

    Parameters
    ----------
    viewer : napari viewer or viewer model
    form : Form
    session : Session
    attempt : runs an action and shows its error, if any, to the user
    """

    changed = Signal()

    def __init__(self, viewer: Any, form: Form, session: Session, attempt: Callable[[Callable[[], Any]], Any]) -> None:
        self._viewer, self._form, self._session, self._attempt = viewer, form, session, attempt
        self._events = (viewer.layers.events.inserted, viewer.layers.events.removed, viewer.layers.events.renamed)
        for event in self._events:
            event.connect(self.refresh)
        form.scan.changed.connect(self._use_layer)
        form.open.changed.connect(self._ask_what_to_open)
        form.use_files.changed.connect(lambda: attempt(self._use_gradients))
        form.timing.changed.connect(lambda: attempt(self._use_timing))
        for box in (form.delta, form.Delta):
            box.changed.connect(lambda: attempt(self._use_timing))
        session.timing_changed.connect(self._show_timing)

    @property
    def lacks_gradients(self) -> bool:
        """Whether the chosen image is no scan yet, because its gradients are not known."""
        layer = self._form.scan.value
        return layer is not None and scan_of(layer) is None

    @property
    def layer(self) -> Layer | None:
        """The image layer that is worked on, if it holds a scan."""
        layer = self._form.scan.value
        return layer if layer is not None and scan_of(layer) is not None else None

    def refresh(self) -> None:
        """Offer the scans among the viewer's layers; the chosen one stays chosen."""
        form, found = self._form, [layer for layer in self._viewer.layers if scan_of(layer) or nifti_of(layer)]
        chosen = form.scan.value
        with form.scan.changed.blocked():
            form.scan.choices = [(layer.name, layer) for layer in found] or [("no scan is open", None)]
            form.scan.value = chosen if chosen in found else found[-1] if found else None
        self._use_layer()

    def open(self, path: str | Path) -> None:
        """Open a NIfTI file as a layer and work on it.

        Raises
        ------
        RemidiError
            The file is no diffusion scan.
        """
        from napari_remidi.ui.reader import read_scan

        for made in read_scan(path):
            self._form.scan.value = self._viewer.add_layer(Layer.create(*made))

    def disconnect(self) -> None:
        """Stop listening to the viewer."""
        for event in self._events:
            event.disconnect(self.refresh)

    def _use_layer(self) -> None:
        form, layer = self._form, self._form.scan.value
        scan = None if layer is None else scan_of(layer)
        lacking = self.lacks_gradients
        form.gradients.setVisible(lacking)
        if scan is self._session.scan and not lacking:
            self.changed.emit()
            return
        say(form.about_scan, "its gradients are not known: choose the files" if lacking else describe(scan))
        if scan is not None:
            self._viewer.scene.camera.orientation = _NEUROLOGICAL
            self._viewer.dims.set_point(self._viewer.dims.ndim - 4, float(np.argmax(scan.protocol.is_b0)))
            form.suggest(known_axons="truth" in scan.metadata)
        with form.delta.changed.blocked(), form.Delta.changed.blocked():
            form.show_timings(
                timings(scan), timings(scan)[0] if scan is not None and scan.protocol.has_timing else None
            )
        self._session.use_scan(scan)
        self.changed.emit()

    def _use_gradients(self) -> None:
        layer = self._form.scan.value
        path = None if layer is None else nifti_of(layer)
        if path is None:
            raise InputError("There is no image without gradients to give them to: open a 4D NIfTI image first")
        scan = Scan.open(path, **chosen_files(self._form.files))
        self._viewer.layers.remove(layer)
        self._form.scan.value = self._viewer.add_layer(Layer.create(*scan_layer(scan)))

    def _use_timing(self) -> None:
        form, chosen = self._form, self._form.timing.value
        if chosen is None:
            return
        if chosen.label == TYPED:
            chosen = Timing(TYPED, form.delta.value, form.Delta.value)
            if not (chosen.delta and chosen.Delta):
                form.show_pulses(chosen.delta, chosen.Delta, "type δ and Δ in ms", editable=True)
                return
        self._session.use_timing(chosen)

    def _show_timing(self) -> None:
        form, session = self._form, self._session
        if session.scan is None:
            form.show_pulses(None, None, "", editable=False)
            return
        protocol, typed = session.protocol or session.scan.protocol, form.timing.value
        pulses = {(s.delta, s.Delta) for s in protocol.shells} if protocol.has_timing else set()
        several = f", {len(pulses)} timings" if len(pulses) > 1 else ""
        delta, Delta = pulses.pop() if len(pulses) == 1 else (None, None)
        form.show_pulses(delta, Delta, session.timing_source + several, typed is not None and typed.label == TYPED)

    def _ask_what_to_open(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self._form, "Open a scan", "", _OPEN)
        if path:
            self._attempt(lambda: self.open(path))


def describe(scan: Scan | None) -> str:
    """A scan in a line: its size, voxels and shells."""
    if scan is None:
        return ""
    size = "×".join(str(n) for n in scan.data.shape)
    voxel = "×".join(f"{v:.2g}" for v in scan.voxel_size)
    shells = len(scan.protocol.shells)
    return f"{size} · {voxel} mm · {shells} shell{'s' if shells > 1 else ''}"
