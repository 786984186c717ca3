"""Writer: a surface layer as a mesh file, PLY, STL, OBJ or GLB."""

from pathlib import Path
from typing import Any

import numpy as np

from napari_remidi.errors import OutputError
from napari_remidi.ui.shape import Shape


def write_surface(path: str, data: Any, meta: dict[str, Any]) -> list[str]:
    """Write one surface layer and return what was written.

    An axon is written in µm in the scanner's axes, whatever its magnification in the window; any other surface in the
    units of its layer, x y z.

    Raises
    ------
    OutputError
        The folder does not exist or cannot be written.
    """
    import trimesh

    shape: Shape | None = meta.get("metadata", {}).get("shape")
    if shape is not None:
        mesh = trimesh.Trimesh(shape.points, shape.faces, process=False)
    else:
        vertices = np.asarray(data[0]) * np.asarray(meta.get("scale", 1.0)) + np.asarray(meta.get("translate", 0.0))
        mesh = trimesh.Trimesh(vertices[:, ::-1], np.asarray(data[1])[:, ::-1], process=False)
    try:
        mesh.export(path)
    except OSError as error:
        raise OutputError(f"{Path(path).name} cannot be written to {Path(path).parent}: {error.strerror}.") from error
    return [path]
