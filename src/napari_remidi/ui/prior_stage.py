"""Prior stage: the one surface of the prior explorer in a napari viewer."""

from typing import Any

import numpy as np
from napari.layers import Layer

from napari_remidi.ui.layers import prior_shape, redraw
from napari_remidi.ui.microscope import turn_to_broad_side
from napari_remidi.ui.shape import Shape

NAME = "Prior explorer"
_SHARE = 0.6
"""Of the canvas for the mean shape: longer ones stay in sight."""


class PriorStage:
    """Draws a prior's shape; turns the camera only in a viewer that shows nothing else.

    Parameters
    ----------
    viewer : napari viewer or viewer model
    """

    def __init__(self, viewer: Any) -> None:
        self._viewer = viewer
        self.layer: Any = None
        self._orientation: Any = None

    def draw(self, shape: Shape, folds: bool) -> None:
        """Draw a shape in place of the last one; make the layer anew where it was deleted."""
        made = prior_shape(shape, NAME, folds)
        if self.drawn:
            redraw(self.layer, made)
            return
        layers = self._viewer.layers
        alone, active = not layers, layers.selection.active
        self.layer = self._viewer.add_layer(Layer.create(*made))
        if alone:
            self._viewer.canvas.overlays.scale_bar.visible = True
            self.show_alone()
        else:
            layers.selection.active = active

    def show_alone(self) -> None:
        """Hide the other layers and look at the shape's broad side in 3D."""
        for layer in self._viewer.layers:
            layer.visible = layer == self.layer  # napari gives plugins stand-ins, which are equal but not the same
        self._viewer.dims.ndisplay = 3
        self._let_in_light()
        turn_to_broad_side(self._viewer, self.layer)
        self.frame()

    def frame(self) -> None:
        """Fit the view to the shape if nothing else is shown."""
        if self.in_sight:
            # napari's own fit counts hidden layers, and a scan is a thousand times as large
            length = np.ptp(self.layer.extent.world, axis=0).max()
            camera = self._viewer.scene.camera
            camera.center = (0.0, 0.0, 0.0)
            camera.zoom = _SHARE * min(self._viewer.canvas.size) / length

    def give_back(self) -> None:
        """Give the camera the orientation it had before `show_alone`: a scan must not be seen mirrored in 3D."""
        if self._orientation is not None:
            self._viewer.scene.camera.orientation = self._orientation
            self._orientation = None

    @property
    def drawn(self) -> bool:
        """Whether the viewer has the surface."""
        return self.layer is not None and self.layer in self._viewer.layers

    @property
    def in_sight(self) -> bool:
        """Whether the viewer is in 3D and shows the shape and nothing else."""
        shown = [layer for layer in self._viewer.layers if layer.visible]
        return shown == [self.layer] and self._viewer.dims.ndisplay == 3

    def _let_in_light(self) -> None:
        """Turn the depth axis round where napari would light the surface from behind; slices look the same."""
        camera = self._viewer.scene.camera
        # napari counts its axes z, y, x: what it calls right-handed is left-handed in x, y, z
        if camera.handedness.value != "right":
            self._orientation = camera.orientation
            depth, *plane = camera.orientation
            camera.orientation = ("towards" if depth.value == "away" else "away", *plane)
