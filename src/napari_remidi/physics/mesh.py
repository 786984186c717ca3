"""The tetrahedral mesh that a simulation runs on, checked once, at construction."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from os import PathLike
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_remidi.errors import MeshError

if TYPE_CHECKING:
    import trimesh

# the four faces of a positively oriented tetrahedron (det(p1-p0, p2-p0, p3-p0) > 0), normals outward
FACES = np.array([[1, 2, 3], [0, 3, 2], [0, 1, 3], [0, 2, 1]])
# 1 for a regular tetrahedron; below this an element is a sliver, and its stiffness swamps the others'
SLIVER = 1e-3
SMALLEST, LARGEST = 0.05, 5000.0  # µm, the extents that make sense for a cell


@dataclass(frozen=True, eq=False)
class TetMesh:
    """Tetrahedra in µm, all positively oriented, with a closed boundary.

    Parameters
    ----------
    points : (n, 3) float, µm
    tetrahedra : (m, 4) int, node indices; positive orientation: det(p1-p0, p2-p0, p3-p0) > 0
    labels : (m,) int, the compartment of each tetrahedron, counted from 0; by default all are in one
    names : name of each compartment, in the order of the labels; by default "cell", or "0", "1", ... where there are
        several. Nodes between compartments are shared; `Substrate` gives each side its own

    Raises
    ------
    MeshError
        For wrong shapes, non-finite points, labels that do not fit the tetrahedra or the names, inverted or sliver
        tetrahedra (with count and place), faces shared by more than two tetrahedra, unused nodes, or an extent that is
        not a cell's.

    Examples
    --------
    >>> corner = TetMesh([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]], [[0, 1, 2, 3]])
    >>> round(corner.volume, 6), len(corner.boundary)
    (0.166667, 4)
    """

    points: NDArray[np.float64]
    tetrahedra: NDArray[np.int64]
    labels: NDArray[np.int64]
    names: tuple[str, ...]

    def __init__(
        self,
        points: ArrayLike,
        tetrahedra: ArrayLike,
        labels: ArrayLike | None = None,
        names: Sequence[str] | None = None,
    ) -> None:
        p = np.array(points, dtype=np.float64)
        t = np.array(tetrahedra, dtype=np.int64)
        _check_arrays(p, t)
        kinds, called = _checked_labels(labels, names, len(t))
        object.__setattr__(self, "points", p)
        object.__setattr__(self, "tetrahedra", t)
        object.__setattr__(self, "labels", kinds)
        object.__setattr__(self, "names", called)
        _check_elements(self)
        if (faces := _face_counts(t)).max() > 2:
            raise MeshError(
                f"{int((faces > 2).sum())} faces are shared by more than two tetrahedra: "
                "the mesh overlaps itself; merge duplicate elements before simulating"
            )
        for array in (p, t, kinds):
            array.setflags(write=False)

    @cached_property
    def volumes(self) -> NDArray[np.float64]:
        """Volume of every tetrahedron, (m,) µm³."""
        return signed_volumes(self.points, self.tetrahedra)

    @property
    def volume(self) -> float:
        """Volume of the cell, µm³."""
        return float(self.volumes.sum())

    @cached_property
    def boundary(self) -> NDArray[np.int64]:
        """The surface's triangles as node indices, (k, 3), normals outward."""
        return boundary_faces(self.tetrahedra)

    @cached_property
    def surface_nodes(self) -> NDArray[np.int64]:
        """Indices of the nodes that lie on the surface, (s,), increasing."""
        return np.unique(self.boundary)

    @property
    def surface(self) -> "trimesh.Trimesh":
        """The surface with its own nodes only, in the order of `surface_nodes`."""
        import trimesh

        faces = np.searchsorted(self.surface_nodes, self.boundary)
        return trimesh.Trimesh(self.points[self.surface_nodes], faces, process=False)

    @classmethod
    def from_surface(
        cls, surface: "trimesh.Trimesh | str | PathLike[str]", edge_length: float | None = None
    ) -> "TetMesh":
        """Fill a watertight surface with tetrahedra (needs the optional mesher ``pytetwild``).

        Parameters
        ----------
        surface : trimesh.Trimesh or path of a surface file, µm
        edge_length : µm, target edge length as `pytetwild` takes it; by default a twentieth of the diagonal

        Raises
        ------
        MeshError
            For a file that cannot be read, an open or inside-out surface, or where the mesher is not installed.
        """
        from napari_remidi.physics.geometry.surfaces import closed_surface, filled

        shell = closed_surface(surface)
        return cls(*filled(np.asarray(shell.vertices), np.asarray(shell.faces), edge_length))


def signed_volumes(points: NDArray[np.float64], tetrahedra: NDArray[np.int64]) -> NDArray[np.float64]:
    """Volume of every tetrahedron, (..., n, 3) -> (..., m) µm³, negative where it is inverted."""
    by_coordinate = np.ascontiguousarray(np.moveaxis(points, -1, 0))  # a tenth of the time of np.cross
    origin, *others = (by_coordinate[..., corner] for corner in tetrahedra.T)
    (ax, ay, az), (bx, by, bz), (cx, cy, cz) = (corner - origin for corner in others)
    return np.asarray((ax * (by * cz - bz * cy) + ay * (bz * cx - bx * cz) + az * (bx * cy - by * cx)) / 6)


