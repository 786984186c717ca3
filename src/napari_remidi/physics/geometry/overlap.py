"""Whether points lie inside tetrahedra."""

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

# in barycentric coordinates; a point nearer to a face than this lies on it, not inside
ON_FACE = 1e-6


def points_inside(queries: Floats, points: Floats, tetrahedra: Ints) -> Ints:
    """Numbers of the queries that lie strictly inside some tetrahedron, (k,), increasing.

    Parameters
    ----------
    queries : (q, 3) float, µm
    points : (n, 3) float, µm
    tetrahedra : (m, 4) int
    """
    corners = points[tetrahedra]
    centres = corners.mean(axis=1)
    reach = np.linalg.norm(corners - centres[:, None], axis=2).max(axis=1)
    near = cKDTree(queries).query_ball_point(centres, reach)
    element = np.repeat(np.arange(len(tetrahedra)), [len(found) for found in near])
    query = np.fromiter((q for found in near for q in found), dtype=np.int64, count=len(element))
    edges = np.moveaxis(corners[:, 1:] - corners[:, :1], 1, 2)
    offset = queries[query] - corners[element, 0]
    weights = np.einsum("eij,ej->ei", np.linalg.inv(edges)[element], offset)
    inside = (weights.min(axis=1) > ON_FACE) & (weights.sum(axis=1) < 1 - ON_FACE) if len(query) else []
    return np.unique(query[inside])
