"""From scanner units to S/S0, and the noise of it."""

import numpy as np
from numpy.typing import NDArray

from napari_remidi.errors import ScanError
from napari_remidi.scan.protocol import Protocol
from napari_remidi.scan.shells import SAME_TE

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]
EXACT_TE = 5e-4  # ms: as written in a file


def series_of(protocol: Protocol) -> tuple[tuple[Rows, Rows], ...]:
    """Measurements made alike, each with the b = 0 measurements that normalise them: ((members, b0s), ...).

    Members share δ, Δ and the echo time exactly as recorded: a difference of microseconds still tells series apart that
    the scanner acquired, and scaled, one by one. Their b = 0 measurements are those of the same timing and echo time,
    else of the same echo time, else of the nearest within 1 ms, else those whose echo time is unknown.

    Raises
    ------
    ScanError
        Where every b = 0 measurement has another echo time: S/S0 would hold T2 decay.
    """
    times = np.stack([np.nan_to_num(protocol.delta, nan=-1), np.nan_to_num(protocol.Delta, nan=-1)], axis=1)
    te = np.full(len(protocol), np.nan) if protocol.te is None else protocol.te
    keys = np.round(np.column_stack([times, np.nan_to_num(te, nan=-1)]) / EXACT_TE).astype(np.int64)
    still = np.flatnonzero(protocol.is_b0)
    found = []
    for key in np.unique(keys, axis=0):
        members = np.flatnonzero((keys == key).all(axis=1))
        found.append((members, _normalisers(keys, te, still, members)))
    return tuple(found)


def normalised(raw: Floats, series: tuple[tuple[Rows, Rows], ...], where: str) -> Floats:
    """S/S0, (M,), of one signal in scanner units; ScanError if it is no signal."""
    if bad := int((~np.isfinite(raw)).sum()):
        raise ScanError(f"{where}: {bad} of {len(raw)} values are NaN or infinite; choose another voxel")
    if not raw.any():
        raise ScanError(f"{where}: the signal is zero throughout (outside the tissue?); choose another voxel")
    if (raw < 0).any():
        raise ScanError(
            f"{where}: {int((raw < 0).sum())} of {len(raw)} values are negative; reconstruct from the magnitude image"
        )
    signal = np.empty_like(raw)
    for members, rows in series:
        s0 = raw[rows].mean()
        if s0 <= 0:
            raise ScanError(f"{where}: the b=0 signal is zero; choose another voxel")
        signal[members] = raw[members] / s0
    return signal


def repeat_variance(voxels: Floats, series: tuple[tuple[Rows, Rows], ...]) -> tuple[float, int]:
    """Pooled variance of repeated b = 0 values, (n, M) in scanner units, and its degrees of freedom."""
    squares, degrees = 0.0, 0
    for rows in {tuple(rows): rows for _, rows in series}.values():
        if len(rows) > 1:
            values = voxels[:, rows]
            values = values[(np.isfinite(values) & (values > 0)).all(axis=1)]
            squares += float(((values - values.mean(axis=1, keepdims=True)) ** 2).sum())
            degrees += len(values) * (len(rows) - 1)
    return (squares / degrees if degrees else 0.0), degrees


def _normalisers(keys: NDArray[np.int64], te: Floats, still: Rows, members: Rows) -> Rows:
    first = members[0]
    same_all = still[(keys[still] == keys[first]).all(axis=1)]
    if len(same_all):
        return same_all
    if np.isnan(te[first]):
        return still
    apart = np.abs(te[still] - te[first])
    known = ~np.isnan(apart)
    if known.any() and np.nanmin(apart) <= SAME_TE:
        return still[known & (apart <= np.nanmin(apart) + EXACT_TE)]
    if (~known).any():
        return still[~known]
    raise ScanError(
        f"no b=0 volume has the echo time {te[first]:g} ms of {len(members)} measurements (the nearest has "
        f"{te[still][np.argmin(apart)]:g}): S/S0 would hold T2 decay; add one, or correct the echo times"
    )
