"""What of a voxel's signal is smooth, and what is noise: spherical harmonics of direction, by dipy."""

from functools import lru_cache
from itertools import groupby
from operator import attrgetter
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    from napari_remidi.scan.protocol import Protocol

HIGHEST_ORDER = 8
VECTOR_BYTES = 24  # of three float64
RANK = 1e-6  # of the largest singular value: a smaller one counts as zero


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
    values = np.asarray(signal, dtype=np.float64)
    squares, spare = 0.0, 0
    for shell in protocol.shells:
        rough = _rough_span(protocol.bvecs[shell.indices].tobytes())
        squares += float(((values[shell.indices] @ rough) ** 2).sum())
        spare += rough.shape[1]
    return float(np.sqrt(squares / spare)) if spare >= 5 else None


def smooth_part(values: ArrayLike, protocol: "Protocol") -> tuple[NDArray[np.float64], int]:
    """Projection on smooth functions of direction and b, and how many of these there are.

    For every timing (or form of waveform) apart: the mean of every shell, and even spherical harmonics times 1 and b,
    or times 1 where there is but one shell, with at most half as many coefficients as measurements, up to order eight.

    Parameters
    ----------
    values : (M, ...), one row for each of the protocol's measurements

    Returns
    -------
    (M, ...), zero at b = 0, and the rank of the projection
    """
    values = np.asarray(values, dtype=np.float64)
    smooth, rank = np.zeros_like(values), 0
    alike = attrgetter("delta", "Delta", "te", "waveform")
    for _, group in groupby(protocol.shells, key=lambda shell: str(alike(shell))):
        shells = tuple(group)
        rows = np.concatenate([shell.indices for shell in shells])
        directions = np.ascontiguousarray(protocol.bvecs[rows])
        span = _smooth_span(tuple(len(s.indices) for s in shells), protocol.bvals[rows].tobytes(), directions.tobytes())
        smooth[rows] = np.tensordot(span, np.tensordot(span.T, values[rows], 1), 1)
        rank += span.shape[1]
    return smooth, rank


@lru_cache(maxsize=64)
def _smooth_span(sizes: tuple[int, ...], bvals: bytes, directions: bytes) -> NDArray[np.float64]:
    """Smooth functions on shells of so many measurements, one after the other: orthonormal columns, (n, rank).

    From b (n,) and directions (n, 3), float64; timings often have the same ones.
    """
    b = np.frombuffer(bvals)
    powers = np.vander(b / b.max(), min(len(sizes), 2))
    order = _order(len(b) // powers.shape[1])
    by_shell = np.split(np.frombuffer(directions).reshape(-1, 3), np.cumsum(sizes)[:-1])
    harmonics = np.concatenate([_harmonics(some.tobytes(), order) for some in by_shell])
    products = (powers[:, :, None] * harmonics[:, None, :]).reshape(len(b), -1)
    means = np.repeat(np.eye(len(sizes)), sizes, axis=0)
    left, size, _ = np.linalg.svd(np.hstack([means, products]), full_matrices=False)
    return np.asarray(left[:, size > RANK * size[0]])


@lru_cache(maxsize=256)
def _rough_span(directions: bytes) -> NDArray[np.float64]:
    """What no smooth function of directions, (n, 3) float64, holds: orthonormal columns, (n, n - rank)."""
    left, size, _ = np.linalg.svd(_harmonics(directions, _order(len(directions) // VECTOR_BYTES)))
    return np.asarray(left[:, int((size > RANK * size[0]).sum()) :])


def _order(directions: int) -> int:
    orders = [order for order in range(0, HIGHEST_ORDER + 1, 2) if (order + 1) * (order + 2) <= directions]
    return orders[-1] if orders else 0


@lru_cache(maxsize=256)
def _harmonics(directions: bytes, order: int) -> NDArray[np.float64]:
    """Even spherical harmonics in directions, (n, 3) float64; shells often have the same ones."""
    from dipy.core.geometry import cart2sphere
    from dipy.reconst.shm import real_sh_descoteaux

    _, theta, phi = cart2sphere(*np.frombuffer(directions).reshape(-1, 3).T)
    return np.asarray(real_sh_descoteaux(order, theta, phi, legacy=False)[0])
