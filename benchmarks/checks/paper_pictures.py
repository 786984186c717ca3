"""Pictures of a row's shapes: the true one, ours, and how far ours is from it."""

from pathlib import Path

import numpy as np
import trimesh
from numpy.typing import NDArray

from checks.paper_statistics import Statistics
from napari_remidi.results.picture import INK, paint
from napari_remidi.shapes import Prior

Floats = NDArray[np.float64]
GREY = (0.73, 0.76, 0.80)
FULL_SCALE = 0.2  # µm
EXAMPLES = 4


def draw_row(row: Statistics, truths: list[trimesh.Trimesh], prior: Prior, path: Path) -> None:
    """The row's first shapes, one below the other; reconstructions are decoded from their records."""
    from matplotlib import colormaps
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13, 1.9 * len(truths) + 0.6), facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    grid = np.atleast_2d(figure.subplots(len(truths), 3))
    norm, colours = Normalize(0, FULL_SCALE), colormaps["viridis"]
    for axes, record, truth in zip(grid, row.records, truths, strict=False):
        true, ours = _centred(truth), _centred(_surface(record, prior))
        if _misfit(ours, _mirrored(true)) < _misfit(ours, true):
            true = _mirrored(true)
        frame = np.linalg.svd(true.vertices, full_matrices=False)[2]
        frame[2] = np.cross(frame[0], frame[1])
        spread = np.abs(np.vstack([true.vertices, ours.vertices]) @ frame.T).max(axis=0)
        reach = np.array([1.06 * spread[0], max(1.25 * spread[1], 0.3 * spread[0])])
        error = np.abs(trimesh.proximity.closest_point(true, ours.triangles_center)[1])
        for ax, surface, paints in (
            (axes[0], true, np.tile(GREY, (len(true.faces), 1))),
            (axes[1], ours, np.tile(GREY, (len(ours.faces), 1))),
            (axes[2], ours, colours(norm(error))[:, :3]),
        ):
            paint(ax, surface, frame, reach, paints)
        known = ", ".join(f"{name.replace('_', ' ')} {value:.3g}" for name, value in record["parameters"].items())
        axes[0].set_title(known, fontsize=8, color=INK)
        axes[1].set_title("reconstructed", fontsize=8, color=INK)
        axes[2].set_title(f"Chamfer {record['strict_um']:.3f} µm", fontsize=8, color=INK)
    figure.colorbar(ScalarMappable(norm, colours), ax=grid[:, 2], label="distance from the true surface, µm")
    noise = "no noise" if row.noise == "free" else f"SNR {row.noise}"
    figure.suptitle(f"{row.line.what}, {noise}: true (left), ours (right two)", fontsize=10, color=INK)
    figure.savefig(path, dpi=120)


def _surface(record: dict, prior: Prior) -> trimesh.Trimesh:
    nodes = prior.nodes(record["latent"]) @ np.array(record["body_rotation"]).T
    return trimesh.Trimesh(nodes, prior.boundary)


def _centred(surface: trimesh.Trimesh) -> trimesh.Trimesh:
    centre = surface.area_faces @ surface.triangles_center / surface.area
    return trimesh.Trimesh(surface.vertices - centre, surface.faces, process=False)


def _mirrored(surface: trimesh.Trimesh) -> trimesh.Trimesh:
    return trimesh.Trimesh(-surface.vertices, surface.faces[:, ::-1], process=False)


def _misfit(ours: trimesh.Trimesh, true: trimesh.Trimesh) -> float:
    return float(trimesh.proximity.closest_point(true, ours.triangles_center[::4])[1].mean())
