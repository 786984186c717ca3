"""Prisms cut into tetrahedra so that neighbours agree on the diagonals of the faces they share."""

import numpy as np
from numpy.typing import NDArray

from napari_remidi.physics.mesh import signed_volumes

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def prism_tetrahedra(triangles: Ints, low: int, high: int) -> Ints:
    """Three tetrahedra for each prism between two copies of a triangulation.

    A side of a prism is cut from its lower node of smaller number to its upper node of larger number. Both prisms at
    that side see the same numbers, hence the same diagonal.

    Parameters
    ----------
    triangles : (t, 3) int, node numbers within one layer
    low, high : number of the first node of the lower and of the upper layer

    Returns
    -------
    (3t, 4) int, triangle k's in rows k, k + t, k + 2t; positively oriented where the prism is upright and its triangle
    counter-clockwise seen from the upper layer
    """
    p, q, r = triangles.T
    turned = ((p > q) + (p > r).astype(int) + (q > r)) % 2 == 1  # sorting the nodes turns the triangle over
    a, b, c = np.sort(triangles, axis=1).T
    corners = [
        np.stack([a + low, b + low, c + low, c + high], axis=1),
        np.stack([a + low, b + high, b + low, c + high], axis=1),
        np.stack([a + low, a + high, b + high, c + high], axis=1),
    ]
    return np.concatenate([np.where(turned[:, None], tets[:, [0, 2, 1, 3]], tets) for tets in corners])


def extruded(section: Floats, triangles: Ints, heights: Floats) -> tuple[Floats, Ints]:
    """Points and tetrahedra of a triangulated section stacked at given heights.

    Parameters
    ----------
    section : (n, 2) float, µm
    triangles : (t, 3) int, counter-clockwise
    heights : (l,) float, µm, increasing

    Returns
    -------
    points : (l n, 3) float, µm, one layer after the other
    tetrahedra : (3 t (l − 1), 4) int, positively oriented; those of triangle k are the rows whose number is k mod t
    """
    count = len(section)
    points = np.column_stack([np.tile(section, (len(heights), 1)), np.repeat(heights, count)])
    lows = range(0, count * (len(heights) - 1), count)
    return points, np.concatenate([prism_tetrahedra(triangles, low, low + count) for low in lows])


def positively_oriented(points: Floats, tetrahedra: Ints) -> Ints:
    """The same tetrahedra, (m, 4), with two nodes swapped where they were inverted."""
    turned = signed_volumes(points, tetrahedra)[:, None] < 0
    return np.where(turned, tetrahedra[:, [0, 2, 1, 3]], tetrahedra)
