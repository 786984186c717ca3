"""One picture of a prior: what its first latent dimensions do, each alone."""

from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import trimesh

from napari_remidi.files import write_whole
from napari_remidi.results.picture import FAINT, INK, paint

if TYPE_CHECKING:
    from napari_remidi.shapes import Prior

STEPS = (-2.0, -1.0, 0.0, 1.0, 2.0)
COLOUR = np.array([0.45, 0.62, 0.86])
# across the page: z; up: x, where the mean bend lies
FRAME = np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])


def draw_traversals(prior: "Prior", path: str | PathLike[str], dimensions: int = 8, dpi: int = 110) -> None:
    """Draw a row for each of the first dimensions, from −2 to 2 standard deviations, and write a PNG.

    Raises
    ------
    OutputError
        Where the file cannot be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = min(dimensions, prior.latent_dim)
    latents = np.zeros((rows, len(STEPS), prior.latent_dim))
    for row in range(rows):
        latents[row, :, row] = STEPS
    surfaces = [[trimesh.Trimesh(prior.nodes(z), prior.boundary, process=False) for z in line] for line in latents]
    largest = np.max([np.abs(surface.vertices).max(axis=0) for line in surfaces for surface in line], axis=0)
    reach = np.array([1.05 * largest[2], 1.15 * max(largest[0], largest[1])])
    width = 2.2
    height = max(0.5, width * reach[1] / reach[0])
    figure = Figure(figsize=(width * len(STEPS) + 0.4, (height + 0.1) * rows + 0.4), facecolor="white")
    FigureCanvasAgg(figure)
    axes = figure.subplots(rows, len(STEPS), squeeze=False, gridspec_kw={"wspace": 0.02, "hspace": 0.05})
    figure.subplots_adjust(left=0.04, right=0.995, top=1 - 0.35 / figure.get_figheight(), bottom=0.01)
    for row, (line, places) in enumerate(zip(surfaces, axes, strict=True)):
        for surface, ax in zip(line, places, strict=True):
            paint(ax, surface, FRAME, reach, np.tile(COLOUR, (len(surface.faces), 1)))
        places[0].text(-0.02, 0.5, f"z{row + 1}", transform=places[0].transAxes, ha="right", fontsize=8, color=INK)
    for ax, step in zip(axes[0], STEPS, strict=True):
        ax.set_title(f"{step:+g} sd" if step else "mean", fontsize=9, color=INK if step == 0 else FAINT)
    write_whole(Path(path), lambda file: figure.savefig(file, format="png", dpi=dpi))
