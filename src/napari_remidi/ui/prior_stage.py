"""Prior stage: the one surface of the prior explorer in a napari viewer."""

from typing import Any

from napari.layers import Layer

from napari_remidi.ui.layers import prior_shape, redraw
from napari_remidi.ui.microscope import turn_to_broad_side
from napari_remidi.ui.shape import Shape

NAME = "Prior explorer"
_MARGIN = 0.25
"""Of the canvas around the mean shape: longer shapes stay in sight."""


class PriorStage:
    """Draws a prior's shape; turns the camera only in a viewer that shows nothing else.

    Parameters
    ----------
    viewer : napari viewer or viewer model
    """

    def __init__(self, viewer: Any) -> None:
        self._viewer = viewer
        self.layer: Any = None

    def draw(self, shape: Shape, folds: bool) -> None:
        """Draw a shape in place of the last one; make the layer anew where it was deleted."""
        made = prior_shape(shape, NAME, folds)
        if self.layer is not None and self.layer in self._viewer.layers:
            redraw(self.layer, made)
            return
        layers = self._viewer.layers
        alone, active = not layers, layers.selection.active
        self.layer = self._viewer.add_layer(Layer.create(*made))
        if alone:
            self._viewer.dims.ndisplay = 3
            self._viewer.canvas.overlays.scale_bar.visible = True
            turn_to_broad_side(self._viewer, self.layer)
            self._viewer.fit_to_view(margin=_MARGIN)
        else:
            layers.selection.active = active

    def frame(self) -> None:
        """Fit the view to the shape if nothing else is shown."""
        if self._alone:
            self._viewer.fit_to_view(margin=_MARGIN)

    @property
    def hint(self) -> str:
        """What the user can do to see the surface; empty where it is in sight."""
        if self.layer is None or self.layer not in self._viewer.layers:
            return ""
        steps = []
        if self._viewer.dims.ndisplay == 2:
            steps.append("press the 2D/3D button under the layer list")
        if not self._alone:
            steps.append("hide the other layers and press the home button: the shape is micrometres in size")
        return f"To see the surface: {', '.join(steps)}." if steps else ""

    @property
    def _alone(self) -> bool:
        return [layer for layer in self._viewer.layers if layer.visible] == [self.layer]
