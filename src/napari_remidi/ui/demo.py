"""Demo: a window with the phantom, a picked voxel and the widget: one press of Reconstruct gives an axon."""

from typing import Any

from napari_remidi.ui.layers import Voxel, scan_of

WIDGET = "Axon reconstruction"
_SIZE = (1520, 960)


def open_demo(run: bool = True) -> Any:
    """Open the demo's window and return its viewer.

    Parameters
    ----------
    run : bool
        Wait until the window is closed.
    """
    import napari

    viewer = napari.Viewer(title="napari-remidi", show_welcome_screen=False)
    viewer.window.resize(*_SIZE)
    (layer,) = viewer.open_sample("napari-remidi", "phantom")
    _, widget = viewer.window.add_plugin_dock_widget("napari-remidi", WIDGET)
    widget.pick(first_known_voxel(layer))
    if run:
        napari.run()
    return viewer


def first_known_voxel(layer: Any) -> Voxel:
    """The first voxel of a phantom's layer whose axon is known."""
    scan = scan_of(layer)
    assert scan is not None
    i, j, k = scan.metadata["truth"][0]["voxel"]
    return int(i), int(j), int(k)
