"""Meshes by their number of nodes."""

import math

from napari_remidi.physics import TetMesh, geometry
from napari_remidi.physics.geometry import cylinder, sphere

__all__ = ["box", "cylinder", "sphere"]


def box(lengths: tuple[float, float, float], nodes: int = 1500) -> TetMesh:
    """Cells that are nearly cubes."""

    def cells(edge: float) -> tuple[int, int, int]:
        x, y, z = (max(1, round(length / edge)) for length in lengths)
        return x, y, z

    edges = [max(lengths) / k for k in range(2, 200)]
    return geometry.box(
        lengths, min(map(cells, edges), key=lambda c: abs(math.log((c[0] + 1) * (c[1] + 1) * (c[2] + 1) / nodes)))
    )
