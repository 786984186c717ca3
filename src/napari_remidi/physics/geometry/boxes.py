"""Boxes: every cell of a grid cut into six tetrahedra along one diagonal."""

import itertools

import numpy as np
from numpy.typing import NDArray

from napari_remidi.errors import MeshError
from napari_remidi.physics.geometry.prisms import positively_oriented
from napari_remidi.physics.mesh import TetMesh


def box(size: tuple[float, float, float], cells: tuple[int, int, int], name: str = "cell") -> TetMesh:
    """A rectangular box with one corner at the origin.

    Parameters
    ----------
    size : lengths along x, y and z, µm
    cells : how many cells the grid has along x, y and z
    name : of its compartment

    Raises
    ------
    MeshError
        For a length that is not positive or an axis without cells.

    Examples
    --------
    >>> block = box((4, 2, 2), (4, 2, 2))
    >>> len(block.points), len(block.tetrahedra), round(block.volume, 9)
    (45, 96, 16.0)
    """
    if len(size) != 3 or len(cells) != 3:
        raise MeshError(f"a box needs three lengths and three numbers of cells, not {len(size)} and {len(cells)}")
    for axis, length, count in zip("xyz", size, cells, strict=True):
        if not (np.isfinite(length) and length > 0 and count >= 1):
            raise MeshError(
                f"{count} cells over {length:g} µm along {axis}: give a positive length and at least 1 cell"
            )
    grids = [np.linspace(0, length, count + 1) for count, length in zip(cells, size, strict=True)]
    points = np.stack(np.meshgrid(*grids, indexing="ij"), axis=-1).reshape(-1, 3)
    tetrahedra = np.concatenate([_along(order, cells) for order in itertools.permutations(range(3))])
    return TetMesh(points, positively_oriented(points, tetrahedra), names=(name,))


def _along(order: tuple[int, ...], cells: tuple[int, int, int]) -> NDArray[np.int64]:
    """In every cell, the tetrahedron whose nodes are met by stepping along the axes in this order, (c, 4)."""
    number = np.arange(np.prod(np.array(cells) + 1)).reshape([count + 1 for count in cells])
    corner = np.zeros(3, dtype=np.int64)
    nodes = [corner.copy()]
    for axis in order:
        corner[axis] += 1
        nodes.append(corner.copy())
    return np.stack(
        [number[tuple(slice(o, o + count) for o, count in zip(c, cells, strict=True))].ravel() for c in nodes], axis=1
    )
