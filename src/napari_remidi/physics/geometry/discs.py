"""Triangulated discs: rings of 6, 12, 18 ... nodes about a centre, each enclosing its circle's area."""

import numpy as np
from numpy.typing import NDArray

from napari_remidi.physics.geometry.layers import Layer

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def disc(layers: list[Layer]) -> tuple[Floats, Ints, Ints]:
    """A disc about the origin with a ring of nodes on every layer.

    Returns
    -------
    points : (n, 2) float, µm, the centre first, then ring by ring from the inside out
    triangles : (t, 3) int, counter-clockwise
    labels : (t,) int, as the layers give them
    """
    points = np.concatenate([np.zeros((1, 2)), *(_ring_points(layer) for layer in layers)])
    triangles, labels = [], []
    inside, first, second = 0, 0, 1
    for layer in layers:
        found = _between(inside, layer.division, first, second)
        triangles.append(found)
        labels.append(np.full(len(found), layer.label))
        inside, first, second = layer.division, second, second + 6 * layer.division
    return points, np.concatenate(triangles), np.concatenate(labels)


def disc_node_count(layers: list[Layer]) -> int:
    """Number of nodes of the disc with these layers."""
    return 1 + 6 * sum(layer.division for layer in layers)


def polygon_radius(radius: float, sides: int) -> float:
    """Radius of the corners of the regular polygon that has the area of a circle, µm: (sides/2) r² sin(2π/sides)."""
    turn = 2 * np.pi / sides
    return float(radius * np.sqrt(turn / np.sin(turn)))


def _ring_points(layer: Layer) -> Floats:
    sides = 6 * layer.division
    angle = 2 * np.pi * np.arange(sides) / sides
    return polygon_radius(layer.radius, sides) * np.column_stack([np.cos(angle), np.sin(angle)])


def _between(inner: int, outer: int, first: int, second: int) -> Ints:
    """Triangles between two rings, given their divisions (equal, or one apart) and the numbers of their first nodes."""
    sector, step = (a.ravel() for a in np.indices((6, outer)))
    low = first + (sector * inner + step) % max(6 * inner, 1)
    low_next = first + (sector * inner + step + 1) % max(6 * inner, 1)
    high = second + sector * outer + step
    high_next = second + (sector * outer + step + 1) % (6 * outer)
    outward = np.stack([low, high, high_next], axis=1)
    inward = np.stack([low, high_next, low_next], axis=1)
    return np.concatenate([outward, inward[step < inner]])
