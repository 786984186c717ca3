"""Stage: what a window shows of a session: the picked voxel, axons in the scan, and one axon in the microscope."""

from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from napari.layers import Layer

from napari_remidi.ui.layers import (
    TRUTH,
    TWIN,
    Voxel,
    axon_in_microns,
    axon_in_scan,
    centre,
    mark_size,
    redraw,
    voxel_mark,
)
from napari_remidi.ui.microscope import Microscope
from napari_remidi.ui.shape import Shape

if TYPE_CHECKING:
    from napari_remidi.scan import Scan


class Stage:
    """Draws in a viewer and in its microscope; leaves the user's own layers and selection alone.

    Parameters
    ----------
    viewer : napari viewer or viewer model
    microscope : Microscope
    """

    def __init__(self, viewer: Any, microscope: Microscope) -> None:
        self._viewer, self._microscope = viewer, microscope
        self._mark: Any = None
        self._axons: WeakKeyDictionary[Scan, dict[Voxel, Layer]] = WeakKeyDictionary()
        self._framed = False

    def mark(self, scan: "Scan | None", voxel: Voxel | None) -> None:
        """Frame a voxel, and no other; bring its slice into view."""
        drawn = self._mark is not None and self._mark in self._viewer.layers
        if scan is None or voxel is None:
            if drawn:
                self._viewer.layers.remove(self._mark)
            self._mark = None
            return
        if self._mark is not None and drawn:
            self._mark.data, self._mark.size = centre(scan, voxel)[None], mark_size(scan)
        else:
            self._mark = self._add(voxel_mark(scan, voxel))
        dims = self._viewer.dims
        for axis, position in zip(range(dims.ndim - 3, dims.ndim), centre(scan, voxel), strict=True):
            if axis in dims.not_displayed:
                dims.set_point(axis, position)

    def begin(self) -> None:
        """A new run: the microscope is emptied."""
        self._microscope.clear()
        self._framed = False

    def grow(self, scan: "Scan", voxel: Voxel, shape: Shape, name: str = "axon") -> None:
        """Draw a surface in both views; later calls redraw it."""
        made = axon_in_scan(scan, voxel, shape, name)
        axons = self._axons.setdefault(scan, {})
        if voxel in axons and axons[voxel] in self._viewer.layers:
            redraw(axons[voxel], made)
        else:
            axons[voxel] = self._add(made)
        self._microscope.show("axon", axon_in_microns(shape, name))
        if not self._framed:
            self._microscope.frame(turn=True)
            self._framed = True

    def finish(self, scan: "Scan", voxel: Voxel, shape: Shape, truth: Shape | None) -> None:
        """Draw the result, coloured by uncertainty, and the truth around it where it is known."""
        self.grow(scan, voxel, shape)
        if truth is not None:
            nearer = truth.nearer_twin(shape)
            self._microscope.show("truth", axon_in_microns(nearer, "truth", TRUTH, opacity=0.22))
        self._microscope.frame(turn=False)
        self._microscope.legend("axon")

    def show_twin(self, shape: Shape | None) -> None:
        """Draw an axon's mirror in the microscope, or take it away."""
        made = None if shape is None else axon_in_microns(shape.mirrored(), "twin", TWIN, opacity=0.35)
        self._microscope.show("twin", made)

    def _add(self, made: Any) -> Layer:
        active = self._viewer.layers.selection.active
        layer = self._viewer.add_layer(Layer.create(*made))
        self._viewer.layers.selection.active = active
        return layer
