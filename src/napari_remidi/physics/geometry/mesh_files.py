"""Tetrahedral meshes from and to the files of other programs, through `meshio`, and NumPy's ``.npz``."""

import contextlib
import io
import zipfile
from importlib import import_module
from os import PathLike
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

import numpy as np
from numpy.typing import NDArray

from napari_remidi.errors import MeshError, OutputError
from napari_remidi.files import write_whole
from napari_remidi.physics.mesh import TetMesh, signed_volumes

if TYPE_CHECKING:
    import meshio

# the meshio module of each suffix; called directly, because `meshio.read` ends the program on a broken file
FORMATS = {".msh": "gmsh", ".vtu": "vtu", ".vtk": "vtk", ".mesh": "medit"}
SUFFIXES = (*FORMATS, ".npz")
# cell data that say which compartment a tetrahedron is in, the most telling first
TAGS = ("label", "labels", "gmsh:physical", "medit:ref", "medit", "material", "region", "gmsh:geometrical")
NAMED = "label:"  # our own cell data in .vtu and .vtk, which have no other place for names: "label:axon,myelin"

Tags = tuple[NDArray[Any], dict[int, str]]


def open_mesh(path: str | PathLike[str], scale: float = 1.0) -> TetMesh:
    """Read a tetrahedral mesh and its compartments.

    Only first-order tetrahedra are simulated. Triangles, lines and points of the same file are left out, and so are
    nodes that no tetrahedron uses. Compartments come from the cell data ``label``, ``labels``, ``gmsh:physical``,
    ``medit:ref``, ``medit``, ``material``, ``region`` or ``gmsh:geometrical``, the first of these that is there; names
    from Gmsh's physical groups. Where all tetrahedra are inverted, the file counts their nodes the other way round:
    they are turned. Where only some are, the mesh is damaged, and is refused.

    Parameters
    ----------
    path : a Gmsh ``.msh``, VTK ``.vtu`` or ``.vtk``, Medit ``.mesh``, or an ``.npz`` with ``points`` (n, 3),
        ``tetrahedra`` (m, 4) and, if there are compartments, ``labels`` (m,) and ``names``
    scale : factor from the file's unit to µm: 1000 for mm, 0.001 for nm

    Raises
    ------
    MeshError
        For a missing or broken file, one without tetrahedra or with other solid cells, nodes that coincide, and
        everything that `TetMesh` refuses.
    """
    path = Path(path)
    if not (np.isfinite(scale) and scale > 0):
        raise MeshError(f"scale {scale:g}: give the positive factor from the file's unit to µm, 1000 for mm")
    if not path.is_file():
        raise MeshError(f"{path}: no such file")
    if path.suffix == ".npz":
        points, tetrahedra, labels, names = _read_npz(path)
    elif path.suffix in FORMATS:
        points, tetrahedra, labels, names = _read_meshio(path)
    else:
        known = ", ".join(SUFFIXES)
        raise MeshError(f"{path}: no tetrahedral mesh is known by the suffix {path.suffix!r}; give one of {known}")
    _check_whole(path, points, tetrahedra)
    used, renumbered = np.unique(tetrahedra, return_inverse=True)
    points, tetrahedra = points[used] * scale, renumbered.reshape(-1, 4)
    _check_apart(path, points)
    if (signed_volumes(points, tetrahedra) < 0).all():
        tetrahedra = tetrahedra[:, [0, 2, 1, 3]]
    return TetMesh(points, tetrahedra, labels, names)


def save_mesh(mesh: TetMesh, path: str | PathLike[str]) -> None:
    """Write a mesh with its compartments and their names, in µm, so that `open_mesh` returns the same.

    Parameters
    ----------
    mesh : the mesh
    path : ``.msh`` (Gmsh 2.2, compartments as physical groups counted from 1), ``.vtu``, ``.vtk`` (compartments as
        the cell data ``label:NAME,NAME...``, counted from 0) or ``.npz``; an older file is replaced

    Raises
    ------
    OutputError
        For another suffix, or where the file cannot be written.
    """
    path = Path(path)
    if path.suffix == ".npz":
        fields = ("points", "tetrahedra", "labels", "names")
        write_whole(path, lambda file: np.savez_compressed(file, **{name: getattr(mesh, name) for name in fields}))
        return
    if path.suffix not in FORMATS or path.suffix == ".mesh":
        raise OutputError(f"{path}: meshes are written as .msh, .vtu, .vtk or .npz, not as {path.suffix!r}")
    import meshio

    cells = [("tetra", mesh.tetrahedra)]
    with TemporaryDirectory() as folder:  # meshio's writers want a name, not an open file
        whole = Path(folder) / f"mesh{path.suffix}"
        if path.suffix == ".msh":
            tags = [(mesh.labels + 1).astype(np.int32)]
            groups = {name: np.array([label + 1, 3]) for label, name in enumerate(mesh.names)}
            data = {"gmsh:physical": tags, "gmsh:geometrical": tags}
            meshio.gmsh.write(whole, meshio.Mesh(mesh.points, cells, cell_data=data, field_data=groups), "2.2")
        else:
            key = NAMED + ",".join(quote(name, safe="") for name in mesh.names)
            meshio.write(whole, meshio.Mesh(mesh.points, cells, cell_data={key: [mesh.labels]}))
        content = whole.read_bytes()
    write_whole(path, lambda file: file.write(content))


