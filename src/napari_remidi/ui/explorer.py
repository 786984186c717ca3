"""Widget: Plugins > napari-remidi > Prior explorer. Which shapes does a prior hold?"""

import logging
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

from magicgui.widgets import ComboBox, FileEdit, PushButton
from napari.qt.threading import create_worker
from qtpy.QtCore import QSize, QTimer
from qtpy.QtWidgets import QLabel, QVBoxLayout
from superqt.utils import QSignalThrottler

from napari_remidi.errors import RemidiError
from napari_remidi.ui.background import Failure
from napari_remidi.ui.choices import PRIORS
from napari_remidi.ui.docked import Docked
from napari_remidi.ui.form import emphasise, note, row, rows
from napari_remidi.ui.latent import Floats, Latent, figures
from napari_remidi.ui.prior_stage import PriorStage
from napari_remidi.ui.readout import table
from napari_remidi.ui.sliders import Sliders
from napari_remidi.ui.style import Palette, stylesheet

if TYPE_CHECKING:
    import napari

    from napari_remidi.shapes import Prior

WIDTH = 360
FROM_FILE = "file"
HINT = "The shape is a few micrometres in size, at the origin. To see it, use 3D and hide the other layers."
REDRAW_EVERY = 50
"""Milliseconds between two drawings."""
JOURNEY = 2.0
"""Seconds from one shape to the next."""


def load_prior(name: str | Path) -> "Prior | Failure":
    """A prior by name or from a file, in a worker's thread; an error comes back as a value."""
    from napari_remidi.shapes import Prior

    try:
        return Prior.load(name)
    except RemidiError as error:
        return Failure(str(error))
    except Exception as error:
        logging.getLogger(__name__).exception("The prior could not be loaded")
        return Failure(f"{name} could not be loaded ({type(error).__name__}: {error}); the log has the details.")


