"""Closed surfaces, one inside the other or side by side, filled with labelled tetrahedra by an optional mesher."""

from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Union

import numpy as np
from numpy.typing import NDArray

from napari_remidi.errors import MeshError
from napari_remidi.physics.mesh import TetMesh, check_surface, signed_volumes

if TYPE_CHECKING:
    import trimesh

Surface = Union["trimesh.Trimesh", str, "PathLike[str]"]

VOLUME_TOLERANCE = 0.05  # of a compartment's volume, between its surfaces and its tetrahedra
ENVELOPE = 5e-4  # of the diagonal: the mesher's own bound; on a shared wall, nodes were seen 1.4 times off it
STEP_INSIDE = 1e-3  # of the extent: how far a surface's vertices are taken inwards to see which surfaces hold them
CROSSING = 0.01  # of a surface's vertices: fewer inside another than that are outside, for round-off


def from_surfaces(surfaces: Mapping[str, Surface], edge_length: float | None = None) -> TetMesh:
    """Fill closed surfaces with tetrahedra that share their nodes (needs the optional mesher ``pytetwild``).

    Where one surface lies inside another, the inner one is a compartment of its own and is no part of the outer:
    ``{"myelin": outer, "axon": inner}`` makes a sheath of myelin around the axon. Surfaces may also lie side by side
    and share faces. The mesher keeps every surface to about 0.1 % of the diagonal of all of them.

    Parameters
    ----------
    surfaces : name of each compartment and the closed surface around it, a trimesh.Trimesh or a surface file, µm
    edge_length : µm, the tetrahedra's; by default a twentieth of the diagonal

    Raises
    ------
    MeshError
        For an open or inside-out surface, surfaces that cross each other, compartments whose tetrahedra miss the
        volume between the surfaces by more than 5 %, or where the mesher is not installed.
    """
    if not surfaces:
        raise MeshError("no surfaces: give at least one, {'cell': surface}")
    if edge_length is not None and not edge_length > 0:
        raise MeshError(f"edge length {edge_length:g} µm: give a positive length")
    shells = {name: _named(name, surface) for name, surface in surfaces.items()}
    names = sorted(shells, key=lambda name: -shells[name].volume)  # what holds another is larger
    held_by = _parents(names, shells)
    offsets = np.cumsum([0, *(len(shells[name].vertices) for name in names)])
    vertices = np.concatenate([shells[name].vertices for name in names])
    faces = np.concatenate([shells[name].faces + offset for name, offset in zip(names, offsets, strict=False)])
    points, tetrahedra = filled(vertices, faces, edge_length)
    labels = _labels(points[tetrahedra].mean(axis=1), names, shells)
    expected = {name: float(shells[name].volume) for name in names}
    for name, parent in held_by.items():
        expected[parent] -= float(shells[name].volume)
    volumes = np.bincount(labels, signed_volumes(points, tetrahedra), len(names))
    _check_volumes(dict(zip(names, volumes, strict=True)), expected)
    order = {name: place for place, name in enumerate(surfaces)}
    return TetMesh(points, tetrahedra, np.array([order[name] for name in names])[labels], list(surfaces))


def closed_surface(surface: Surface) -> "trimesh.Trimesh":
    """A surface, read where it is a file; MeshError unless it is closed and its normals point outward."""
    shell = _read(Path(surface)) if isinstance(surface, str | PathLike) else surface
    check_surface(shell)
    return shell


def filled(
    vertices: NDArray[np.float64], faces: NDArray[np.int64], edge_length: float | None
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Tetrahedra inside closed triangles: points (n, 3) and positively oriented tetrahedra (m, 4).

    Parameters
    ----------
    vertices, faces : (v, 3) µm, (f, 3), of one closed surface or several
    edge_length : µm; by default a twentieth of the diagonal

    Raises
    ------
    MeshError
        Where the mesher is not installed.
    """
    try:
        import pytetwild
    except ImportError as error:
        if error.name == "pyvista":
            raise MeshError(
                "this release of the mesher needs PyVista, which is not there: pip install pyvista or 'pytetwild<0.3'"
            ) from None
        raise MeshError(
            "filling a surface with tetrahedra needs the optional mesher: pip install 'napari-remidi[mesh]'"
        ) from None
    options: dict[str, Any] = {"epsilon": ENVELOPE}
    if edge_length is not None:
        options["edge_length_abs"] = edge_length
    left_behind = Path("__tracked_surface.stl")  # the mesher's own trace, in the folder where it is called
    before = left_behind.exists()
    points, cells = pytetwild.tetrahedralize(np.asarray(vertices, float), np.asarray(faces, np.int32), **options)
    if not before:
        left_behind.unlink(missing_ok=True)
    tetrahedra = np.asarray(cells, dtype=np.int64)
    flipped = signed_volumes(points, tetrahedra) < 0  # the mesher's own node order, not the user's
    tetrahedra[flipped] = tetrahedra[flipped][:, [0, 2, 1, 3]]
    used, tetrahedra = np.unique(tetrahedra, return_inverse=True)
    return np.asarray(points[used], dtype=np.float64), tetrahedra.reshape(-1, 4)


def _named(name: str, surface: Surface) -> "trimesh.Trimesh":
    try:
        return closed_surface(surface)
    except MeshError as error:
        raise MeshError(f"surface {name!r}: {error}") from None


def _read(path: Path) -> "trimesh.Trimesh":
    import trimesh

    if not path.is_file():
        raise MeshError(f"{path}: no such file")
    try:
        return trimesh.load_mesh(path)
    except Exception as error:
        raise MeshError(f"{path}: not a surface that can be read ({error})") from None


def _parents(names: list[str], shells: dict[str, "trimesh.Trimesh"]) -> dict[str, str]:
    """The smallest surface around each surface that lies inside another; names from the largest surface down."""
    extent = max(float(np.linalg.norm(shell.extents)) for shell in shells.values())
    parents = {}
    for place, name in enumerate(names):
        inside = shells[name].vertices - STEP_INSIDE * extent * shells[name].vertex_normals
        for other in names[:place]:
            share = float(shells[other].contains(inside).mean())
            if share > 1 - CROSSING:
                parents[name] = other
            elif share > CROSSING:
                raise MeshError(
                    f"surface {name!r} crosses {other!r} ({share:.0%} of its vertices are inside): "
                    "compartments lie inside each other or side by side; shrink or move one"
                )
    return parents


def _labels(centres: NDArray[np.float64], names: list[str], shells: dict[str, "trimesh.Trimesh"]) -> NDArray[np.int64]:
    """The innermost surface around each centre, or the nearest, for one just outside all."""
    labels = np.full(len(centres), -1)
    for label, name in enumerate(names):
        labels[shells[name].contains(centres)] = label
    if len(lost := np.flatnonzero(labels < 0)):
        distances = [shells[name].nearest.on_surface(centres[lost])[1] for name in names]
        labels[lost] = np.argmin(distances, axis=0)
    return labels


def _check_volumes(found: dict[str, float], expected: dict[str, float]) -> None:
    for name, volume in expected.items():
        if abs(found[name] - volume) > VOLUME_TOLERANCE * abs(volume):
            raise MeshError(
                f"compartment {name!r} fills {found[name]:.4g} µm³ with tetrahedra, but its surfaces enclose "
                f"{volume:.4g} µm³: give a smaller edge_length"
            )
