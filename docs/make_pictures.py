"""Make the pictures of this documentation: real windows, real clicks. Needs a display (or xvfb-run) and `[all]`.

    python docs/make_pictures.py demo window cat --cat tanguy_spinal_cord_3D.nii.gz --scheme 3D_qspace.scheme

The cat spinal cord scan is in the wheel of dmipy 1.0.5, folder dmipy/data/tanguy_cat_spinal_cord.
"""

import argparse
import tempfile
from pathlib import Path

from PIL import Image

PICTURES = Path(__file__).parent / "pictures"
WHITE_MATTER = (46, 26, 0)


def keep(source: Path, name: str, colours: int = 200) -> None:
    """Store a picture with a palette: a third of the size."""
    PICTURES.mkdir(exist_ok=True)
    Image.open(source).convert("RGB").quantize(colours, dither=Image.Dither.NONE).save(PICTURES / name, optimize=True)


def run(*arguments: str) -> None:
    """A command of the command line."""
    from napari_remidi.cli import main

    main([*arguments], standalone_mode=False)


def demo(folder: Path, options: argparse.Namespace) -> None:
    """README's picture: what the demo writes."""
    run("demo", "--headless", "-o", str(folder / "demo"))
    keep(folder / "demo" / "demo.png", "demo.png")


def cat(folder: Path, options: argparse.Namespace) -> None:
    """A voxel of white matter, from the command line and in the window."""
    voxel = ",".join(map(str, WHITE_MATTER))
    files = [str(options.cat), "--scheme", str(options.scheme)]
    how = ["--model", "voxel", "--prior", "axon-open"]
    run("reconstruct", *files, "--voxel", voxel, *how, "-o", str(folder / "cat"))
    keep(folder / "cat" / f"voxel-{voxel.replace(',', '-')}.png", "cat.png")


def window(folder: Path, options: argparse.Namespace) -> None:
    """The demo's window after one press of Reconstruct."""
    from napari_remidi.ui.demo import open_demo

    viewer = open_demo(run=False)
    _reconstruct_and_shoot(viewer, folder / "window.png")
    keep(folder / "window.png", "window.png")


def cat_window(folder: Path, options: argparse.Namespace) -> None:
    """The cat's scan in the window, a voxel clicked, reconstructed."""
    import napari

    from napari_remidi.scan import Scan
    from napari_remidi.ui.layers import scan_layer

    viewer = napari.Viewer(title="napari-remidi", show_welcome_screen=False)
    viewer.window.resize(1520, 960)
    layer = viewer.add_layer(napari.layers.Layer.create(*scan_layer(Scan.open(options.cat, scheme=options.scheme))))
    viewer.window.add_plugin_dock_widget("napari-remidi", "Axon reconstruction")
    _click(viewer, layer, WHITE_MATTER)
    _reconstruct_and_shoot(viewer, folder / "cat-window.png")
    keep(folder / "cat-window.png", "cat-window.png")


def _widget(viewer):
    return viewer.window.dock_widgets["Axon reconstruction (napari-remidi)"]


def _wait(milliseconds: int) -> None:
    from qtpy.QtTest import QTest

    QTest.qWait(milliseconds)


def _click(viewer, layer, voxel) -> None:
    from qtpy.QtCore import QPoint, Qt
    from qtpy.QtTest import QTest

    _wait(800)
    viewer.fit_to_view()
    _wait(300)
    view = viewer.window._qt_viewer
    node = view.layer_to_visual[layer].node
    place = node.get_transform("visual", "canvas").map([voxel[0] + 0.5, voxel[1] + 0.5])
    spot = QPoint(round(place[0] / place[3]), round(place[1] / place[3]))
    QTest.mouseMove(view.canvas.native, spot)
    QTest.mouseClick(view.canvas.native, Qt.MouseButton.LeftButton, pos=spot)
    _wait(300)


def _reconstruct_and_shoot(viewer, path: Path) -> None:
    from qtpy.QtCore import Qt
    from qtpy.QtTest import QTest

    from napari_remidi.ui.status import Phase

    widget = _widget(viewer)
    _wait(1000)
    QTest.mouseClick(widget.readout.reconstruct.native, Qt.MouseButton.LeftButton)
    while widget.status.now.phase not in (Phase.DONE, Phase.CRASHED, Phase.STOPPED):
        _wait(100)
    _wait(1500)
    viewer.window.screenshot(str(path), flash=False)
    viewer.close()


def main() -> None:
    """Make the named pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("which", nargs="+", choices=["demo", "window", "cat", "cat_window"])
    parser.add_argument("--cat", type=Path)
    parser.add_argument("--scheme", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for name in options.which:
            globals()[name](Path(folder), options)


if __name__ == "__main__":
    main()
