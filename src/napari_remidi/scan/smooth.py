"""What of a signal is a smooth function of direction: even spherical harmonics on every shell, by dipy."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    from napari_remidi.scan.protocol import Protocol

HIGHEST_ORDER = 8


def noise_of(signal: ArrayLike, protocol: "Protocol") -> float | None:
    """Standard deviation of a signal about its smooth part.

    Parameters
    ----------
    signal : (M,) S/S0
    protocol : Protocol of M measurements

    Returns
    -------
    of S/S0: the noise where a shell's directions resolve its signal, more where they do not; None where fewer than
    five degrees of freedom are left
    """
    values = np.asarray(signal, dtype=np.float64)
    smooth, rank = smooth_part(values, protocol)
    spare = int((~protocol.is_b0).sum()) - rank
    return float(np.sqrt(((values - smooth)[~protocol.is_b0] ** 2).sum() / spare)) if spare >= 5 else None


def smooth_part(values: ArrayLike, protocol: "Protocol") -> tuple[NDArray[np.float64], int]:
    """Projection on smooth functions of direction, and how many of these there are.

    Every shell is fitted by even spherical harmonics with at most half as many coefficients as it has directions, up
    to order eight (Descoteaux et al., MRM 2007).

    Parameters
    ----------
    values : (M, ...), one row for each of the protocol's measurements

    Returns
    -------
    (M, ...), zero at b = 0, and the rank of the projection
    """
    values = np.asarray(values, dtype=np.float64)
    smooth, rank = np.zeros_like(values), 0
    for shell in protocol.shells:
        rows = shell.indices
        basis = np.linalg.svd(_harmonics(protocol.bvecs[rows], _order(len(rows))), full_matrices=False)
        span = basis.U[:, 1e-9 * basis.S[0] < basis.S]
        smooth[rows] = np.tensordot(span, np.tensordot(span.T, values[rows], 1), 1)
        rank += span.shape[1]
    return smooth, rank


def _order(directions: int) -> int:
    orders = [order for order in range(0, HIGHEST_ORDER + 1, 2) if (order + 1) * (order + 2) <= directions]
    return orders[-1] if orders else 0


def _harmonics(directions: NDArray[np.float64], order: int) -> NDArray[np.float64]:
    from dipy.core.geometry import cart2sphere
    from dipy.reconst.shm import real_sh_descoteaux

    _, theta, phi = cart2sphere(*directions.T)
    return np.asarray(real_sh_descoteaux(order, theta, phi, legacy=False)[0])
