"""Triangles between circles in a rectangle: nodes close together where gaps are narrow, joined by Delaunay's rule."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import Delaunay, cKDTree

from napari_remidi.errors import MeshError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

GROWTH = 0.3  # by how much the distance between nodes grows on each length away from a circle
CLOSEST = 0.7  # nodes nearer to each other than this share of the wanted distance are thinned out
ROUNDS = 15  # of moving every free node to the middle of its neighbours


@dataclass(frozen=True)
class Circles:
    """Circles in the rectangle [0, x] × [0, y] and the distances between nodes wanted about them.

    Parameters
    ----------
    middles : (k, 2) float, µm
    radii : (k,) float, µm, of the corners of their polygons
    sides : (k,) float, µm, of the polygons
    size : (2,) float, µm, of the rectangle
    edge : µm, the distance between nodes far from any circle
    """

    middles: Floats
    radii: Floats
    sides: Floats
    size: Floats
    edge: float

    def distances(self, places: Floats) -> Floats:
        """From every place to every circle, (n, k) µm, negative inside."""
        return np.linalg.norm(places[:, None] - self.middles, axis=2) - self.radii

    def spacing(self, places: Floats) -> Floats:
        """Wanted distance between nodes at every place, (n,) µm."""
        return np.minimum((self.sides + GROWTH * self.distances(places)).min(axis=1), self.edge)


def triangles_between(circles: Circles, rings: list[Floats]) -> tuple[Floats, Ints]:
    """Fill a rectangle around polygons.

    Parameters
    ----------
    circles : through the polygons' corners
    rings : (c, 2) float, µm, the corners of every polygon in turn

    Returns
    -------
    places : (n, 2) float, µm; those of the rings first, in their order
    triangles : (t, 3) int, counter-clockwise

    Raises
    ------
    MeshError
        If a side of a polygon is crossed.
    """
    fixed = np.concatenate([*rings, _wall_places(circles)])
    places = _relaxed(np.concatenate([fixed, _free_places(circles, fixed)]), len(fixed), circles, rings)
    triangles = _outer_triangles(places, rings)
    _check_sides(triangles, rings, circles)
    return places, triangles


def _wall_places(circles: Circles) -> Floats:
    """Nodes around the rectangle, each corner once."""
    x, y = circles.size
    corners = np.array([[0, 0], [x, 0], [x, y], [0, y], [0, 0]])
    walls = []
    for start, end in pairwise(corners):
        share = np.linspace(0, 1, 2001)
        spacing = circles.spacing(start + share[:, None] * (end - start))
        steps = np.linalg.norm(end - start) * np.diff(share) / ((spacing[1:] + spacing[:-1]) / 2)
        passed = np.concatenate([[0], np.cumsum(steps)])
        wanted = np.linspace(0, passed[-1], max(2, round(passed[-1])) + 1)[:-1]
        walls.append(start + np.interp(wanted, passed, share)[:, None] * (end - start))
    return np.concatenate(walls)


def _free_places(circles: Circles, fixed: Floats) -> Floats:
    """Circles of nodes about every circle, further and further apart, then a hexagonal lattice; thinned out."""
    candidates = [_halo(circles, k) for k in range(len(circles.middles))]
    rows = np.arange(0, circles.size[1], circles.edge * np.sqrt(3) / 2)
    columns = np.arange(0, circles.size[0], circles.edge)
    candidates += [np.column_stack([columns + circles.edge / 2 * (k % 2), 0 * columns + y]) for k, y in enumerate(rows)]
    places = np.concatenate(candidates)
    places = places[np.all((places > 0) & (places < circles.size), axis=1)]
    places = places[circles.distances(places).min(axis=1) > 0]
    places = np.concatenate([fixed, places])
    reach = CLOSEST * circles.spacing(places)
    keep = np.ones(len(places), dtype=bool)
    for near, far in sorted(cKDTree(places).query_pairs(reach.max())):
        if keep[near] and far >= len(fixed) and np.linalg.norm(places[near] - places[far]) < reach[far]:
            keep[far] = False
    return places[len(fixed) :][keep[len(fixed) :]]


def _halo(circles: Circles, k: int) -> Floats:
    """Circles of nodes about circle k, out to where the wanted distance is the edge length."""
    found, radius, spacing, phase = [], circles.radii[k], circles.sides[k], 0.0
    while True:
        radius += spacing * np.sqrt(3) / 2
        spacing = min(spacing * (1 + GROWTH), circles.edge)
        count = round(2 * np.pi * radius / spacing)
        phase = 0.5 - phase  # each node faces the middle of a side
        angle = 2 * np.pi * (np.arange(count) + phase) / count
        found.append(circles.middles[k] + radius * np.column_stack([np.cos(angle), np.sin(angle)]))
        if spacing == circles.edge:
            return np.concatenate(found)


def _relaxed(places: Floats, fixed: int, circles: Circles, rings: list[Floats]) -> Floats:
    """Move every free node to the middle of its neighbours, a few times, away from circles and walls."""
    places = places.copy()
    for _ in range(ROUNDS):
        triangles = _outer_triangles(places, rings)
        pairs = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
        pairs = np.unique(np.concatenate([pairs, pairs[:, ::-1]]), axis=0)
        summed, count = np.zeros_like(places), np.bincount(pairs[:, 0], minlength=len(places))
        np.add.at(summed, pairs[:, 0], places[pairs[:, 1]])
        moved = summed[fixed:] / np.maximum(count[fixed:], 1)[:, None]
        clear = circles.distances(moved).min(axis=1) > 0.4 * circles.spacing(moved)
        places[fixed:][clear] = moved[clear]
    return places


def _outer_triangles(places: Floats, rings: list[Floats]) -> Ints:
    """Delaunay triangles of all places but those within a ring, counter-clockwise, (t, 3)."""
    owner = np.concatenate([np.repeat(np.arange(len(rings)), [len(ring) for ring in rings]), np.full(len(places), -1)])
    triangles = Delaunay(places).simplices.astype(np.int64)
    of = owner[triangles]
    triangles = triangles[~((of[:, 0] >= 0) & (of[:, 0] == of[:, 1]) & (of[:, 1] == of[:, 2]))]
    p = places[triangles]
    (ax, ay), (bx, by) = (p[:, 1] - p[:, 0]).T, (p[:, 2] - p[:, 0]).T
    area, longest = ax * by - ay * bx, np.maximum(ax**2 + ay**2, bx**2 + by**2)
    triangles[area < 0] = triangles[area < 0][:, [0, 2, 1]]
    return triangles[np.abs(area) > 1e-9 * longest]  # three nodes in a row on a wall make no triangle


def _check_sides(triangles: Ints, rings: list[Floats], circles: Circles) -> None:
    edges = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
    present = {(int(a), int(b)) for a, b in np.sort(edges, axis=1)}
    start = 0
    for k, ring in enumerate(rings):
        corners = start + np.arange(len(ring))
        sides = np.sort(np.column_stack([corners, np.roll(corners, -1)]), axis=1)
        if crossed := sum((int(a), int(b)) not in present for a, b in sides):
            raise MeshError(
                f"{crossed} of {len(ring)} sides of cylinder {k} are crossed by other elements: give an edge length "
                f"below {circles.sides[k]:.3g} µm"
            )
        start += len(ring)
