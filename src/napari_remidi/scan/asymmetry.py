"""Whether a signal may be that of a body that is the same all around an axis, such as a straight axon.

Such a signal depends on a gradient's angle with the axis alone. Turned by an azimuth φ about it, any other has parts in
cos 2φ and sin 2φ. What an axis that is a little off adds goes with cos φ and sin φ, and is fitted beside.
"""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from napari_remidi.scan.protocol import Protocol

Floats = NDArray[np.float64]
ROUND = 7  # even powers of the axial part z, of what is the same all around
OFF_AXIS, TWOFOLD = 3, 2  # odd powers times x and y, even ones times x² − y² and 2 x y
FEWEST = ROUND + 2 * OFF_AXIS + 2 * TWOFOLD + 2  # directions of a shell
LEFT_OUT = 3e-3  # of S0, that these powers do not hold of thin straight axons at b = 10 000 s/mm²


def asymmetry(signal: Floats, protocol: "Protocol", axis: Floats, noise_sd: float) -> float:
    """How unlikely a signal is for a body that is the same all around an axis.

    Parameters
    ----------
    signal : (M,) S/S0
    protocol : Protocol of M measurements
    axis : (3,) unit, within a few degrees
    noise_sd : of S/S0

    Returns
    -------
    What the shells' twofold parts have more than noise would give them, in standard deviations of that (of χ²); minus
    infinity where no shell has enough directions
    """
    squares, degrees = 0.0, 0
    kept: dict[bytes, Floats] = {}  # shells often have the same directions
    for shell in protocol.shells:
        if len(shell.indices) < FEWEST:
            continue
        directions = protocol.bvecs[shell.indices]
        key = directions.tobytes()
        if key not in kept:
            kept[key] = _twofold(directions, axis)
        found = kept[key].T @ signal[shell.indices]
        squares, degrees = squares + float(found @ found), degrees + len(found)
    if degrees == 0:
        return -np.inf
    return float((squares / (noise_sd**2 + LEFT_OUT**2) - degrees) / np.sqrt(2 * degrees))


def _twofold(directions: Floats, axis: Floats) -> Floats:
    """Orthonormal twofold functions of directions (n, 3) that the others do not hold, (n, 2 `TWOFOLD`)."""
    across = np.linalg.svd(np.eye(3) - np.outer(axis, axis))[0][:, :2]
    z, (x, y) = directions @ axis, (directions @ across).T
    even = (z**2)[:, None] ** np.arange(ROUND)
    odd = z[:, None] * even[:, :OFF_AXIS]
    others = np.hstack([even, odd * x[:, None], odd * y[:, None]])
    twofold = np.hstack([even[:, :TWOFOLD] * part[:, None] for part in (x * x - y * y, 2 * x * y)])
    both, _ = np.linalg.qr(np.hstack([others, twofold]))
    return np.asarray(both[:, others.shape[1] :])
