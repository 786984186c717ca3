"""Balls and concentric shells from the icosahedron: twenty tetrahedra about the centre, divided evenly, made round.

The layer of division m carries the m-fold divided icosahedron. Between division m and m + 1 lie small tetrahedra and
octahedra, each octahedron cut along its shortest diagonal; between two layers of one division lie prisms. Because an
octahedron only touches triangles, any diagonal leaves the mesh conforming, and the shapes stay alike at every
fineness.
"""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from napari_remidi.physics.geometry.layers import Layer, check_radii, layers_for
from napari_remidi.physics.geometry.prisms import positively_oriented, prism_tetrahedra
from napari_remidi.physics.mesh import TetMesh

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_GOLDEN = (1 + np.sqrt(5)) / 2
_CORNERS = np.array(
    [np.roll([0, s, t * _GOLDEN], shift) for shift in range(3) for s in (-1, 1) for t in (-1, 1)]
) / np.sqrt(1 + _GOLDEN**2)
_ANGLE = np.arctan(2)  # between neighbouring corners, seen from the centre
_UNIT = np.eye(3, dtype=np.int64)
_PAIRS = 1 - _UNIT  # opposite to _UNIT in the octahedron between two layers


def sphere(radius: float, nodes: int = 1500, name: str = "cell") -> TetMesh:
    """A ball about the origin whose mesh has exactly the ball's volume.

    Parameters
    ----------
    radius : µm
    nodes : about how many nodes; the closest of 55, 147, 309, 561, 923, 1415, 2057 ... is taken
    name : of its compartment

    Raises
    ------
    MeshError
        For a radius that is not positive or a number of nodes below one.

    Examples
    --------
    >>> ball = sphere(3)
    >>> len(ball.points), round(ball.volume / (4 / 3 * np.pi * 3**3), 9)
    (1415, 1.0)
    """
    return spheres([radius], [name], nodes)


def spheres(radii: Sequence[float], names: Sequence[str], nodes: int = 1500) -> TetMesh:
    """A ball inside shells, all about the origin, with nodes on every radius.

    The layer at each radius is scaled to enclose exactly its ball's volume.

    Parameters
    ----------
    radii : outer radius of each compartment, µm, from the inside out
    names : of the compartments, from the inside out
    nodes : about how many nodes in all

    Raises
    ------
    MeshError
        For radii that do not grow, names that do not match them, or a number of nodes below one.
    """
    check_radii(radii, nodes, names)
    layers = layers_for(radii, nodes, _node_count)
    points = np.concatenate([np.zeros((1, 3)), *(_layer_points(layer) for layer in layers)])
    tetrahedra, labels = [], []
    inside, first, second = Layer(0, 0.0, 0), 0, 1
    for layer in layers:
        found = _between(points, inside.division, layer.division, first, second)
        tetrahedra.append(found)
        labels.append(np.full(len(found), layer.label))
        inside, first, second = layer, second, second + 10 * layer.division**2 + 2
    return TetMesh(
        points, positively_oriented(points, np.concatenate(tetrahedra)), np.concatenate(labels), tuple(names)
    )


def _node_count(layers: list[Layer]) -> int:
    return 1 + sum(10 * layer.division**2 + 2 for layer in layers)


def _layer_points(layer: Layer) -> Floats:
    """Nodes of one layer, scaled so that its polyhedron has the ball's volume."""
    corners, _ = _divided(layer.division)
    # along an edge of the icosahedron this is the great circle at constant speed
    points = np.sin(_ANGLE * corners / layer.division) @ _CORNERS
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    p = points[_layer_triangles(layer.division)]
    volume = np.abs(np.linalg.det(p)).sum() / 6
    return points * layer.radius * np.cbrt(4 / 3 * np.pi / volume)


