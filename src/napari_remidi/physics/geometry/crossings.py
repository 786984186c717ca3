"""Where a surface crosses itself: pairs of its triangles, found with a tree of boxes."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]
TOUCHING = 1e-9  # of the extent: an end of an edge that near a triangle's plane touches it and does not cross it


def crossing_faces(vertices: Floats, faces: Indices) -> Indices:
    """Pairs of faces of which one is pierced by an edge of the other, (k, 2), in rising order.

    Faces that touch at a common vertex or edge, or that lie in one plane, do not count.

    Parameters
    ----------
    vertices, faces : (v, 3), (f, 3)

    Examples
    --------
    >>> vertices = np.array([[0, 0, 0], [2, 0, 0], [0, 2, 0], [0.5, 0.5, -1], [0.5, 0.5, 1], [3, 3, 0.0]])
    >>> crossing_faces(vertices, np.array([[0, 1, 2], [3, 4, 5]]))
    array([[0, 1]])
    """
    points = np.asarray(vertices, dtype=np.float64)
    points = points - points.mean(axis=0)
    points = points @ np.linalg.eigh(points.T @ points)[1]  # long triangles tend to lie along these axes: thin boxes
    corners = points[faces]
    pairs = _overlapping_boxes(corners.min(axis=1), corners.max(axis=1))
    touching = TOUCHING * float(np.ptp(corners, axis=(0, 1)).max())
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    size = np.linalg.norm(normals, axis=1, keepdims=True)
    normals = np.divide(normals, size, out=np.zeros_like(normals), where=size > touching**2)
    crossed = [
        _pierced(corners[pairs[:, one]], normals[pairs[:, one]], corners[pairs[:, other]], touching)
        for one, other in ((0, 1), (1, 0))
    ]
    return np.unique(np.sort(pairs[crossed[0] | crossed[1]], axis=1), axis=0)


def _overlapping_boxes(low: Floats, high: Floats) -> Indices:
    """Pairs of boxes that overlap, by walking down a balanced tree of boxes against itself."""
    depth = int(np.ceil(np.log2(len(low))))
    order = np.concatenate([np.arange(len(low)), np.full(2**depth - len(low), -1)])
    low = np.concatenate([low, np.full((1, 3), np.inf)])  # the last, which -1 names, overlaps nothing
    high = np.concatenate([high, np.full((1, 3), -np.inf)])
    centres = np.concatenate([low[:-1] + high[:-1], np.full((1, 3), np.inf)])
    for level in range(depth):
        order = order.reshape(2**level, -1)
        x = np.where(order[..., None] < 0, np.nan, centres[order])
        spread = np.nan_to_num(np.nanmax(x, axis=1, initial=-np.inf) - np.nanmin(x, axis=1, initial=np.inf))
        along = np.take_along_axis(centres[order], spread.argmax(axis=1)[:, None, None], axis=2)[..., 0]
        order = np.take_along_axis(order, along.argsort(axis=1), axis=1)
    order = order.ravel()
    pairs = np.zeros((1, 2), dtype=np.int64)
    for level in range(1, depth + 1):
        groups = order.reshape(2**level, -1)
        lows, highs = low[groups].min(axis=1), high[groups].max(axis=1)
        pairs = np.concatenate([2 * pairs + step for step in ((0, 0), (0, 1), (1, 0), (1, 1))])
        i, j = pairs[pairs[:, 0] <= pairs[:, 1]].T
        met = ((lows[i] <= highs[j]) & (lows[j] <= highs[i])).all(axis=1)
        pairs = np.stack([i[met], j[met]], axis=1)
    pairs = pairs[pairs[:, 0] < pairs[:, 1]]
    return order[pairs]


def _pierced(triangle: Floats, normal: Floats, other: Floats, touching: float) -> NDArray[np.bool_]:
    """Whether an edge of the other triangle passes through the triangle, for each of k pairs."""
    heights = np.einsum("kj,kij->ki", normal, other - triangle[:, :1])
    heights[np.abs(heights) < touching] = 0
    pierced = np.zeros(len(triangle), dtype=bool)
    for start, end in ((0, 1), (1, 2), (2, 0)):
        through = np.flatnonzero(heights[:, start] * heights[:, end] < 0)
        share = heights[through, start] / (heights[through, start] - heights[through, end])
        point = other[through, start] + share[:, None] * (other[through, end] - other[through, start])
        corners, up = triangle[through], normal[through]
        edges = np.roll(corners, -1, axis=1) - corners
        left = np.einsum("kij,kj->ki", np.cross(edges, point[:, None] - corners), up)
        pierced[through] |= (left > 0).all(axis=1)
    return pierced
