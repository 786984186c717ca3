"""Shapes that a turn or a point inversion hardly changes."""

import numpy as np
from numpy.typing import NDArray

from napari_remidi.shapes.calibre import middle_half
from napari_remidi.shapes.tube import Tube

Floats = NDArray[np.float64]
NEARLY = 0.02  # µm: a change of the surface that nobody sees
ROUND = "round: all turns about its axis fit"
POINT_SYMMETRIC = "point-symmetric: the twin is the same shape"


def symmetry_of(points: Floats, tube: Tube, ends: str = "closed", sd: float = 0.0) -> str | None:
    """How a tube is symmetric, in words, to within the uncertainty of its surface; None where it is not.

    Parameters
    ----------
    points : (n, 3) µm, in the template's node order
    tube : whose nodes they are
    ends : "closed", or "open" for the middle half
    sd : µm, of the surface
    """
    along = middle_half(tube.layers) if ends == "open" else slice(0, tube.layers)
    limit = max(sd, NEARLY)
    found = []
    if departure_from_round(points, tube, along) < limit:
        found.append(ROUND)
    if departure_from_twin(points, tube, along) < limit:
        found.append(POINT_SYMMETRIC)
    return "; ".join(found) or None


def departure_from_round(points: Floats, tube: Tube, along: slice) -> float:
    """Mean distance of the rim to the surface of revolution about the axis that fits it best, µm.

    A turn moves the surface by at most twice as much.
    """
    rims = _rims(points, tube, along)
    centres = rims.mean(axis=1)
    axis = np.linalg.svd(centres - centres.mean(axis=0), full_matrices=False)[2][0]
    offsets = rims - centres.mean(axis=0)
    distance = np.linalg.norm(offsets - np.multiply.outer(offsets @ axis, axis), axis=2)
    return float(np.abs(distance - distance.mean(axis=1, keepdims=True)).mean())


def departure_from_twin(points: Floats, tube: Tube, along: slice) -> float:
    """Mean distance of the rim's nodes to those that the point inversion puts in their place, µm.

    The inversion swaps the ends and turns every section by half a turn, node for node, so that this is at least the
    Chamfer distance of the shape and its twin.
    """
    rims = _rims(points, tube, along)
    half = rims.shape[1] // 2
    inverted = -np.roll(rims[::-1], half, axis=1)
    change = rims - inverted
    return float(np.linalg.norm(change - change.mean(axis=(0, 1)), axis=2).mean())


def _rims(points: Floats, tube: Tube, along: slice) -> Floats:
    outermost = tube.section[:, 0].max()
    rim = np.flatnonzero(tube.section[:, 0] > outermost - 1e-9)
    return points.reshape(tube.layers, len(tube.section), 3)[along][:, rim]
