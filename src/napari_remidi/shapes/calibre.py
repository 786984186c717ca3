"""How long and how thick an axon is: the line through the centres of a tube's sections, and their areas.

Every function takes the nodes of one tube, (n, 3) µm, or of many, (..., n, 3).
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.signal import savgol_filter

from napari_remidi.shapes.tube import Tube

Floats = NDArray[np.float64]
NEAR = 4  # a direction is that of a cubic through this fraction, 1/NEAR, of the centres


def section_centres(points: Floats, tube: Tube) -> Floats:
    """Centre of every section, (..., layers, 3) µm: the axis."""
    return points[..., :: len(tube.section), :]


def section_radii(points: Floats, tube: Tube, areas: Floats | None = None) -> Floats:
    """Radius of the circle with a section's area, (..., layers) µm; `areas` are those of `section_areas` if known.

    The area is that of the rim seen along the axis: a slanted section is cut upright, so that π Σ r² ds is the volume.
    """
    across = directions(section_centres(points, tube))
    areas = section_areas(points, tube) if areas is None else areas
    return np.sqrt(np.abs(np.einsum("...sx,...sx->...s", areas, across)) / np.pi)


def section_areas(points: Floats, tube: Tube) -> Floats:
    """Area of every section's rim as a vector along its normal, (..., layers, 3) µm²."""
    offsets = section_rims(points, tube) - section_centres(points, tube)[..., None, :]
    return np.asarray(np.cross(offsets, np.roll(offsets, -1, axis=-2)).sum(axis=-2) / 2)


def section_rims(points: Floats, tube: Tube) -> Floats:
    """Nodes of the wall, (..., layers, rim, 3) µm."""
    layers = points.reshape(*points.shape[:-2], tube.layers, len(tube.section), 3)
    return layers[..., tube.section[:, 0] > tube.section[:, 0].max() - 1e-9, :]


def axis_length(points: Floats, tube: Tube) -> Floats:
    """Length of the axis, (...) µm."""
    return np.asarray(np.linalg.norm(np.diff(section_centres(points, tube), axis=-2), axis=-1).sum(axis=-1))


def extension(points: Floats, tube: Tube, ends: str = "closed") -> Floats:
    """How far the ends of the axis are apart, in units of the greatest radius, (...).

    An axon's are several radii apart. Those of what imitates a round cell are not, whether it is short and thick or
    long, thin and curled up.
    """
    along = measured_sections(tube, ends)
    axis, radii = section_centres(points, tube)[..., along, :], section_radii(points, tube)[..., along]
    return np.asarray(np.linalg.norm(axis[..., -1, :] - axis[..., 0, :], axis=-1) / radii.max(axis=-1))


def directions(axis: Floats) -> Floats:
    """Unit tangents of an axis, (..., S, 3): those of cubics through some of its points by least squares.

    One point that is out of place hardly turns them (Savitzky and Golay, Anal. Chem. 36:1627, 1964).
    """
    tangents = _slopes(axis.shape[-2]) @ axis
    return np.asarray(tangents / np.linalg.norm(tangents, axis=-1, keepdims=True))


@lru_cache(maxsize=8)
def _slopes(sections: int) -> Floats:
    """From points of an axis to its tangents, (S, S)."""
    return np.asarray(savgol_filter(np.eye(sections), max(5, sections // NEAR | 1), 3, deriv=1, axis=0))


def measured_sections(tube: Tube, ends: str) -> slice:
    """The sections that count: all with closed ends, the middle half with open ones, where the spins are."""
    return slice(0, tube.layers) if ends == "closed" else slice(tube.layers // 4, tube.layers - tube.layers // 4)
