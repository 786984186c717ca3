"""Widget: Plugins > napari-remidi > Axon reconstruction. Connects the form, the session, the run and the stage."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari.utils.notifications import show_error
from qtpy.QtCore import QSize, Qt
from qtpy.QtWidgets import QFileDialog, QScrollArea, QVBoxLayout, QWidget

from napari_remidi.errors import RemidiError
from napari_remidi.inversion.solution import CANCELLED
from napari_remidi.ui.docked import Docked
from napari_remidi.ui.form import Form
from napari_remidi.ui.layers import Voxel
from napari_remidi.ui.microscope import Microscope
from napari_remidi.ui.picking import Picker
from napari_remidi.ui.plot import SignalPlot
from napari_remidi.ui.preview_training import PreviewTraining, Trainer, own_trainer
from napari_remidi.ui.readout import Readout
from napari_remidi.ui.run import Engine, Request, Run
from napari_remidi.ui.session import MISSING, Session
from napari_remidi.ui.shape import Shape
from napari_remidi.ui.source import Source
from napari_remidi.ui.stage import Stage
from napari_remidi.ui.status import Status, StatusModel
from napari_remidi.ui.style import Palette, stylesheet

if TYPE_CHECKING:
    import napari

WIDTH = 406  # of every field, and of the scroll bar beside them
_SAVE_AS = "Mesh (*.ply *.stl *.obj *.glb);;Report (*.json);;Everything, reopenable (*.npz)"


class AxonReconstruction(Docked):
    """Choose a scan, click a voxel, press Reconstruct.

    Parameters
    ----------
    napari_viewer : napari.viewer.Viewer
    engine : the generator function that reconstructs; by default the product's own
    trainer : the generator function that trains a preview; by default the product's own
    """

    def __init__(
        self, napari_viewer: "napari.viewer.Viewer", engine: Engine | None = None, trainer: Trainer = own_trainer
    ) -> None:
        super().__init__()
        self.viewer = napari_viewer
        self.session = Session()
        self.status = StatusModel()
        self.plot = SignalPlot(Palette.of(napari_viewer.theme))
        self.form = Form(self.plot)
        self.readout = Readout()
        self.microscope = Microscope(napari_viewer)
        self.stage = Stage(napari_viewer, self.microscope)
        self.source = Source(napari_viewer, self.form, self.session, self.attempt)
        self.run = Run(self.status, self._draw, self._finish, self._fail, engine)
        self.training = PreviewTraining(self.status, self._fail, trainer)
        self.picker = Picker(napari_viewer, lambda: self.source.layer, self.pick, self._fail)
        self._lay_out()
        self._connect()
        self.source.refresh()
        self._on_axon()
        self._hint()

    def pick(self, voxel: Voxel) -> None:
        """Take a voxel (i, j, k) of the scan, as a click does."""
        if not self.status.now.running:
            self.attempt(lambda: self.session.pick(voxel))

    def reconstruct(self) -> None:
        """Start a run, as the button does."""
        if self.status.now.running:
            return
        request = self.attempt(lambda: self.session.request(self.form.read_choices().settings()))
        if request is not None:
            self.session.keep(None)
            self.stage.begin()
            self.microscope.open(beside=self)
            self.run.start(request)

    def train_preview(self) -> None:
        """Train a preview for the scan's protocol, as the button does."""
        if self.status.now.running:
            return
        protocol = self.attempt(self.session.timed_protocol)
        if protocol is not None:
            self.training.start(protocol, self.form.read_choices().settings())

    def save(self, path: str | Path) -> None:
        """Write the axon; the ending decides what: a mesh, a report or everything."""
        axon = self.session.axon
        if axon is not None and self.attempt(lambda: _saved(axon, path)):
            self.status.done(f"Saved {Path(path).name}.")

    def attempt(self, action: Callable[[], Any]) -> Any:
        """What an action returns; an error the user can put right becomes a notification, and None is returned."""
        try:
            return action()
        except RemidiError as error:
            self._fail(str(error))
            return None

    def sizeHint(self) -> QSize:
        """Wide enough for every field."""
        return QSize(WIDTH, 860)

    def release(self) -> None:
        """Stop the run, close the second view, remove every callback."""
        self.run.close()
        self.training.close()
        self.picker.disable()
        self.source.disconnect()
        self.viewer.events.theme.disconnect(self._dress)
        self.microscope.close()
        super().release()

    def _lay_out(self) -> None:
        content = QWidget()
        column = QVBoxLayout(content)
        column.setContentsMargins(10, 8, 10, 8)
        column.setSpacing(10)
        column.addWidget(self.form)
        column.addWidget(self.readout)
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
        self.source.changed.connect(self._hint)
        self.session.scan_changed.connect(self._on_scan)
        self.session.timing_changed.connect(self._on_voxel)
        self.session.voxel_changed.connect(self._on_voxel)
        self.session.axon_changed.connect(self._on_axon)
        self.status.changed.connect(self._on_status)
        self.readout.reconstruct.changed.connect(self.reconstruct)
        self.readout.cancel.changed.connect(self.run.cancel)
        self.readout.cancel.changed.connect(self.training.cancel)
        self.form.train.changed.connect(self.train_preview)
        self.readout.save.changed.connect(self._ask_where_to_save)
        self.readout.twin.native.toggled.connect(self._toggle_twin)
        self.viewer.events.theme.connect(self._dress)
        self.picker.enable()

    def _on_scan(self) -> None:
        self.stage.mark(None, None)
        self._hint()

    def _on_voxel(self) -> None:
        session = self.session
        self.form.show_voxel(session.voxel, None if session.scan is None else session.scan)
        self.stage.mark(session.scan, session.voxel)
        if session.signal is None or session.scan is None:
            self.plot.clear("Click a voxel to see its signal")
        else:
            self.plot.show_signal(session.signal, session.protocol or session.scan.protocol)
            if session.axon is not None and session.voxel == session.axon_voxel:
                self.plot.show_fit(session.axon.signal)
        self._hint()

    def _on_axon(self) -> None:
        axon = self.session.axon
        self.readout.twin.native.setChecked(False)
        self.readout.show_results(None if axon is None else axon.report(), self.session.axon_voxel)
        self._on_status(self.status.now)

    def _on_status(self, status: Status) -> None:
        self.readout.follow(status, ready=self.session.ready, saveable=self.session.axon is not None)
        self.form.set_enabled(not status.running)

    def _hint(self) -> None:
        if self.source.lacks_gradients:
            self.status.idle("The image's gradients are not known: choose the files.")
        elif self.session.scan is None:
            self.status.idle("Open a scan, or File > Open Sample > napari-remidi > Phantom.")
        elif not self.session.ready:
            self.status.idle("Click a voxel in the image.")
        elif self.session.timing_source == MISSING:
            self.status.idle("The pulse timing is missing: choose a preset, or type δ and Δ.")
        else:
            self.status.idle("Ready.")

    def _draw(self, request: Request, iterate: Any) -> None:
        if iterate.points is not None:
            self.stage.grow(request.scan, request.voxel, Shape(iterate.points, iterate.faces))
        if iterate.signal is not None:
            self.plot.show_fit(iterate.signal)

    def _finish(self, request: Request, axon: Any) -> None:
        self.stage.finish(request.scan, request.voxel, _shape(axon), request.truth)
        self.plot.show_fit(axon.signal)
        self.session.keep(axon, request.voxel)
        reason = axon.report()["stop_reason"]
        if reason == CANCELLED:
            self.status.stopped("Stopped. The axon is the best so far, not a result.")
        else:
            self.status.done(f"Done: {reason}.")

    def _fail(self, message: str) -> None:
        show_error(message)

    def _toggle_twin(self, shown: bool) -> None:
        axon = self.session.axon
        if shown:
            self.microscope.open(beside=self)
        self.stage.show_twin(_shape(axon) if shown and axon is not None else None)

    def _ask_where_to_save(self) -> None:
        path, _ = QFileDialog.getSaveFileName(self, "Save the axon", "axon.ply", _SAVE_AS)
        if path:
            self.save(path)

    def _dress(self) -> None:
        palette = Palette.of(self.viewer.theme)
        self.setStyleSheet(stylesheet(palette))
        self.plot.paint(palette)


def _saved(axon: Any, path: str | Path) -> bool:
    axon.save(path)
    return True


def _shape(axon: Any) -> Shape:
    return Shape(axon.points, axon.faces, axon.vertex_sd)
