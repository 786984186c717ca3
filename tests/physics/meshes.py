"""Structured tetrahedral meshes of a box, a ball and a cylinder, refined by one number, with the true volume."""

import itertools

import numpy as np
from numpy.typing import NDArray

from napari_remidi.physics import TetMesh


def box(cells: tuple[int, int, int], size: tuple[float, float, float]) -> TetMesh:
    """Every cell of a grid cut into six tetrahedra."""
    grids = [np.linspace(0, length, count + 1) for count, length in zip(cells, size, strict=True)]
    points = np.stack(np.meshgrid(*grids, indexing="ij"), axis=-1).reshape(-1, 3)
    index = np.arange(len(points)).reshape([count + 1 for count in cells])
    tets = []
    for order in itertools.permutations(range(3)):
        corner = np.zeros(3, dtype=int)
        path = [corner.copy()]
        for axis in order:
            corner[axis] += 1
            path.append(corner.copy())
        views = [index[tuple(slice(o, o + count) for o, count in zip(p, cells, strict=True))] for p in path]
        tets.append(np.stack([view.ravel() for view in views], axis=1))
    return TetMesh(points, _positive(points, np.concatenate(tets)))


def ball(cells: int, radius: float) -> TetMesh:
    """A cube's grid pressed into a ball."""
    cube = box((cells,) * 3, (2.0,) * 3)
    p = cube.points - 1
    largest, length = np.abs(p).max(axis=1), np.linalg.norm(p, axis=1)
    points = p * np.divide(largest, length, out=np.zeros_like(length), where=length > 0)[:, None]
    return _with_volume(points, cube.tetrahedra, 4 / 3 * np.pi * radius**3)


def cylinder(rings: int, radius: float, height: float) -> TetMesh:
    """Rings of 6, 12, 18 ... nodes, stacked along z with layers about as far apart as the rings."""
    layers = max(2, round(height / radius * rings * 1.2)) + 1
    section = [(0.0, 0.0)]
    for ring in range(1, rings + 1):
        phase = 2 * np.pi * np.arange(6 * ring) / (6 * ring)
        section += list(zip(ring / rings * np.cos(phase), ring / rings * np.sin(phase), strict=True))
    triangles = _section_triangles(rings)
    count = len(section)
    points = np.concatenate([np.c_[np.array(section), np.full(count, z)] for z in np.linspace(0, 1, layers)])
    a, b, c = np.sort(triangles, axis=1).T
    tets = []
    for low in count * np.arange(layers - 1):
        high = low + count
        for prism in ((a + low, b + low, c + low, c + high), (a + low, b + low, b + high, c + high)):
            tets.append(np.stack(prism, axis=1))
        tets.append(np.stack([a + low, a + high, b + high, c + high], axis=1))
    polygon = np.sqrt(2 * np.pi / (6 * rings) / np.sin(2 * np.pi / (6 * rings)))  # of the circle's area
    points = points * [radius * polygon, radius * polygon, height]
    return TetMesh(points, _positive(points, np.concatenate(tets)))


def _section_triangles(rings: int) -> NDArray[np.int64]:
    first = [0] + [1 + 3 * k * (k - 1) for k in range(1, rings + 1)]
    triangles = []
    for ring in range(1, rings + 1):
        for sector in range(6):
            for step in range(ring):
                outer = first[ring] + (sector * ring + step) % (6 * ring)
                following = first[ring] + (sector * ring + step + 1) % (6 * ring)
                inside = first[ring - 1] + (sector * (ring - 1) + step) % max(6 * (ring - 1), 1)
                triangles.append((inside, outer, following))
                if step < ring - 1:
                    beside = first[ring - 1] + (sector * (ring - 1) + step + 1) % (6 * (ring - 1))
                    triangles.append((inside, following, beside))
    return np.array(triangles)


def _positive(points: NDArray, tets: NDArray) -> NDArray:
    p = points[tets]
    turned = np.linalg.det(p[:, 1:] - p[:, :1]) < 0
    tets[turned] = tets[turned][:, [0, 2, 1, 3]]
    return tets


def _with_volume(points: NDArray, tets: NDArray, volume: float) -> TetMesh:
    p = points[tets]
    present = np.linalg.det(p[:, 1:] - p[:, :1]).sum() / 6
    points = points * (volume / abs(present)) ** (1 / 3)
    return TetMesh(points, _positive(points, tets.copy()))
