"""Microscope: a second, three-dimensional view in micrometres, docked beside the scan."""

from typing import Any

import numpy as np
from napari.components import ViewerModel
from napari.layers import Layer
from napari.qt import QtViewer
from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import QDockWidget, QWidget

from napari_remidi.ui.layers import ORIENTATION, LayerData, redraw

NAME = "Microscope (µm)"
LEGEND = "uncertainty (sd, µm)"
_PALE = "#b9c0cc"
_STEEP = 0.9
_MARGIN = 0.05
_WIDTH = 320
_SETTLE = 60
"""Milliseconds until a window has laid out its docks."""


class Microscope:
    """The second view of a napari window.

    Parameters
    ----------
    viewer : the napari viewer whose window it is docked in; a bare model has no window, then nothing is docked
    """

    def __init__(self, viewer: Any) -> None:
        self._viewer = viewer
        self._shown: dict[str, LayerData] = {}
        self.model = _empty_model()
        self.view: QtViewer | None = None
        self._dock: QDockWidget | None = None
        self._room = 0
        self._settle = QTimer()
        self._settle.setSingleShot(True)
        self._settle.setInterval(_SETTLE)
        self._settle.timeout.connect(self._on_settled)

    def open(self, beside: QWidget | None = None) -> None:
        """Dock the view in the window, left of the widget ``beside`` if that is docked; once."""
        window = getattr(self._viewer, "window", None)
        if window is None or self.view is not None:
            return
        self._room = self._viewer.canvas.size[1]
        self.view = QtViewer(self.model)
        self.view.setMinimumWidth(_WIDTH)
        window.add_dock_widget(self.view, name=NAME, area="right", add_vertical_stretch=False)
        self._dock, neighbour = dock_of(self.view), dock_of(beside)
        assert self._dock is not None
        self._dock.destroyed.connect(self._let_go)
        if neighbour is not None and not neighbour.isFloating():
            main: Any = self._dock.parent()
            widths = [max(main.centralWidget().width() // 2, _WIDTH), neighbour.width()]
            main.splitDockWidget(self._dock, neighbour, Qt.Orientation.Horizontal)
            main.resizeDocks([self._dock, neighbour], widths, Qt.Orientation.Horizontal)
        self._settle.start()

    def show(self, key: str, made: LayerData | None) -> None:
        """Draw a surface under a key ("axon", "truth", "twin"), redraw it in place, or remove it (None)."""
        drawn = self.layer(key)
        if made is None:
            self._shown.pop(key, None)
            if drawn is not None:
                self.model.layers.remove(drawn)
            return
        self._shown[key] = made
        if drawn is not None:
            redraw(drawn, made)
        else:
            layer = Layer.create(*made)
            layer.metadata = layer.metadata | {"shows": key}
            self.model.layers.append(layer)
            self.model.canvas.overlays.scale_bar.visible = True

    def layer(self, key: str) -> Any:
        """The layer drawn under a key, or None."""
        return next((layer for layer in self.model.layers if layer.metadata.get("shows") == key), None)

    def frame(self, turn: bool) -> None:
        """Fit everything into the view; ``turn``: look at the axon's broad side, from the slice's side if it can be."""
        drawn = self.layer("axon")
        if drawn is not None and turn:
            turn_to_broad_side(self.model, drawn)
        self.model.fit_to_view(margin=_MARGIN)

    def legend(self, key: str) -> None:
        """Show what a surface's colours mean."""
        bar, text = self.layer(key).colorbar, self.model.canvas.overlays.text
        bar.size, bar.font_size, bar.visible = (14, 120), 8, True
        text.text, text.position, text.color, text.font_size, text.visible = LEGEND, "top_left", _PALE, 9, True

    def clear(self) -> None:
        """Remove every surface, the legend and the scale bar."""
        self._shown.clear()
        overlays = self.model.canvas.overlays
        overlays.text.visible = overlays.scale_bar.visible = False
        self.model.layers.clear()

    def close(self) -> None:
        """Take the view out of the window and release it."""
        self._settle.stop()
        self._shown.clear()
        if self._dock is not None:
            self._dock.destroyed.disconnect(self._let_go)
            self._viewer.window.remove_dock_widget(self.view)
        self._let_go()

    def _on_settled(self) -> None:
        """The scan's canvas gave room to this one: shrink its picture as much, so that it stays in sight."""
        room = self._viewer.canvas.size[1]
        if 0 < room < self._room:
            self._viewer.scene.camera.zoom *= room / self._room
        self.frame(turn=False)

    def _let_go(self) -> None:
        """Close the view, if there is one. Its model goes with it: napari leaves a closed canvas connected to it."""
        view, self.view, self._dock = self.view, None, None
        if view is None:
            return
        view.close()
        self.model, shown = _empty_model(), dict(self._shown)
        for key, made in shown.items():
            self.show(key, made)
        self.frame(turn=True)


def dock_of(widget: QWidget | None) -> QDockWidget | None:
    """The dock a widget stands in, if any."""
    part: Any = widget
    while part is not None and not isinstance(part, QDockWidget):
        part = part.parent()
    return part


def turn_to_broad_side(viewer: Any, surface: Any) -> None:
    """Look along a surface's shortest axis, from the slice's side if it can be."""
    vertices = surface.data[0]
    axes = np.linalg.svd(vertices - vertices.mean(axis=0), full_matrices=False)[2]
    away = axes[2] if axes[2][0] > 0 else -axes[2]
    up = (0, 1, 0) if abs(away[1]) < _STEEP else (1, 0, 0)
    viewer.scene.camera.set_view_direction(tuple(away), up)


def _empty_model() -> ViewerModel:
    model = ViewerModel(title=NAME, ndisplay=3)
    model.scene.camera.orientation = ORIENTATION
    return model
