"""Make the pictures of this documentation: real windows, real clicks. Needs a display (or xvfb-run) and `[all]`;
`recipes` needs neither.

    python docs/make_pictures.py demo window cat --cat tanguy_spinal_cord_3D.nii.gz --scheme 3D_qspace.scheme

The cat spinal cord scan is in the wheel of dmipy 1.0.5, folder dmipy/data/tanguy_cat_spinal_cord.
"""

import argparse
import tempfile
from pathlib import Path

from PIL import Image

PICTURES = Path(__file__).parent / "pictures"
WHITE_MATTER = (46, 26, 0)
PICTURED = ("demo", "window", "cat", "cat_window", "explorer", "protocol_report", "recipes")


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


def explorer(folder: Path, options: argparse.Namespace) -> None:
    """The prior explorer at the second member of the closed axons' family."""
    import napari

    viewer = napari.Viewer(title="napari-remidi", show_welcome_screen=False)
    viewer.window.resize(1300, 850)
    _, widget = viewer.window.add_plugin_dock_widget("napari-remidi", "Prior explorer")
    while widget.latent is None:
        _wait(100)
    for _ in range(2):
        widget.member.native.click()
    _wait(1000)
    viewer.window.screenshot(str(folder / "explorer.png"), flash=False)
    viewer.close()
    keep(folder / "explorer.png", "explorer.png")


def protocol_report(folder: Path, options: argparse.Namespace) -> None:
    """The protocol report of the paper's protocol at SNR 50."""
    import napari

    from napari_remidi.ui.status import Phase

    viewer = napari.Viewer(title="napari-remidi", show_welcome_screen=False)
    viewer.window.resize(1100, 950)
    _, widget = viewer.window.add_plugin_dock_widget("napari-remidi", "Protocol report")
    widget.begin()
    while widget.status.now.phase is Phase.RUNNING:
        _wait(100)
    _wait(800)
    widget.grab().save(str(folder / "protocol-report.png"))
    viewer.close()
    keep(folder / "protocol-report.png", "protocol-report.png")


def recipes(folder: Path, options: argparse.Namespace) -> None:
    """Meshes of `physics.geometry`, cut open, a colour for each compartment."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    from napari_remidi.physics import geometry

    axon = geometry.myelinated_cylinder(1.0, 1.4, 2.6, 1500)
    packed = geometry.packed_cylinders([[1.3, 1.2], [3.6, 1.5], [2.3, 3.3]], [0.7, 0.9, 0.6], (5, 4.6), 3, 0.4, 0.2)
    meshes = {
        "sphere": geometry.sphere(1.6, 1500),
        "spheres": geometry.spheres([0.9, 1.2, 1.7], ["cell", "myelin", "extra"], 2500),
        "cylinder": geometry.cylinder(1.4, 2.6, 1000),
        "myelinated_cylinder": axon,
        "tight_wrap": geometry.tight_wrap(axon, 0.35),
        "packed_cylinders": packed,
    }
    figure = plt.figure(figsize=(9, 5.6), dpi=96)
    for number, (name, mesh) in enumerate(meshes.items(), start=1):
        axes = figure.add_subplot(2, 3, number, projection="3d")
        _draw_cut(axes, mesh, (3.6, 1.5) if mesh is packed else (0, 0))
        axes.set_title(name, family="monospace", fontsize=11, y=1.0)
    figure.subplots_adjust(left=0, right=1, bottom=0.06, top=0.92, wspace=-0.05, hspace=0.12)
    patches = [plt.Rectangle((0, 0), 1, 1, color=colour) for colour in COMPARTMENTS.values()]
    figure.legend(patches, ["cell, axon", "myelin", "extra-cellular space"], loc="lower center", ncol=3, frameon=False)
    figure.savefig(folder / "recipes.png")
    keep(folder / "recipes.png", "recipes.png", colours=96)


COMPARTMENTS = {"axon": "#3b7dd8", "myelin": "#f2c14e", "extra": "#9fd3c7"}


def _draw_cut(axes, mesh, axis: tuple[float, float]) -> None:
    """What is left of a mesh without the third about an axis along z that faces the reader."""
    import numpy as np
    from matplotlib.colors import LightSource, to_rgb
    from mpl_toolkits.mplot3d.art3d import Poly3DCollection

    from napari_remidi.physics.mesh import FACES

    centre = (mesh.points.min(axis=0) + mesh.points.max(axis=0)) / 2
    x, y = (mesh.points[mesh.tetrahedra].mean(axis=1)[:, :2] - axis).T
    azimuth = np.degrees(np.arctan2(y, x))
    left = ~((azimuth > -120) & (azimuth < 0))
    faces = mesh.tetrahedra[left][:, FACES].reshape(-1, 3)
    labels = np.repeat(mesh.labels[left], 4)
    _, first, count = np.unique(np.sort(faces, axis=1), axis=0, return_index=True, return_counts=True)
    seen = first[count == 1]
    p = mesh.points[faces[seen]]
    normals = np.cross(p[:, 1] - p[:, 0], p[:, 2] - p[:, 0])
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    elevation, turn = np.radians(28), np.radians(-65)
    towards = np.array([np.cos(elevation) * np.cos(turn), np.cos(elevation) * np.sin(turn), np.sin(elevation)])
    facing = normals @ towards > 0
    p, normals, seen = p[facing], normals[facing], seen[facing]
    shade = 0.76 + 0.24 * normals @ LightSource(azdeg=200, altdeg=50).direction
    colours = np.array([to_rgb(COMPARTMENTS.get(name, COMPARTMENTS["axon"])) for name in mesh.names])
    axes.add_collection3d(
        Poly3DCollection(
            p,
            facecolors=np.clip(colours[labels[seen]] * shade[:, None], 0, 1),
            edgecolors=(0, 0, 0, 0.55),
            linewidths=0.3,
        )
    )
    half = np.ptp(mesh.points, axis=0) / 2
    axes.set(
        xlim=(-half[0], half[0]) + centre[0], ylim=(-half[1], half[1]) + centre[1], zlim=(-half[2], half[2]) + centre[2]
    )
    axes.set_box_aspect(half, zoom=1.3 if np.ptp(half) < 0.1 else 1.1)
    axes.view_init(elev=np.degrees(elevation), azim=np.degrees(turn))
    axes.set_axis_off()


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
    parser.add_argument("which", nargs="+", choices=PICTURED)
    parser.add_argument("--cat", type=Path)
    parser.add_argument("--scheme", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for name in options.which:
            globals()[name](Path(folder), options)


if __name__ == "__main__":
    main()