def _read_npz(path: Path) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any] | None, list[str] | None]:
    try:
        with np.load(path, allow_pickle=False) as file:
            labels = file.get("labels")
            names = [str(name) for name in file["names"]] if "names" in file else None
            return np.asarray(file["points"], dtype=float), file["tetrahedra"], labels, names
    except (OSError, KeyError, ValueError, EOFError, zipfile.BadZipFile) as error:
        reason = error.args[0] if isinstance(error, KeyError) else error
        raise MeshError(f"{path}: no points and tetrahedra in it ({reason})") from None


def _read_meshio(path: Path) -> tuple[NDArray[Any], NDArray[Any], NDArray[np.int64] | None, list[str] | None]:
    reader = import_module(f"meshio.{FORMATS[path.suffix]}")
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            content = reader.read(str(path))
    except Exception as error:
        reason = f" ({error})" if str(error) else ""
        raise MeshError(f"{path}: not a {path.suffix} file that can be read{reason}; write it again") from None
    blocks = _tetrahedral_blocks(path, content)
    tetrahedra = np.concatenate([content.cells[block].data for block in blocks])
    found = _tags(path, content, blocks)
    if found is None:
        return np.asarray(content.points, dtype=float), tetrahedra, None, None
    tags, called = found
    present, labels = np.unique(tags, return_inverse=True)
    names = [called.get(int(tag), str(int(tag))) for tag in present]
    alone = len(present) == 1 and not called
    return np.asarray(content.points, dtype=float), tetrahedra, labels, None if alone else names


def _tetrahedral_blocks(path: Path, content: "meshio.Mesh") -> list[int]:
    solid = [(index, block) for index, block in enumerate(content.cells) if block.dim == 3 and len(block.data)]
    if not solid:
        there = ", ".join(f"{len(block.data)} {block.type}" for block in content.cells) or "no cells at all"
        raise MeshError(
            f"{path}: no tetrahedra in it, but {there}: mesh the volume, or open a closed surface with "
            "TetMesh.from_surface"
        )
    for _, block in solid:
        if block.type.startswith("tetra") and block.type != "tetra":
            raise MeshError(
                f"{path}: {len(block.data)} tetrahedra are of higher order ({block.type}): mesh the volume again "
                "with first-order elements (in Gmsh: SetOrder 1)"
            )
        if block.type != "tetra":
            raise MeshError(
                f"{path}: {len(block.data)} cells are of type {block.type}: mesh the volume again with tetrahedra "
                "only (in Gmsh: without Recombine)"
            )
    return [index for index, _ in solid]


def _tags(path: Path, content: "meshio.Mesh", blocks: list[int]) -> Tags | None:
    """The compartment tag of every tetrahedron and the names of the tags; None where the file has none."""
    own = next((key for key in content.cell_data if key.startswith(NAMED)), None)
    key = own or next((key for key in TAGS if key in content.cell_data), None)
    if key is None:
        return None
    raw = np.concatenate([np.asarray(content.cell_data[key][block]).reshape(-1) for block in blocks])
    if len(raw) != sum(len(content.cells[block].data) for block in blocks) or not np.array_equal(raw, np.rint(raw)):
        raise MeshError(f"{path}: the cell data {key!r} are not one whole number a tetrahedron: write them as integers")
    if own:
        return raw.astype(np.int64), {i: unquote(name) for i, name in enumerate(own[len(NAMED) :].split(","))}
    groups = content.field_data if key == "gmsh:physical" else {}
    return raw.astype(np.int64), {int(tag): name for name, (tag, dimension) in groups.items() if dimension == 3}


def _check_whole(path: Path, points: NDArray[Any], tetrahedra: NDArray[Any]) -> None:
    if points.ndim != 2 or tetrahedra.ndim != 2 or not np.issubdtype(tetrahedra.dtype, np.integer):
        raise MeshError(
            f"{path}: points of shape {points.shape} and tetrahedra of shape {tetrahedra.shape} and type "
            f"{tetrahedra.dtype}; a mesh needs (n, 3) numbers and (m, 4) whole numbers"
        )
    if tetrahedra.size and (tetrahedra.min() < 0 or tetrahedra.max() >= len(points)):
        raise MeshError(
            f"{path}: tetrahedra name nodes {tetrahedra.min()} to {tetrahedra.max()}, but there are {len(points)} "
            "points, counted from 0"
        )


def _check_apart(path: Path, points: NDArray[np.float64]) -> None:
    """Refuse nodes written twice: no spin would cross between the tetrahedra that should share them."""
    if twice := len(points) - len(np.unique(points, axis=0)):
        raise MeshError(
            f"{path}: {twice} of {len(points)} nodes lie exactly on another, which would tear the mesh there: "
            "merge duplicate nodes (in Gmsh: Coherence Mesh) and write it again"
        )