class PriorExplorer(Docked):
    """Move through a prior's latent space and see the shape there.

    Parameters
    ----------
    napari_viewer : napari.viewer.Viewer
    """

    def __init__(self, napari_viewer: "napari.viewer.Viewer") -> None:
        super().__init__()
        self.viewer = napari_viewer
        self.stage = PriorStage(napari_viewer)
        self.latent: Latent | None = None
        self.prior = ComboBox(choices=[*PRIORS, ("From a file…", FROM_FILE)], tooltip="Whose shapes to see.")
        self.file = FileEdit(filter="prior (*.safetensors)", nullable=True)
        self.mean = PushButton(text="Mean shape", tooltip="z = 0")
        self.sample = PushButton(text="Sample", tooltip="A random draw from N(0, I); the seed is shown.")
        self.member = PushButton(text="Family member", tooltip="The next axon of those the prior was made from.")
        self.interpolate = PushButton(text="Interpolate", tooltip="Change into the next family member, in 2 seconds.")
        self.show_alone = PushButton(text="Show it alone", tooltip="Hide the other layers and look at the shape in 3D.")
        self.message, self.hint, self.figures = QLabel(), note(HINT), QLabel()
        self.sliders = Sliders()
        self._worker: Any = None
        self._journey = QTimer(self)
        self._leg: tuple[Floats, Floats, str, float] | None = None
        self._throttle = QSignalThrottler(parent=self)
        self._lay_out()
        self._connect()
        self._choose()

    def sizeHint(self) -> QSize:
        """Wide enough for every field."""
        return QSize(WIDTH, 800)

    def release(self) -> None:
        """Stop what moves and what loads, remove every callback; the surface stays."""
        self._journey.stop()
        self._throttle.cancel()
        self._stop_loading()
        self.stage.give_back()
        self.viewer.events.theme.disconnect(self._dress)
        self.viewer.dims.events.ndisplay.disconnect(self._follow_view)
        self.viewer.layers.events.disconnect(self._on_layers)
        super().release()

    def _lay_out(self) -> None:
        self.message.setWordWrap(True)
        self._file_row = rows((("File", self.file.native),))
        column = QVBoxLayout(self)
        column.setContentsMargins(10, 8, 10, 8)
        column.setSpacing(8)
        column.addWidget(rows((("Prior", self.prior.native),)))
        column.addWidget(self._file_row)
        column.addWidget(row(self.mean.native, self.sample.native, stretch=(1, 1)))
        column.addWidget(row(self.member.native, self.interpolate.native, stretch=(1, 1)))
        for part in (self.message, self.hint, self.show_alone.native, self.figures):
            column.addWidget(part)
        column.addWidget(self.sliders, 1)
        self.setMinimumWidth(WIDTH)
        self._dress()

    def _connect(self) -> None:
        self.prior.changed.connect(self._choose)
        self.file.changed.connect(self._choose)
        self.mean.changed.connect(self._reset)
        self.sample.changed.connect(self._sample)
        self.member.changed.connect(self._step)
        self.interpolate.changed.connect(self._set_out)
        self.show_alone.changed.connect(self._show_alone)
        self.sliders.moved.connect(self._on_slider)
        self._journey.setInterval(REDRAW_EVERY)
        self._journey.timeout.connect(self._travel)
        self._throttle.setTimeout(REDRAW_EVERY)
        self._throttle.triggered.connect(self._draw)
        self.viewer.events.theme.connect(self._dress)
        self.viewer.dims.events.ndisplay.connect(self._follow_view)
        self.viewer.layers.events.connect(self._on_layers)

    def _choose(self) -> None:
        self._file_row.setVisible(self.prior.value == FROM_FILE)
        self._stop_loading()
        self._use(None)
        name = self.file.value if self.prior.value == FROM_FILE else self.prior.value
        if name is None:
            self._say("Choose a .safetensors file that napari-remidi train has made.")
            return
        self._say("Loading the prior…")
        self._worker = create_worker(load_prior, name, _start_thread=False)
        self._worker.returned.connect(self._on_loaded)
        self._worker.start()

    def _stop_loading(self) -> None:
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.returned.disconnect(self._on_loaded)

    def _on_loaded(self, outcome: "Prior | Failure") -> None:
        self._worker = None
        if isinstance(outcome, Failure):
            self._say(outcome.message, loud=True)
            return
        self.sliders.offer(outcome.latent_dim)
        self._use(Latent(outcome))
        self._draw()
        self.stage.frame()

    def _use(self, latent: Latent | None) -> None:
        self._journey.stop()
        self._throttle.cancel()
        self.latent = latent
        if latent is not None:
            latent.moved.connect(self._throttle.throttle)
        self.mean.enabled = self.sample.enabled = latent is not None
        self.member.enabled = self.interpolate.enabled = latent is not None and len(latent.prior.exemplars) > 0
        self.sliders.setEnabled(latent is not None)
        self.figures.setVisible(latent is not None)
        self._follow_view()

    def _reset(self) -> None:
        self._jump(Latent.reset)

    def _sample(self) -> None:
        self._jump(Latent.sample)

    def _step(self) -> None:
        self._jump(lambda latent: latent.move(*latent.next_member()))

    def _show_alone(self) -> None:
        self._draw()
        if self.stage.drawn:
            self.stage.show_alone()

    def _jump(self, action: Any) -> None:
        self._journey.stop()
        assert self.latent is not None
        action(self.latent)
        self.sliders.widen(self.latent.z)
        self.sliders.show_latent(self.latent.z)
        self._draw()
        self.stage.frame()

    def _set_out(self) -> None:
        assert self.latent is not None
        target, caption = self.latent.next_member()
        self.sliders.widen(self.latent.z, target)
        self._leg = (self.latent.z, target, caption, monotonic())
        self._journey.start()

    def _travel(self) -> None:
        assert self.latent is not None
        assert self._leg is not None
        start, target, caption, began = self._leg
        share = min((monotonic() - began) / JOURNEY, 1.0)
        if share == 1.0:
            self._journey.stop()
        else:
            caption = f"On the way to {caption.lower()}"
        self.latent.move((1 - share) * start + share * target, caption)
        self.sliders.show_latent(self.latent.z)

    def _on_slider(self, dimension: int, value: float) -> None:
        self._journey.stop()
        assert self.latent is not None
        z = self.latent.z.copy()
        z[dimension] = value
        self.latent.move(z, "By hand")

    def _draw(self) -> None:
        if self.latent is None:
            return
        decoded = self.latent.decode()
        if decoded.shape is not None:
            self.stage.draw(decoded.shape, decoded.folds)
        self._say(f"{self.latent.caption}{decoded.trouble}", loud=bool(decoded.trouble))
        self.figures.setText(table(figures(self.latent, decoded)))
        self._follow_view()

    def _say(self, text: str, loud: bool = False) -> None:
        self.message.setText(text)
        emphasise(self.message, loud)

    def _on_layers(self, event: Any) -> None:
        if event.type in ("inserted", "removed", "visible"):
            self._follow_view()

    def _follow_view(self) -> None:
        hidden = self.latent is not None and not self.stage.in_sight
        if hidden:
            self.stage.give_back()
        self.hint.setVisible(hidden)
        self.show_alone.visible = hidden

    def _dress(self) -> None:
        self.setStyleSheet(stylesheet(Palette.of(self.viewer.theme)))
