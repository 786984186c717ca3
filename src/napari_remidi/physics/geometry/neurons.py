"""Traced neurons, trees of points with radii in SWC files, as closed tetrahedral meshes, without a mesher."""

from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from napari_remidi.errors import MeshError
from napari_remidi.physics.geometry.label_images import MOST_VOXELS, mesh_of_voxels
from napari_remidi.physics.geometry.swc import Cones, read_tree
from napari_remidi.physics.mesh import TetMesh

PER_RADIUS = 1.5  # voxels in the thinnest neurite's radius, unless the user says otherwise
SMOOTH = 10
FINER = 3  # parts of a voxel's edge, where the surface crosses it, in measuring the volume
AT_ONCE = 200_000  # points whose distance is found in one go

Array = NDArray[np.float64]
Indices = NDArray[np.int64]


def open_neuron(path: str | PathLike[str], edge_length: float | None = None) -> TetMesh:
    """Read a traced neuron and fill it with tetrahedra, in compartments "soma", "axon", "dendrite" and "neurite".

    Between a point and its parent the radius changes linearly; ends are round. A neurite leaves the soma with its own
    first radius. A soma of three points in NeuroMorpho.org's convention is the sphere that it stands for. Apical and
    basal dendrites are "dendrite", branch and end points (types 5 and 6) are of their parent's kind, other types are
    "neurite". The voxels of a grid that lie in the neuron are cut into tetrahedra, and their outer nodes moved onto
    the neuron's surface; the volume of each compartment is kept to 1 %.

    Parameters
    ----------
    path : an SWC file, µm (R. C. Cannon et al., J. Neurosci. Methods 84, 1998)
    edge_length : µm, the grid's spacing; by default the thinnest radius divided by 1.5. No larger than that radius

    Raises
    ------
    MeshError
        For a file that is missing or no tree (with the line), an edge length too coarse for the thinnest neurite, or a
        mesh that would be too large (with the edge length that fits).
    """
    cones = read_tree(Path(path))
    spacing = cones.thinnest / PER_RADIUS if edge_length is None else edge_length
    _check_spacing(Path(path), cones, spacing)
    field = _Field.of(cones, 2 * spacing)
    corners = _voxels_near(field, spacing)
    centres = np.asarray((corners + 0.5) * spacing, dtype=np.float64)
    distance, kinds = field(centres)
    volumes = _volumes(field, centres, distance, kinds, spacing, len(cones.names))
    inside = _without_touching(corners, distance)
    present, labels = np.unique(kinds[inside], return_inverse=True)
    names = [cones.names[kind] for kind in present]
    size = np.full(3, spacing)
    return mesh_of_voxels(
        corners[inside], labels, np.zeros(3), size, names, volumes[present], SMOOTH, press=field.pressed
    )


@dataclass(frozen=True)
class _Field:
    """Signed distance to the union of round cones, exact outside, wherever it is below `reach`."""

    cones: Cones  # cut short, so that a ball around each is a good guess of where it matters
    reach: float

    @classmethod
    def of(cls, cones: Cones, reach: float) -> "_Field":
        return cls(cones.cut_short(reach), reach)

    def __call__(self, points: Array) -> tuple[Array, Indices]:
        """Distance (n,) µm, infinite beyond the reach, and the kind of the nearest cone; the soma's go first."""
        parts = [self._near(points[i : i + AT_ONCE]) for i in range(0, len(points), AT_ONCE)]
        return np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts])

    def pressed(self, points: Array) -> Array:
        """Points (n, 3) moved along the distance's gradient, by differences, onto the surface."""
        step = 1e-5 * self.reach
        distance = self._distance(points)
        gradient = np.stack([(self._distance(points + step * axis) - distance) / step for axis in np.eye(3)], axis=1)
        move = np.where(np.isfinite(distance), distance, 0)[:, None] * np.where(np.isfinite(gradient), gradient, 0)
        return points - move

    def _distance(self, points: Array) -> Array:
        point, _, distance = self._pairs(points)
        nearest = np.full(len(points), np.inf)
        np.minimum.at(nearest, point, distance)
        return nearest

    def _near(self, points: Array) -> tuple[Array, Indices]:
        point, cone, distance = self._pairs(points)
        rank = np.where((self.cones.kinds[cone] == 0) & (distance < 0), -1, 0)
        order = np.lexsort([distance, rank, point])
        first = order[np.unique(point[order], return_index=True)[1]]
        nearest, kinds = np.full(len(points), np.inf), np.zeros(len(points), dtype=np.int64)
        kinds[point[first]] = self.cones.kinds[cone[first]]
        np.minimum.at(nearest, point, distance)
        return nearest, kinds

    def _pairs(self, points: Array) -> tuple[Indices, Indices, Array]:
        """Each point with each cone in reach, and their distance."""
        middles = (self.cones.starts + self.cones.ends) / 2
        hits = cKDTree(points).query_ball_point(middles, self.cones.bounds + self.reach)
        cone = np.repeat(np.arange(len(hits)), [len(hit) for hit in hits])
        point = np.concatenate([np.asarray(hit, dtype=np.int64) for hit in hits])
        return point, cone, self.cones.distance(cone, points[point])


