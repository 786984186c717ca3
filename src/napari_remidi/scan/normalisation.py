"""From scanner units to S/S0, and the noise of it."""

import numpy as np
from numpy.typing import NDArray

from napari_remidi.errors import ScanError
from napari_remidi.scan.protocol import Protocol
from napari_remidi.scan.shells import SAME_TE, runs

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]
EXACT_TE = 5e-4  # ms: as written in a file


def series_of(protocol: Protocol) -> tuple[tuple[Rows, Rows], ...]:
    """Measurements made alike, each with the b = 0 measurements that normalise them: ((members, b0s), ...).

    Members share δ, Δ and the echo time as recorded: a difference of microseconds still tells series apart that the
    scanner acquired, and scaled, one by one. Where not every such series has its own b = 0 measurements, echo times
    within 1 ms count as one; then those of the same echo time serve, whatever their δ and Δ, then those without one.

    Raises
    ------
    ScanError
        Where every b = 0 measurement has another echo time: S/S0 would hold T2 decay.
    """
    te = np.full(len(protocol), np.nan) if protocol.te is None else protocol.te
    times = np.round(np.nan_to_num(np.column_stack([protocol.delta, protocol.Delta]), nan=-1.0), 3)
    echo = np.nan_to_num(te, nan=-1.0)
    still = np.flatnonzero(protocol.is_b0)
    keys = np.column_stack([times, np.round(echo / EXACT_TE)])
    if not _all_have_b0(keys, protocol.is_b0):
        keys = np.column_stack([times, runs(echo, SAME_TE)])
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


def _all_have_b0(keys: Floats, is_b0: NDArray[np.bool_]) -> bool:
    return {tuple(key) for key in keys[~is_b0]} <= {tuple(key) for key in keys[is_b0]}


def _normalisers(keys: Floats, te: Floats, still: Rows, members: Rows) -> Rows:
    key, own_te = keys[members[0]], te[members[0]]
    for alike in ((keys[still] == key).all(axis=1), keys[still, 2] == key[2], np.isnan(te[still])):
        if alike.any():
            return still[alike]
    if np.isnan(own_te):
        return still
    nearest = te[still][np.argmin(np.abs(te[still] - own_te))]
    raise ScanError(
        f"no b=0 volume has the echo time {own_te:g} ms of {len(members)} measurements (the nearest has {nearest:g} "
        "ms): S/S0 would hold T2 decay; add one, or correct the echo times"
    )


def normalised_together(protocol: "Protocol") -> tuple[tuple[NDArray[np.int64], int], ...]:
    """Weighted measurements of every series, and how many b = 0 measurements their S0 is the mean of."""
    if not protocol.is_b0.any():
        return ()
    return tuple((rows[~protocol.is_b0[rows]], len(still)) for rows, still in series_of(protocol))
