"""b-values and b-vectors, checked; directions spread over half a sphere."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_remidi.errors import ProtocolError

Floats = NDArray[np.float64]
UNIT = 0.05  # how far from one a b-vector's length may be


def spread_directions(count: int) -> Floats:
    """Directions spread evenly over half a sphere (Fibonacci), (count, 3)."""
    z = 1 - (np.arange(count) + 0.5) / count
    azimuth = np.pi * (1 + np.sqrt(5)) * np.arange(count)
    across = np.sqrt(1 - z**2)
    return np.stack([across * np.cos(azimuth), across * np.sin(azimuth), z], axis=1)


def check_b_values(b: Floats) -> None:
    """Raise ProtocolError for b-values, (M,), that are negative, not finite, or in another unit than s/mm²."""
    if bad := int((~np.isfinite(b)).sum()):
        raise ProtocolError(f"{bad} of {len(b)} b-values are not finite; correct the b-value file")
    if (b < 0).any():
        raise ProtocolError(f"{int((b < 0).sum())} of {len(b)} b-values are negative; correct the b-value file")
    if 0 < b.max(initial=0) < 50:
        raise ProtocolError(f"the largest b-value is {b.max():g} s/mm²: give s/mm² (1 ms/µm² is 1000 s/mm²)")


def unit_directions(g: Floats, still: NDArray[np.bool_]) -> Floats:
    """Unit vectors, (M, 3); zero where there is none, which only b = 0 measurements may have."""
    length = np.linalg.norm(g, axis=1)
    if (nan := ~np.isfinite(length) & ~still).any():
        raise ProtocolError(
            f"{int(nan.sum())} of {len(g)} b-vectors are NaN (volumes {_listed(nan)}); b=0 volumes may have any "
            "direction, others must be unit vectors"
        )
    if (uneven := ~still & (np.abs(length - 1) > UNIT)).any():
        row = int(np.flatnonzero(uneven)[0])
        raise ProtocolError(
            f"{int(uneven.sum())} of {len(g)} b-vectors are not unit vectors (volumes {_listed(uneven)}; the first "
            f"has length {length[row]:.3g}): normalise them, or check that the file holds directions"
        )
    directions = np.zeros_like(g)
    moving = np.isfinite(length) & (length > 0.5)
    directions[moving] = g[moving] / length[moving, None]
    return directions


def unit_vector(direction: ArrayLike, name: str) -> Floats:
    """One direction, (3,); ProtocolError unless it is three numbers of length one."""
    vector = np.asarray(direction, dtype=np.float64)
    length = float(np.linalg.norm(vector))
    if vector.shape != (3,) or not abs(length - 1) <= UNIT:
        found = f"has length {length:.3g}" if vector.shape == (3,) else f"has shape {vector.shape}"
        raise ProtocolError(f"{name} {found}: give a unit vector of three numbers")
    return vector / length


def _listed(mask: NDArray[np.bool_], most: int = 5) -> str:
    rows = np.flatnonzero(mask)
    return ", ".join(map(str, rows[:most])) + (", ..." if len(rows) > most else "")
