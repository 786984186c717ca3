"""Surfaces on disk, coloured by their uncertainty."""

from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from napari_remidi.errors import OutputError
from napari_remidi.files import write_whole

if TYPE_CHECKING:
    import trimesh

MESHES = (".ply", ".stl", ".obj", ".glb")


def save_surface(surface: "trimesh.Trimesh", path: str | PathLike[str], sd: np.ndarray | None = None) -> None:
    """Write a surface, µm; with `sd`, (s,) µm, its vertices are coloured by it, and a PLY carries the numbers.

    Raises
    ------
    OutputError
        For an ending other than .ply .stl .obj .glb, or where the file cannot be written.
    """
    target = Path(path)
    suffix = target.suffix.lower()
    if suffix not in MESHES:
        raise OutputError(f"{target.name}: unknown ending {suffix!r}; choose one of {' '.join(MESHES)}")
    import trimesh

    painted = surface.copy()
    if sd is not None:
        painted.visual = trimesh.visual.ColorVisuals(painted, vertex_colors=sd_colours(sd))
        painted.vertex_attributes["sd_um"] = np.asarray(sd, dtype=np.float32)
    data = painted.export(file_type=suffix[1:])
    content = data.encode() if isinstance(data, str) else bytes(data)
    write_whole(target, lambda file: file.write(content))


def sd_colours(sd: np.ndarray) -> np.ndarray:
    """Colours by uncertainty, (s, 4) uint8: viridis from zero to the 98th percentile."""
    from matplotlib import colormaps

    top = max(float(np.quantile(sd, 0.98)), 1e-9)
    return (colormaps["viridis"](np.clip(sd / top, 0, 1)) * 255).astype(np.uint8)
