"""Meshes by their number of nodes."""

import math

import meshes

from napari_remidi.physics import TetMesh

try:
    from napari_remidi.physics.geometry import cylinder, sphere
except ImportError:

    def sphere(radius: float, nodes: int = 1500) -> TetMesh:
        return meshes.ball(2 * round((nodes ** (1 / 3) - 1) / 2), radius)

    def cylinder(radius: float, height: float, nodes: int = 1500) -> TetMesh:
        def count(rings: int) -> int:
            return (1 + 3 * rings * (rings + 1)) * (max(2, round(height / radius * rings * 1.2)) + 1)

        return meshes.cylinder(
            min(range(1, 100), key=lambda rings: abs(math.log(count(rings) / nodes))), radius, height
        )


__all__ = ["box", "cylinder", "sphere"]


def box(lengths: tuple[float, float, float], nodes: int = 1500) -> TetMesh:
    """Cells that are nearly cubes."""

    def cells(edge: float) -> tuple[int, int, int]:
        x, y, z = (max(1, round(length / edge)) for length in lengths)
        return x, y, z

    edges = [max(lengths) / k for k in range(2, 200)]
    return meshes.box(
        min(map(cells, edges), key=lambda c: abs(math.log((c[0] + 1) * (c[1] + 1) * (c[2] + 1) / nodes))), lengths
    )
