"""Demo: a window with the phantom, a picked voxel and the widget: one press of Reconstruct gives an axon."""

from typing import Any

from napari_remidi.ui.layers import Voxel, scan_of

WIDGET = "Axon reconstruction"
_SIZE = (1520, 960)
_SETTLE = 150
"""Milliseconds until the window has laid itself out."""


def open_demo(run: bool = True) -> Any:
    """Open the demo's window and return its viewer.

    Parameters
    ----------
    run : bool
        Wait until the window is closed.
    """
    import napari
    from qtpy.QtCore import QTimer

    viewer = napari.Viewer(title="napari-remidi", show_welcome_screen=False)
    viewer.window.resize(*_SIZE)
    (layer,) = viewer.open_sample("napari-remidi", "phantom")
    _, widget = viewer.window.add_plugin_dock_widget("napari-remidi", WIDGET)
    widget.pick(bent_axon(layer))
    viewer.dims.set_point(0, int(widget.session.scan.protocol.shells[0].indices[0]))
    QTimer.singleShot(_SETTLE, viewer.fit_to_view)
    if run:
        napari.run()
    return viewer


def bent_axon(layer: Any) -> Voxel:
    """The voxel of a phantom's layer that holds the first bent axon."""
    scan = scan_of(layer)
    assert scan is not None
    i, j, k = next(entry["voxel"] for entry in scan.metadata["truth"] if entry["kind"] == "bent")
    return int(i), int(j), int(k)
