"""Open ends: spins that start in the middle of a segment, so that none meets an end."""

import warnings
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from napari_remidi.errors import MeshError

Ends = Literal["closed", "open"]
WINDOW = 1 / 5  # of an open segment's length, where spins start


def central_density(points: NDArray[np.float64], reach: float) -> NDArray[np.float64]:
    """Starting density ρ0 at the nodes, (n,): a raised cosine over the central fifth along the longest axis.

    Warns where spins that spread by `reach` (µm, one standard deviation) would come to an end of the mesh, and
    raises MeshError where most would.
    """
    centred = points - points.mean(axis=0)
    axis = np.linalg.svd(centred, full_matrices=False)[2][0]
    along = centred @ axis
    low, high = along.min(), along.max()
    length = high - low
    density = window((along - (low + high) / 2) / length)
    free = (0.5 - WINDOW / 2) * length
    if reach > free:
        raise MeshError(
            f"open ends need a longer mesh: spins spread by {reach:.1f} µm, and only {free:.1f} µm lie beside "
            "the central window; extend the mesh or use ends='closed'"
        )
    if 2.5 * reach > free:
        warnings.warn(
            f"open ends: spins spread by {reach:.1f} µm (one sd) and {free:.1f} µm lie beside the central window; "
            "some reach an end",
            stacklevel=5,
        )
    return density


def window(position: NDArray[np.float64]) -> NDArray[np.float64]:
    """Raised cosine of the relative position along a segment, −1/2 to 1/2: one at the centre, zero outside `WINDOW`."""
    return np.where(np.abs(position) < WINDOW / 2, np.cos(np.pi * position / WINDOW) ** 2, 0.0)
