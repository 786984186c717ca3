"""Meshes of stacked slabs and of concentric shells, labelled so that every layer has its true volume."""

from collections.abc import Sequence

import meshes
import numpy as np
from numpy.typing import NDArray

from napari_remidi.physics import TetMesh


def stack(cells: Sequence[int], thickness: Sequence[float], width: float = 2.0) -> TetMesh:
    """Slabs along x, each cut into so many cells; named "0", "1", ..."""
    block = meshes.box((sum(cells), 2, 2), (1.0, width, width))
    grid = np.round(block.points[:, 0] * sum(cells)).astype(int)
    places = _graded(cells, thickness)
    points = np.c_[places[grid], block.points[:, 1:]]
    return TetMesh(points, block.tetrahedra, _layers(cells, grid, block.tetrahedra))


def concentric(cells: Sequence[int], thickness: Sequence[float]) -> TetMesh:
    """A ball and the shells around it, each cut into so many cells from the centre outwards; named "0", "1", ..."""
    count = sum(cells)
    cube = meshes.box((2 * count,) * 3, (2.0,) * 3)
    p = (cube.points - 1) * count
    grid = np.round(np.abs(p).max(axis=1)).astype(int)
    length = np.linalg.norm(p, axis=1)
    unit = np.divide(p, length[:, None], out=np.zeros_like(p), where=length[:, None] > 0)
    radius = _graded(cells, thickness) * np.array([1.0, *(_swelling(unit, grid, cube, k) for k in range(1, count + 1))])
    points = unit * radius[grid][:, None]
    q = points[cube.tetrahedra]
    turned = np.linalg.det(q[:, 1:] - q[:, :1]) < 0
    tets = cube.tetrahedra.copy()
    tets[turned] = tets[turned][:, [0, 2, 1, 3]]
    return TetMesh(points, tets, _layers(cells, grid, tets))


def _graded(cells: Sequence[int], thickness: Sequence[float]) -> NDArray:
    """Positions of the grid's planes or shells, (Σ cells + 1,)."""
    steps = np.concatenate([np.full(n, t / n) for n, t in zip(cells, thickness, strict=True)])
    return np.concatenate([[0.0], np.cumsum(steps)])


def _layers(cells: Sequence[int], grid: NDArray, tets: NDArray) -> NDArray:
    return np.searchsorted(np.cumsum(cells), grid[tets].max(axis=1))


def _swelling(unit: NDArray, grid: NDArray, cube: TetMesh, shell: int) -> float:
    """By how much a shell's polyhedron must grow to hold the volume of its ball."""
    flat = cube.tetrahedra[(grid[cube.tetrahedra] <= shell).all(axis=1)]
    faces = TetMesh(cube.points[np.unique(flat)], np.unique(flat, return_inverse=True)[1].reshape(-1, 4)).boundary
    corners = unit[np.unique(flat)][faces]
    volume = np.linalg.det(corners).sum() / 6
    return float((4 / 3 * np.pi / volume) ** (1 / 3))
