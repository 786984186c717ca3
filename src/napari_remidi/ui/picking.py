"""Picking: a single click in the two-dimensional view becomes a voxel of the scan."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from napari_remidi.ui.layers import Voxel

_DRAG = 4.0
"""Canvas pixels a mouse may move between press and release and still click."""


class Picker:
    """Listens for clicks on a viewer while enabled.

    Parameters
    ----------
    viewer : napari viewer or viewer model
    layer : function that returns the scan's image layer, or None
    pick : called with the voxel (i, j, k) under a click
    refuse : called with a sentence when a click cannot be a voxel
    """

    def __init__(
        self,
        viewer: Any,
        layer: Callable[[], Any],
        pick: Callable[[Voxel], None],
        refuse: Callable[[str], None],
    ) -> None:
        self._viewer, self._layer, self._pick, self._refuse = viewer, layer, pick, refuse

    def enable(self) -> None:
        """Start listening."""
        if self._on_press not in self._viewer.mouse_drag_callbacks:
            self._viewer.mouse_drag_callbacks.append(self._on_press)

    def disable(self) -> None:
        """Stop listening."""
        if self._on_press in self._viewer.mouse_drag_callbacks:
            self._viewer.mouse_drag_callbacks.remove(self._on_press)

    def _on_press(self, viewer: Any, event: Any) -> Iterator[None]:
        start, moved = np.asarray(event.pos, float), 0.0
        if event.button != 1 or event.modifiers:
            return
        yield
        while event.type == "mouse_move":
            moved = max(moved, float(np.abs(np.asarray(event.pos, float) - start).max()))
            yield
        layer = self._layer()
        if moved > _DRAG or layer is None:
            return
        if viewer.dims.ndisplay != 2:
            self._refuse("Voxels are picked in a slice: press the 2D button under the layer list first.")
            return
        voxel = voxel_at(layer, event.position)
        if voxel is not None:
            self._pick(voxel)


def voxel_at(layer: Any, position: Any) -> Voxel | None:
    """The voxel (i, j, k) of a scan's layer (M, Z, Y, X) at a position in the viewer's world; None outside."""
    k, j, i = (round(float(c)) for c in layer.world_to_data(position)[-3:])
    shape = layer.data.shape[-3:]
    inside = all(0 <= index < size for index, size in zip((k, j, i), shape, strict=True))
    return (i, j, k) if inside else None
