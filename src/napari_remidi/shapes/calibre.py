"""How thick an axon is: the equivalent radius of every section of a tube."""

import numpy as np
from numpy.typing import NDArray

from napari_remidi.shapes.tube import Tube

Floats = NDArray[np.float64]


def section_radii(points: Floats, tube: Tube) -> Floats:
    """Radius of the circle with a section's area, for every layer, (layers,) µm."""
    offsets, scale = _rim(points, tube)
    return np.sqrt((offsets**2).sum(axis=2).mean(axis=1)) / scale


def section_radius_changes(points: Floats, velocities: Floats, tube: Tube) -> Floats:
    """Derivative of `section_radii` when the nodes move, (P, n, 3) -> (P, layers)."""
    offsets, scale = _rim(points, tube)
    moves = np.stack([_rim(velocity, tube)[0] for velocity in velocities])
    radii = np.sqrt((offsets**2).sum(axis=2).mean(axis=1))
    return (moves * offsets).sum(axis=3).mean(axis=2) / radii / scale


def axis_length(points: Floats, tube: Tube) -> float:
    """Length of the line through the sections' centres, µm."""
    centres = points.reshape(tube.layers, len(tube.section), 3)[:, 0]
    return float(np.linalg.norm(np.diff(centres, axis=0), axis=1).sum())


def middle_half(layers: int) -> slice:
    """The layers that an open axon's spins start in or reach."""
    return slice(layers // 4, layers - layers // 4)


def _rim(points: Floats, tube: Tube) -> tuple[Floats, float]:
    layers = points.reshape(tube.layers, len(tube.section), 3)
    outermost = tube.section[:, 0].max()
    rim = np.flatnonzero(tube.section[:, 0] > outermost - 1e-9)
    return layers[:, rim] - layers[:, :1], float(outermost)