@lru_cache(maxsize=4)
def _faces() -> Ints:
    """The icosahedron's twenty faces, (20, 3) corner numbers."""
    near = _CORNERS @ _CORNERS.T > 0.4
    return np.array(
        [(a, b, c) for a in range(12) for b in range(a) for c in range(b) if near[a, b] and near[a, c] and near[b, c]]
    )


@lru_cache(maxsize=128)
def _divided(division: int) -> tuple[Ints, Ints]:
    """Nodes of a divided icosahedron as integer weights of its corners, and their numbers on every face.

    Returns
    -------
    weights : (10 m² + 2, 12) int, summing to m = `division`; (1, 12) zeros for m = 0
    numbers : (20, m + 1, m + 1) int, the node with weights i, j, m − i − j on the face's corners
    """
    faces = _faces()
    i, j = np.nonzero(np.add.outer(np.arange(division + 1), np.arange(division + 1)) <= division)
    weights = np.zeros((len(faces), len(i), 12), dtype=np.int64)
    for corner, weight in zip(faces.T, (i, j, division - i - j), strict=True):
        weights[np.arange(len(faces))[:, None], np.arange(len(i)), corner[:, None]] = weight
    nodes, number = np.unique(weights.reshape(-1, 12), axis=0, return_inverse=True)
    numbers = np.full((len(faces), division + 1, division + 1), -1)
    numbers[:, i, j] = number.reshape(len(faces), -1)
    return nodes, numbers


def _steps(total: int) -> Ints:
    """All (i, j, k) of whole numbers with this sum, (s, 3)."""
    i, j = np.nonzero(np.add.outer(np.arange(max(total + 1, 0)), np.arange(max(total + 1, 0))) <= total)
    return np.stack([i, j, total - i - j], axis=1)


def _numbered(division: int, places: Ints) -> Ints:
    """Node numbers of weights (..., 3) on all twenty faces, as rows."""
    found = _divided(division)[1][:, places[..., 0], places[..., 1]]
    return found.reshape(-1, *places.shape[1:-1])


def _layer_triangles(division: int) -> Ints:
    upright = _numbered(division, _steps(division - 1)[:, None] + _UNIT)
    return np.concatenate([upright, _numbered(division, _steps(division - 2)[:, None] + _PAIRS)])


def _between(points: Floats, inner: int, outer: int, first: int, second: int) -> Ints:
    """Tetrahedra between two layers, given their divisions and the numbers of their first nodes."""
    if inner == outer:
        return prism_tetrahedra(_layer_triangles(inner), first, second)
    up = np.concatenate(
        [
            _numbered(inner, _steps(inner)[:, None]) + first,
            _numbered(outer, _steps(inner)[:, None] + _UNIT) + second,
        ],
        axis=1,
    )
    down = np.concatenate(
        [
            _numbered(inner, _steps(inner - 2)[:, None] + _PAIRS) + first,
            _numbered(outer, _steps(inner - 2)[:, None] + 1) + second,
        ],
        axis=1,
    )
    base = _steps(inner - 1)[:, None]
    low, high = _numbered(inner, base + _UNIT) + first, _numbered(outer, base + _PAIRS) + second
    return np.concatenate([up, down, _cut_octahedra(points, low, high)])


def _cut_octahedra(points: Floats, low: Ints, high: Ints) -> Ints:
    """Four tetrahedra about the shortest diagonal of each octahedron; low[:, k] lies opposite high[:, k]."""
    if len(low) == 0:
        return np.empty((0, 4), dtype=np.int64)
    diagonals = np.linalg.norm(points[low] - points[high], axis=2)
    k = np.argmin(diagonals.round(9), axis=1)  # rounded: equal ones are cut alike everywhere
    rows, (a, b) = np.arange(len(low)), ((k + 1) % 3, (k + 2) % 3)
    axis = low[rows, k], high[rows, k]
    ring = [low[rows, a], low[rows, b], high[rows, a], high[rows, b]]
    return np.concatenate([np.stack([*axis, ring[s], ring[(s + 1) % 4]], axis=1) for s in range(4)])
