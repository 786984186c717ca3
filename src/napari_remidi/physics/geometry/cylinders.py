"""Straight round axons, bare or in their myelin, standing on z = 0 along the z axis."""

import math
from collections.abc import Sequence

import numpy as np

from napari_remidi.errors import MeshError
from napari_remidi.physics.geometry.discs import disc, disc_node_count
from napari_remidi.physics.geometry.layers import FEWEST, GRADING, Layer, check_radii, concentric_layers
from napari_remidi.physics.geometry.prisms import extruded
from napari_remidi.physics.mesh import TetMesh


def cylinder(radius: float, height: float, nodes: int = 1500, name: str = "cell") -> TetMesh:
    """A closed cylinder whose section is a polygon with the circle's area.

    Parameters
    ----------
    radius, height : µm
    nodes : about how many nodes
    name : of its compartment

    Raises
    ------
    MeshError
        For a radius or height that is not positive, or a number of nodes below one.

    Examples
    --------
    >>> axon = cylinder(1, 5)
    >>> round(axon.volume / (5 * np.pi), 9)
    1.0
    """
    return _concentric([radius], [name], height, nodes)


def myelinated_cylinder(
    radius: float, outer_radius: float, height: float, nodes: int = 1500, sleeve: float | None = None
) -> TetMesh:
    """An axon in its myelin, and on request in a sleeve of extra-cellular space.

    The nodes between two compartments form polygons with the area of their circles, so each compartment has exactly
    its volume. The compartments are called "axon", "myelin" and "extra".

    Parameters
    ----------
    radius : of the axon, µm
    outer_radius : of the myelin, µm
    height : µm
    nodes : about how many nodes in all
    sleeve : outer radius of the extra-cellular space, µm; by default there is none

    Raises
    ------
    MeshError
        For radii that do not grow, a height that is not positive, or a number of nodes below one.
    """
    radii = [radius, outer_radius] if sleeve is None else [radius, outer_radius, sleeve]
    return _concentric(radii, ("axon", "myelin", "extra")[: len(radii)], height, nodes)


def _concentric(radii: Sequence[float], names: Sequence[str], height: float, nodes: int) -> TetMesh:
    check_radii(radii, nodes, names)
    if not (np.isfinite(height) and height > 0):
        raise MeshError(f"a height of {height:g} µm makes no cylinder; give a positive length")

    layers, slices = _divided(radii, height, nodes)
    section, triangles, labels = disc(layers)
    heights = np.linspace(0, height, slices + 1)
    points, tetrahedra = extruded(section, triangles, heights)
    return TetMesh(points, tetrahedra, np.resize(labels, len(tetrahedra)), names)


def _divided(radii: Sequence[float], height: float, nodes: int) -> tuple[list[Layer], int]:
    """Layers and number of slices that together have about the number of nodes asked for.

    Every division of the section leaves some number of slices; the one is taken whose slices are most nearly as thick
    as rings are apart at the wall, which makes errors along the axis and across it alike.
    """

    def slices(layers: list[Layer]) -> int:
        return max(FEWEST, round(nodes / disc_node_count(layers)) - 1)

    def unevenness(layers: list[Layer]) -> float:
        apart = radii[-1] / layers[-1].division / GRADING
        return abs(math.log(height / slices(layers) / apart))

    finest = max(FEWEST, math.isqrt(nodes // (3 * (FEWEST + 1))))  # more leave no room for the fewest slices
    layers = min((concentric_layers(radii, division) for division in range(FEWEST, finest + 1)), key=unevenness)
    return layers, slices(layers)
