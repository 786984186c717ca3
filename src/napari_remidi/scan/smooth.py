"""The noise of one voxel's signal, as far as smoothness over directions tells: spherical harmonics, by dipy."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    from napari_remidi.scan.protocol import Protocol

HIGHEST_ORDER = 8


def noise_of(signal: ArrayLike, protocol: "Protocol") -> float | None:
    """Standard deviation of a signal about a smooth function of direction on every shell.

    Every shell is fitted by even spherical harmonics with at most half as many coefficients as it has directions, up
    to order eight (Descoteaux et al., MRM 2007).

    Parameters
    ----------
    signal : (M,) S/S0
    protocol : Protocol of M measurements

    Returns
    -------
    of S/S0: the noise where a shell's directions resolve its signal, more where they do not; None where fewer than
    five degrees of freedom are left
    """
    squares, spare = smooth_residual(signal, protocol)
    return float(np.sqrt(squares / spare)) if spare >= 5 else None


def smooth_residual(signal: ArrayLike, protocol: "Protocol") -> tuple[float, int]:
    """Sum of squares about the smooth functions of `noise_of`, and its degrees of freedom."""
    values = np.asarray(signal, dtype=np.float64)
    squares, spare = 0.0, 0
    for shell in protocol.shells:
        rows = shell.indices
        basis = _harmonics(protocol.bvecs[rows], _order(len(rows)))
        residual = values[rows] - basis @ np.linalg.lstsq(basis, values[rows], rcond=None)[0]
        squares += float((residual**2).sum())
        spare += len(rows) - int(np.linalg.matrix_rank(basis))
    return squares, spare


def _order(directions: int) -> int:
    orders = [order for order in range(0, HIGHEST_ORDER + 1, 2) if (order + 1) * (order + 2) <= directions]
    return orders[-1] if orders else 0


def _harmonics(directions: NDArray[np.float64], order: int) -> NDArray[np.float64]:
    from dipy.core.geometry import cart2sphere
    from dipy.reconst.shm import real_sh_descoteaux

    _, theta, phi = cart2sphere(*directions.T)
    return np.asarray(real_sh_descoteaux(order, theta, phi, legacy=False)[0])
