"""Microscope: a second, three-dimensional view in micrometres, docked beside the scan."""

from typing import Any

import numpy as np
from napari.components import ViewerModel
from napari.layers import Layer
from napari.qt import QtViewer
from qtpy.QtCore import Qt

from napari_remidi.ui.layers import ORIENTATION, LayerData, redraw

NAME = "Microscope (µm)"
_STEEP = 0.9
_MARGIN = 0.16
_WIDTH = 320


class Microscope:
    """The second view of a napari window.

    Parameters
    ----------
    viewer : the napari viewer whose window it is docked in; a bare model has no window, then nothing is docked
    """

    def __init__(self, viewer: Any) -> None:
        self.model = ViewerModel(title=NAME, ndisplay=3)
        self._viewer = viewer
        self.view: QtViewer | None = None
        self._dock: Any = None
        camera(self.model).orientation = ORIENTATION
        overlays = self.model.canvas.overlays if hasattr(self.model, "canvas") else None
        (overlays.scale_bar if overlays is not None else self.model.scale_bar).visible = True

    def open(self, beside: Any = None) -> None:
        """Dock the view in the window, left of the widget ``beside`` if that is docked; once."""
        window = getattr(self._viewer, "window", None)
        if window is None or self.view is not None:
            return
        self.view = QtViewer(self.model)
        self.view.setMinimumWidth(_WIDTH)
        self._dock = window.add_dock_widget(self.view, name=NAME, area="right", add_vertical_stretch=False)
        self._dock.destroyed.connect(self._close_view)
        main = self._dock.parent()
        neighbour = _dock_of(beside)
        if neighbour is not None and not neighbour.isFloating():
            widths = [max(main.centralWidget().width() // 2, _WIDTH), neighbour.width()]
            main.splitDockWidget(self._dock, neighbour, Qt.Orientation.Horizontal)
            main.resizeDocks([self._dock, neighbour], widths, Qt.Orientation.Horizontal)

    def show(self, key: str, made: LayerData | None) -> None:
        """Draw a surface under a key ("axon", "truth", "twin"), redraw it in place, or remove it (None)."""
        drawn = self.layer(key)
        if made is None:
            if drawn is not None:
                self.model.layers.remove(drawn)
        elif drawn is not None:
            redraw(drawn, made)
        else:
            layer = Layer.create(*made)
            layer.metadata = layer.metadata | {"shows": key}
            self.model.layers.append(layer)

    def layer(self, key: str) -> Any:
        """The layer drawn under a key, or None."""
        return next((layer for layer in self.model.layers if layer.metadata.get("shows") == key), None)

    def frame(self, turn: bool) -> None:
        """Fit everything into the view; ``turn``: look at the axon's broad side, from the slice's side if it can be."""
        drawn = self.layer("axon")
        if drawn is not None and turn:
            axes = np.linalg.svd(drawn.data[0] - drawn.data[0].mean(axis=0), full_matrices=False)[2]
            away = axes[2] if axes[2][0] > 0 else -axes[2]
            up = (0, 1, 0) if abs(away[1]) < _STEEP else (1, 0, 0)
            camera(self.model).set_view_direction(tuple(away), up)
        self.model.fit_to_view(margin=_MARGIN)

    def legend(self, key: str) -> None:
        """Show what a surface's colours mean."""
        bar = getattr(self.layer(key), "colorbar", None)
        if bar is not None:
            bar.visible = True

    def clear(self) -> None:
        """Remove every surface."""
        self.model.layers.clear()

    def close(self) -> None:
        """Take the view out of the window and release it."""
        dock, self._dock = self._dock, None
        window = getattr(self._viewer, "window", None)
        if dock is not None and window is not None and hasattr(window, "_qt_window"):
            dock.destroyed.disconnect(self._close_view)
            window.remove_dock_widget(dock)
        self._close_view()
        self.model.layers.clear()

    def _close_view(self) -> None:
        view, self.view, self._dock = self.view, None, None
        if view is not None:
            view.close()


def camera(viewer: Any) -> Any:
    """A viewer's camera; napari 0.9 moved it into the scene."""
    return viewer.scene.camera if hasattr(viewer, "scene") else viewer.camera


def _dock_of(widget: Any) -> Any:
    from qtpy.QtWidgets import QDockWidget

    while widget is not None and not isinstance(widget, QDockWidget):
        widget = widget.parent()
    return widget
