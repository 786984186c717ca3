"""One picture of a reconstruction: where the voxel is, the axon with its uncertainty, and how its signal fits."""

from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_remidi.files import write_whole
from napari_remidi.results.axon import Axon

if TYPE_CHECKING:
    import trimesh
    from matplotlib.axes import Axes

    from napari_remidi.scan import Scan

Floats = NDArray[np.float64]
INK, FAINT, TRUTH = "#1d2733", "#8a94a0", "#b9c1ca"
SHELL_COLOURS = ("#2f6fde", "#1aa37a", "#e39a1f", "#cf4a5c", "#7d57c1", "#5b6672")
LIGHT = np.array([0.35, -0.5, 0.8]) / np.linalg.norm([0.35, -0.5, 0.8])


@dataclass(frozen=True, eq=False)
class Panel:
    """One row of a picture.

    Attributes
    ----------
    axon : Axon
    title : of the row
    scan, voxel : where it comes from, or None
    truth : the true surface, or None
    """

    axon: Axon
    title: str = ""
    scan: "Scan | None" = None
    voxel: tuple[int, int, int] | None = None
    truth: "trimesh.Trimesh | None" = None


def draw_report(panels: list[Panel] | Panel, path: str | PathLike[str], dpi: int = 130) -> None:
    """Draw one row per panel and write a PNG.

    Raises
    ------
    OutputError
        Where the file cannot be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = [panels] if isinstance(panels, Panel) else panels
    with_truth = any(panel.truth is not None for panel in rows)
    widths = [1.0, 1.4, 0.3, 1.4, 0.2, 1.5] if with_truth else [1.0, 1.8, 0.55, 1.6]
    height = 2.75 * len(rows)
    figure = Figure(figsize=(2.3 * sum(widths), height), facecolor="white")
    FigureCanvasAgg(figure)
    grid = figure.add_gridspec(
        len(rows), len(widths), width_ratios=widths, left=0.015, right=0.985, wspace=0.04, hspace=0.36,
        top=1 - 0.32 / height, bottom=0.5 / height,
    )  # fmt: skip
    for index, panel in enumerate(rows):
        place, shape, fit = (figure.add_subplot(grid[index, column]) for column in (0, 1, -1))
        _draw_slice(place, panel)
        frame = _frame(panel.axon.surface.vertices)
        reach = _reach(panel, frame)
        _draw_axon(shape, panel.axon, frame, reach)
        if with_truth:
            _draw_truth(figure.add_subplot(grid[index, 3]), panel, frame, reach)
        _draw_fit(fit, panel.axon, last=index == len(rows) - 1)
    write_whole(Path(path), lambda file: figure.savefig(file, format="png", dpi=dpi))


def _draw_slice(ax: "Axes", panel: Panel) -> None:
    ax.set_axis_off()
    ax.set_title(panel.title, fontsize=10, color=INK, loc="left", fontweight="bold")
    if panel.scan is None or panel.voxel is None:
        return
    i, j, k = panel.voxel
    image = np.asarray(panel.scan.data[:, :, k, :], dtype=np.float64)
    weighted = ~panel.scan.protocol.is_b0
    shown = np.nan_to_num(image[..., weighted].mean(axis=-1)).T
    top = np.quantile(shown, 0.995) or 1.0
    ax.imshow(shown, origin="lower", cmap="gray", vmin=0, vmax=top, interpolation="nearest")
    ax.plot(i, j, "s", ms=9 if max(shown.shape) > 12 else 26, mfc="none", mec="#ffb000", mew=1.8)
    ax.text(
        0.0, -0.04, f"voxel {i}, {j}, {k}; mean of {int(weighted.sum())} weighted volumes",
        transform=ax.transAxes, fontsize=7, color=FAINT, va="top",
    )  # fmt: skip


def _draw_axon(ax: "Axes", axon: Axon, frame: Floats, reach: Floats) -> None:
    from matplotlib import colormaps
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    sd = axon.surface_sd
    top = max(float(np.quantile(sd, 0.98)), 1e-6)
    norm = Normalize(0, top)
    per_face = sd[np.asarray(axon.surface.faces)].mean(axis=1)
    paint(ax, axon.surface, frame, reach, colormaps["viridis"](norm(per_face))[:, :3])
    inset = ax.inset_axes((1.0, 0.12, 0.025, 0.76))
    bar = ax.figure.colorbar(ScalarMappable(norm, "viridis"), cax=inset)
    bar.set_label("sd of the surface, µm", fontsize=7, color=INK)
    bar.ax.tick_params(labelsize=7, colors=INK)
    bar.outline.set_visible(False)
    report = axon.report()
    radius = report["radius_um"]
    ax.set_title("reconstructed", fontsize=9, color=INK)
    caption = f"radius {radius['mean']:.2f} ± {radius['sd']:.2f} µm"
    if axon.chamfer_um is not None:
        caption += f"; {axon.chamfer_um:.3f} µm from the truth"
    ax.text(0.5, -0.04, caption, transform=ax.transAxes, fontsize=7.5, color=INK, ha="center", va="top")


def _draw_truth(ax: "Axes", panel: Panel, frame: Floats, reach: Floats) -> None:
    if panel.truth is None:
        ax.set_axis_off()
        return
    truth = _nearer_twin(panel.truth, panel.axon.surface)
    paint(ax, truth, frame, reach, np.tile(np.array([0.73, 0.76, 0.80]), (len(truth.faces), 1)))
    ax.set_title("truth (position and mirror image aside)", fontsize=9, color=INK)


def _draw_fit(ax: "Axes", axon: Axon, last: bool) -> None:
    protocol = axon.protocol
    shells = protocol.shells
    timings = sorted({(shell.delta, shell.Delta) for shell in shells})
    delta, Delta = timings[len(timings) // 2]
    shown = [shell for shell in shells if (shell.delta, shell.Delta) == (delta, Delta)]
    if len(shown) > len(SHELL_COLOURS):
        picked = np.linspace(0, len(shown) - 1, len(SHELL_COLOURS)).round().astype(int)
        shown = [shown[i] for i in picked]
    axis = axon.solution.rotation[:, 2]
    for shell, colour in zip(shown, SHELL_COLOURS, strict=False):
        rows = shell.indices
        angle = np.degrees(np.arccos(np.clip(np.abs(protocol.bvecs[rows] @ axis), 0, 1)))
        ax.plot(angle, axon.measured[rows], "o", ms=3, mfc=colour, mec="none", alpha=0.45)
        ax.plot(angle, axon.signal[rows], "_", ms=7, mew=1.3, color=colour, label=f"b {shell.bval:.0f}")
    ax.set_xlim(-2, 92)
    ax.set_ylim(0, max(1.28, 1.22 * float(axon.measured.max())))  # room for the legend
    ax.set_xticks([0, 30, 60, 90])
    ax.set_yticks([0, 0.5, 1])
    ax.tick_params(labelsize=7, colors=INK)
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
    ax.set_ylabel("S/S0", fontsize=8, color=INK)
    if last:
        ax.set_xlabel("angle between gradient and axon, degrees", fontsize=8, color=INK)
    ax.set_title(
        f"measured ●, fitted −   (δ {delta:g}, Δ {Delta:g} ms; χ²/dof {axon.solution.chi2_per_dof:.2f})",
        fontsize=8, color=INK,
    )  # fmt: skip
    ax.legend(fontsize=6.5, frameon=False, loc="upper left", ncols=3, handlelength=1, columnspacing=1)


def paint(ax: "Axes", surface: "trimesh.Trimesh", frame: Floats, reach: Floats, colours: Floats) -> None:
    """Faces from back to front, lit from above; the long axis across the page."""
    from matplotlib.collections import PolyCollection

    triangles = np.asarray(surface.triangles) - _centre(surface)
    seen = triangles @ frame.T
    normals = np.asarray(surface.face_normals) @ frame.T
    front = normals[:, 2] > -0.05
    light = 0.45 + 0.55 * np.clip(normals @ LIGHT, 0, 1) + 0.12 * np.clip(normals @ LIGHT, 0, 1) ** 12
    shaded = np.clip(colours * light[:, None], 0, 1)
    order = np.argsort(seen[front, :, 2].mean(axis=1))
    faces, paint = seen[front][order][..., :2], shaded[front][order]
    ax.add_collection(PolyCollection(list(faces), facecolors=paint, edgecolors=paint, linewidths=0.3))
    ax.set_xlim(-reach[0], reach[0])
    ax.set_ylim(-reach[1], reach[1])
    ax.set_aspect("equal")
    ax.set_axis_off()
    length = float(_round_length(reach[0]))
    y = -reach[1] * 0.96
    ax.plot([-reach[0] * 0.96, -reach[0] * 0.96 + length], [y, y], color=INK, lw=2, solid_capstyle="butt")
    ax.text(-reach[0] * 0.96, y + reach[1] * 0.05, f"{length:g} µm", fontsize=7, color=INK, va="bottom")


def _frame(points: Any) -> Floats:
    """Rows: the longest direction, the next, and the line of sight."""
    centred = np.asarray(points) - np.asarray(points).mean(axis=0)
    axes = np.linalg.svd(centred, full_matrices=False)[2]
    return np.stack([axes[0], axes[1], np.cross(axes[0], axes[1])])


def _reach(panel: Panel, frame: Floats) -> Floats:
    spread = np.abs((np.asarray(panel.axon.surface.vertices) - _centre(panel.axon.surface)) @ frame.T).max(axis=0)
    if panel.truth is not None:
        other = np.abs((np.asarray(panel.truth.vertices) - _centre(panel.truth)) @ frame.T).max(axis=0)
        spread = np.maximum(spread, other)
    return np.array([spread[0] * 1.06, max(spread[1] * 1.25, spread[0] * 0.5)])


def _centre(surface: "trimesh.Trimesh") -> Floats:
    return np.asarray(surface.area_faces @ surface.triangles_center / surface.area)


def _nearer_twin(truth: "trimesh.Trimesh", surface: "trimesh.Trimesh") -> "trimesh.Trimesh":
    import trimesh
    from scipy.spatial import KDTree

    tree = KDTree(np.asarray(surface.vertices) - _centre(surface))
    centred = np.asarray(truth.vertices) - _centre(truth)
    if tree.query(-centred)[0].mean() < tree.query(centred)[0].mean():
        return trimesh.Trimesh(-centred, np.asarray(truth.faces)[:, ::-1], process=False)
    return trimesh.Trimesh(centred, truth.faces, process=False)


def _round_length(reach: float) -> float:
    for length in (50.0, 20.0, 10.0, 5.0, 2.0):
        if length < 0.7 * reach:
            return length
    return 1.0
