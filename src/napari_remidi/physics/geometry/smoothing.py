"""Smooth walls for a labelled mesh of cubes, every compartment keeping its volume.

Walls (the boundary and the interfaces) are smoothed by Taubin's pair of steps, one that shrinks and one that swells
(G. Taubin, A signal processing approach to fair surface design, SIGGRAPH 1995), the nodes between them by averaging.
A step that would invert a tetrahedron, or make a sliver of it, is halved for its nodes until it does not. What is left
of the change of volume is taken back by moving the walls along their normals: of all displacements d with
G d = V* - V, G the gradient of the volumes, the one with the least sum of node area times |d|².
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from napari_remidi.physics.mesh import FACES, signed_volumes

SHRINK, SWELL = 0.5, -0.53  # Taubin's λ and μ; 1/λ + 1/μ = 0.11 is where his filter begins to pass
FLATTEST = 0.1  # quality that no step may go below, 1 for a regular tetrahedron and 0.66 for a sixth of a cube
HALVINGS = 5
CLOSE = 0.01  # relative error of a compartment's volume that is let stand

Array = NDArray[np.float64]
Indices = NDArray[np.int64]


@dataclass(frozen=True)
class Walls:
    """The faces between compartments, the outside counted as one, and who averages with whom."""

    faces: Indices  # (k, 3), each once, seen from the `inner` compartment as outward
    inner: Indices  # (k,) label
    outer: Indices  # (k,) label, -1 outside
    nodes: Indices  # (w,) nodes on any of the faces
    averages: sparse.csr_array  # (n, n): a wall node's neighbours within the wall, an inner node's in space

    @classmethod
    def of(cls, tetrahedra: Indices, labels: Indices, count: int) -> "Walls":
        """Find the walls of a mesh of `count` nodes."""
        faces = tetrahedra[:, FACES].reshape(-1, 3)
        owner = np.repeat(labels, 4)
        key = np.sort(faces, axis=1)
        order = np.lexsort(key.T)
        key, faces, owner = key[order], faces[order], owner[order]
        twin = np.flatnonzero((key[1:] == key[:-1]).all(axis=1))  # an inner face stands twice, one after the other
        paired = np.zeros(len(key), dtype=bool)
        paired[twin] = paired[twin + 1] = True
        alone = np.flatnonzero(~paired)
        between = twin[owner[twin] != owner[twin + 1]]
        first = np.concatenate([alone, between])
        outer = np.concatenate([np.full(len(alone), -1), owner[between + 1]])
        walls = faces[first]
        return cls(walls, owner[first], outer, np.unique(walls), _averages(tetrahedra, walls, count))


def smoothed(
    points: Array,
    tetrahedra: Indices,
    labels: Indices,
    volumes: Array,
    steps: int,
    movable: NDArray[np.bool_],
    press: Callable[[Array], Array] | None = None,
) -> Array:
    """Smooth the walls of a mesh in `steps` pairs of steps, each label keeping its volume to `CLOSE`.

    Parameters
    ----------
    points, tetrahedra, labels : the mesh, (n, 3) µm, (m, 4), (m,) counted from 0
    volumes : (labels,) µm³, the volume that each label is to have
    steps : pairs of steps; fewer are made where the volumes could not be kept any longer
    movable : (n, 3), whether a node may move along x, y and z
    press : takes the boundary's nodes (s, 3) to where they belong, if that is known

    Returns
    -------
    (n, 3) µm, the nodes' new places
    """
    walls = Walls.of(tetrahedra, labels, len(points))
    on_wall = np.isin(np.arange(len(points)), walls.nodes)[:, None]
    floor = np.minimum(FLATTEST, quality(points, tetrahedra) / 2)
    outside = np.unique(walls.faces[walls.outer < 0])
    best = x = points
    for _ in range(steps):
        y = x  # both steps as one move: a swelling whose shrinking was refused would only grow
        for weight in (SHRINK, SWELL):
            y = np.where(on_wall, y + weight * (walls.averages @ y - y), y)
        x = _moved(x, (y - x) * movable, tetrahedra, floor)
        if press is not None:
            move = np.zeros_like(x)
            move[outside] = press(x[outside]) - x[outside]
            x = _moved(x, move * movable, tetrahedra, floor)
        move = SHRINK * (walls.averages @ x - x)
        move[walls.nodes] = 0
        x = _moved(x, move * movable, tetrahedra, floor)
        x, error = _with_volumes(x, tetrahedra, labels, walls, volumes, movable, floor)
        if error > CLOSE:
            break
        best = x
    return best


def quality(points: Array, tetrahedra: Indices) -> Array:
    """6√2 volume / (mean squared edge)^3/2 of every tetrahedron, (m,): 1 if regular, negative if inverted."""
    p = points[tetrahedra]
    pairs = [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)]
    mean_square = sum(((p[:, a] - p[:, b]) ** 2).sum(axis=1) for a, b in pairs) / 6
    return 6 * np.sqrt(2) * signed_volumes(points, tetrahedra) / mean_square**1.5


def _moved(x: Array, move: Array, tetrahedra: Indices, floor: Array) -> Array:
    """Move the nodes, those of spoilt tetrahedra by half as often as needed, and in the end not at all."""
    part = np.ones(len(x))
    around, all_floors = tetrahedra, floor  # those whose quality may have changed
    while True:
        y = x + part[:, None] * move
        spoilt = np.unique(around[quality(y, around) < floor])
        if len(spoilt) == 0:
            return y
        part[spoilt] /= 2
        part[part < 0.5**HALVINGS] = 0
        touched = np.isin(tetrahedra, spoilt).any(axis=1)
        around, floor = tetrahedra[touched], all_floors[touched]


def _with_volumes(
    x: Array,
    tetrahedra: Indices,
    labels: Indices,
    walls: Walls,
    volumes: Array,
    movable: NDArray[np.bool_],
    floor: Array,
) -> tuple[Array, float]:
    """Move the walls along their normals until the volumes are right; also returns the largest relative error left."""
    count = len(volumes)
    for _ in range(5):
        lacking = volumes - np.bincount(labels, signed_volumes(x, tetrahedra), count)
        if np.abs(lacking / volumes).max() < CLOSE / 10:
            break
        area = _face_normals(x, walls.faces)
        rows = np.concatenate([np.repeat(walls.inner, 3), np.repeat(walls.outer, 3)])
        columns = np.tile(walls.faces.reshape(-1), 2)
        third = np.repeat(area / 3, 3, axis=0)  # ∂V/∂p of a wall's node: a third of the area vectors around it
        values = np.concatenate([third, -third])
        inner = rows >= 0
        gradient = [
            sparse.csr_array(
                (values[inner, axis] * movable[columns[inner], axis], (rows[inner], columns[inner])), (count, len(x))
            )
            for axis in range(3)
        ]
        weight = np.bincount(walls.faces.reshape(-1), np.repeat(np.linalg.norm(area, axis=1) / 3, 3), len(x))
        per_area = sparse.diags_array(np.divide(1, weight, out=np.zeros_like(weight), where=weight > 0))
        normal = sum((g @ per_area @ g.T).toarray() for g in gradient)
        push = np.linalg.lstsq(normal, lacking, rcond=1e-10)[0]
        move = np.stack([per_area @ (g.T @ push) for g in gradient], axis=1)
        x = _moved(x, move, tetrahedra, floor)
    lacking = volumes - np.bincount(labels, signed_volumes(x, tetrahedra), count)
    return x, float(np.abs(lacking / volumes).max())


def _face_normals(x: Array, faces: Indices) -> Array:
    """Area vectors of triangles, (k, 3) µm²."""
    a, b, c = x[faces[:, 0]], x[faces[:, 1]], x[faces[:, 2]]
    return np.cross(b - a, c - a) / 2


def _averages(tetrahedra: Indices, walls: Indices, count: int) -> sparse.csr_array:
    """The mean of a node's neighbours: in space, in the wall, or along the line where three walls meet.

    A node where such lines meet or end, or whose walls touch themselves, keeps its place.
    """
    pairs = tetrahedra[:, [0, 0, 0, 1, 1, 2, 1, 2, 3, 2, 3, 3]].reshape(-1, 2, 6).transpose(0, 2, 1).reshape(-1, 2)
    edges, times = np.unique(np.sort(walls[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1), axis=0, return_counts=True)
    in_space, in_wall, on_line = (_graph(e, count) for e in (pairs, edges, edges[times > 2]))
    meeting = np.diff(on_line.indptr)
    rows = [
        _rows(in_space, np.diff(in_wall.indptr) == 0),
        _rows(in_wall, (np.diff(in_wall.indptr) > 0) & (meeting == 0)),
        _rows(on_line, meeting == 2),
        _rows(sparse.eye_array(count, format="csr"), (meeting > 0) & (meeting != 2)),
    ]
    graph = sum(rows[1:], rows[0])
    return sparse.csr_array(sparse.diags_array(1 / np.maximum(graph.sum(axis=1), 1)) @ graph)


def _graph(edges: Indices, count: int) -> sparse.csr_array:
    one_way = sparse.coo_array((np.ones(len(edges)), (edges[:, 0], edges[:, 1])), (count, count)).tocsr()
    graph = sparse.csr_array(one_way + one_way.T)
    graph.data[:] = 1
    return graph


def _rows(matrix: sparse.csr_array, kept: NDArray[np.bool_]) -> sparse.csr_array:
    return sparse.csr_array(sparse.diags_array(kept.astype(float)) @ matrix)
