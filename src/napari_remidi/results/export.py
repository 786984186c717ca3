"""Axons on disk: surfaces, reports, and files that reopen."""

import json
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_remidi.errors import InputError, OutputError
from napari_remidi.files import write_whole
from napari_remidi.inversion import Solution
from napari_remidi.scan import Protocol

if TYPE_CHECKING:
    import trimesh

    from napari_remidi.results.axon import Axon

MESHES = (".ply", ".stl", ".obj", ".glb")
SUFFIXES = (*MESHES, ".json", ".npz")


def save_axon(axon: "Axon", path: str | PathLike[str]) -> None:
    """Write an axon by the path's ending; see `Axon.save`."""
    target = Path(path)
    suffix = target.suffix.lower()
    if suffix in MESHES:
        save_surface(axon.surface, target, axon.surface_sd)
    elif suffix == ".json":
        write_whole(target, lambda file: file.write(json.dumps(axon.report(), indent=1).encode()))
    elif suffix == ".npz":
        write_whole(target, lambda file: np.savez_compressed(file, allow_pickle=False, **_packed(axon)))
    else:
        raise OutputError(f"{target.name}: unknown ending {suffix!r}; choose one of {' '.join(SUFFIXES)}")


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


def open_axon(path: str | PathLike[str]) -> "Axon":
    """Reopen an axon saved as .npz; see `Axon.open`."""
    from napari_remidi.results.axon import Axon

    source = Path(path)
    if not source.is_file():
        raise InputError(f"{source}: no such file")
    try:
        with np.load(source, allow_pickle=False) as file:
            record = json.loads(str(file["record"]))
            arrays = {name: file[name] for name in file.files if name != "record"}
        measured = arrays.pop("measured")
        solution = Solution(**arrays, **{**record["solution"], "history": tuple(record["solution"]["history"])})
        protocol = Protocol.from_dict(record["protocol"])
    except (KeyError, ValueError, TypeError, OSError):
        raise InputError(
            f"{source.name}: not an axon saved by napari-remidi; give an .npz file written by Save"
        ) from None
    return Axon(solution, measured, protocol, record["provenance"], record["chamfer_um"])


def _packed(axon: "Axon") -> dict[str, Any]:
    values = {name: getattr(axon.solution, name) for name in Solution.__dataclass_fields__}
    arrays = {name: value for name, value in values.items() if isinstance(value, np.ndarray)}
    record = {
        "solution": {name: value for name, value in values.items() if name not in arrays},
        "protocol": axon.protocol.to_dict(),
        "provenance": axon.provenance,
        "chamfer_um": axon.chamfer_um,
    }
    return {**arrays, "measured": axon.measured, "record": np.array(json.dumps(record))}