def _voxels_near(field: _Field, spacing: float) -> Indices:
    """The lowest corners, in grid steps, of all voxels whose centre may lie in the neuron or a voxel from it."""
    cones, margin = field.cones, 1.5 * spacing
    radii = np.maximum(cones.start_radii, cones.end_radii)[:, None] + margin
    low = np.floor((np.minimum(cones.starts, cones.ends) - radii) / spacing).astype(np.int64)
    high = np.ceil((np.maximum(cones.starts, cones.ends) + radii) / spacing).astype(np.int64)
    origin, shape = low.min(axis=0), high.max(axis=0) - low.min(axis=0) + 1
    found: list[Indices] = []
    for index, (a, b) in enumerate(zip(low - origin, high - origin, strict=True)):
        box = np.stack(np.meshgrid(*map(np.arange, a, b), indexing="ij"), axis=-1).reshape(-1, 3)
        distance = cones.distance(np.full(len(box), index), (box + origin + 0.5) * spacing)
        found.append(np.ravel_multi_index(tuple(box[distance < margin].T), tuple(shape)))
    unique = np.unique(np.concatenate(found))
    return np.stack(np.unravel_index(unique, tuple(shape)), axis=1) + origin


def _without_touching(corners: Indices, distance: Array) -> NDArray[np.bool_]:
    """Voxels inside the neuron, and those that must join for none to touch another at an edge alone, (v,).

    Of the two voxels that fill such a gap the one nearer to the neuron joins, until there is no gap.
    """
    low = corners.min(axis=0) - 1
    shape = tuple(np.ptp(corners, axis=0) + 3)
    flat = np.ravel_multi_index(tuple((corners - low).T), shape)  # increasing, as the corners are sorted
    steps = np.array([shape[1] * shape[2], shape[2], 1])

    def places(shift: int) -> Indices:
        found = np.minimum(np.searchsorted(flat, flat + shift), len(flat) - 1)
        return np.where(flat[found] == flat + shift, found, len(flat))

    blocks = [
        np.stack([np.arange(len(flat)), places(a + b), places(a), places(b)], axis=1)
        for i, j in ((0, 1), (0, 2), (1, 2))
        for a, b in ((steps[i], steps[j]), (steps[i], -steps[j]))
    ]
    first, across, one, other = np.concatenate(blocks).T
    inside, far = np.append(distance < 0, False), np.append(distance, np.inf)  # the last stands for all others
    while True:
        gap = inside[first] & inside[across] & ~inside[one] & ~inside[other]
        joins = np.where(far[one] < far[other], one, other)[gap]
        joins = joins[joins < len(flat)]
        if len(joins) == 0:
            return inside[:-1]
        inside[joins] = True


def _volumes(field: _Field, centres: Array, distance: Array, kinds: Indices, spacing: float, count: int) -> Array:
    """Volume of each kind, (count,) µm³: voxels far inside whole, those at the surface in `FINER`³ parts."""
    half_diagonal = np.sqrt(3) / 2 * spacing
    volumes = np.bincount(kinds[distance <= -half_diagonal], minlength=count) * spacing**3
    shift = (np.stack(np.meshgrid(*[np.arange(FINER)] * 3, indexing="ij"), axis=-1).reshape(-1, 3) + 0.5) / FINER - 0.5
    near = centres[np.abs(distance) < half_diagonal]
    part = spacing / FINER
    for places in shift * spacing:
        d, kind = field(near + places)
        volumes = volumes + np.bincount(kind, np.clip(0.5 - d / part, 0, 1), count) * part**3
    return np.asarray(volumes, dtype=np.float64)


def _check_spacing(path: Path, cones: Cones, spacing: float) -> None:
    thinnest, line = cones.thinnest, cones.thinnest_line
    if not (np.isfinite(spacing) and spacing > 0):
        raise MeshError(f"edge length {spacing:g} µm: give a positive length")
    count = cones.volume / spacing**3
    fits = spacing * (count / MOST_VOXELS) ** (1 / 3)
    too_many = (
        f"{path}: edges of {spacing:.3g} µm would make {6 * count:.2g} tetrahedra (at most {6 * MOST_VOXELS:.2g})"
    )
    if count > MOST_VOXELS and fits <= thinnest:
        raise MeshError(f"{too_many}: give an edge_length of {1.01 * fits:.3g} to {thinnest:.3g} µm")
    if count > MOST_VOXELS:
        raise MeshError(
            f"{too_many}, and edges that fit ({fits:.3g} µm) are too coarse for the thinnest radius, {thinnest:g} "
            f"µm at line {line}: cut the neuron into parts or leave its thinnest neurites out"
        )
    if spacing > thinnest:
        raise MeshError(
            f"{path}: edges of {spacing:g} µm are too coarse for the thinnest radius, {thinnest:g} µm at line {line}: "
            f"give an edge_length of {thinnest:g} µm or less"
        )