def boundary_faces(tetrahedra: NDArray[np.int64]) -> NDArray[np.int64]:
    """Faces that belong to one tetrahedron only, (k, 3) node indices, normals outward."""
    faces = tetrahedra[:, FACES].reshape(-1, 3)
    _, first, count = np.unique(np.sort(faces, axis=1), axis=0, return_index=True, return_counts=True)
    return faces[np.sort(first[count == 1])]


def check_surface(surface: "trimesh.Trimesh") -> None:
    """Raise MeshError unless a surface is closed and its normals point outward."""
    if not surface.is_watertight:
        open_edges = len(surface.edges_sorted) - 2 * len(surface.face_adjacency)
        raise MeshError(
            f"the surface is open ({max(open_edges, 1)} edges belong to one face only): close its holes "
            "(for example trimesh.repair.fill_holes) before simulating"
        )
    if surface.volume <= 0:
        raise MeshError(
            f"the surface is inside out (volume {surface.volume:.3g} µm³): "
            "flip its faces (surface.invert()) before simulating"
        )


def _face_counts(tetrahedra: NDArray[np.int64]) -> NDArray[np.int64]:
    faces = np.sort(tetrahedra[:, FACES].reshape(-1, 3), axis=1)
    return np.unique(faces, axis=0, return_counts=True)[1]


def _check_arrays(p: NDArray[np.float64], t: NDArray[np.int64]) -> None:
    if p.ndim != 2 or p.shape[1] != 3:
        raise MeshError(f"points have shape {p.shape}; a mesh needs (n, 3), in µm")
    if t.ndim != 2 or t.shape[1] != 4 or len(t) == 0:
        raise MeshError(f"tetrahedra have shape {t.shape}; a mesh needs (m, 4) node indices with m > 0")
    if bad := int((~np.isfinite(p)).any(axis=1).sum()):
        raise MeshError(f"{bad} of {len(p)} points are not finite; check how the mesh was made or read")
    if t.min() < 0 or t.max() >= len(p):
        raise MeshError(f"tetrahedra name nodes {t.min()} to {t.max()}, but there are {len(p)} points, counted from 0")
    if unused := len(p) - len(np.unique(t)):
        raise MeshError(f"{unused} of {len(p)} points belong to no tetrahedron; remove them before simulating")
    extent = float(np.ptp(p, axis=0).max())
    if not SMALLEST <= extent <= LARGEST:
        raise MeshError(
            f"the mesh is {extent:.3g} µm long, which is no cell's size; give its points in µm "
            "(open_mesh(path, scale=1000) reads mm)"
        )


def _checked_labels(
    labels: ArrayLike | None, names: Sequence[str] | None, count: int
) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    given = np.zeros(count, dtype=np.int64) if labels is None else np.array(labels)
    if given.shape != (count,) or not np.issubdtype(given.dtype, np.integer):
        raise MeshError(
            f"labels have shape {given.shape} and type {given.dtype}; give one whole number for each of the "
            f"{count} tetrahedra"
        )
    present = np.unique(given)
    if names is None:
        names = ("cell",) if present.max() == 0 else tuple(map(str, range(present.max() + 1)))
    if isinstance(names, str) or len(set(names)) != len(names):
        raise MeshError(f"compartment names {names!r}: give a sequence of different names, one for each label")
    if not np.array_equal(present, np.arange(len(names))):
        raise MeshError(
            f"tetrahedra are labelled {', '.join(map(str, present))}, but the names {', '.join(names)} belong to "
            f"labels 0 to {len(names) - 1}, each of which needs tetrahedra"
        )
    return given.astype(np.int64), tuple(names)


def _check_elements(mesh: TetMesh) -> None:
    volumes = mesh.volumes
    inverted = np.flatnonzero(volumes <= 0)
    if len(inverted):
        raise MeshError(_where(mesh, inverted, "inverted", "swap two of their nodes or mesh the surface again"))
    p = mesh.points[mesh.tetrahedra]
    pairs = [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)]
    mean_square = sum(((p[:, a] - p[:, b]) ** 2).sum(axis=1) for a, b in pairs) / 6
    slivers = np.flatnonzero(volumes * 6 * np.sqrt(2) < SLIVER * mean_square**1.5)
    if len(slivers):
        raise MeshError(_where(mesh, slivers, "slivers, too flat to simulate", "mesh the surface again"))


def _where(mesh: TetMesh, elements: NDArray[np.int64], what: str, remedy: str) -> str:
    x, y, z = mesh.points[mesh.tetrahedra[elements[0]]].mean(axis=0)
    place = f"the first is number {elements[0]}, at ({x:.2f}, {y:.2f}, {z:.2f}) µm"
    return f"{len(elements)} of {len(mesh.tetrahedra)} tetrahedra are {what} ({place}): {remedy}"
