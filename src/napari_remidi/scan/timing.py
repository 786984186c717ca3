"""Pulse timing: named presets, and the checks that keep seconds out of a field of milliseconds."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_remidi.errors import TimingError

Floats = NDArray[np.float64]
UNKNOWN = "not recorded"
SHORTEST, LONGEST = 0.5, 1000.0  # ms; outside are values in seconds and in µs


@dataclass(frozen=True)
class Timing:
    """Published timing of an acquisition: δ and the Δs it uses, ms."""

    name: str
    delta: float
    Delta: tuple[float, ...]


PRESETS: dict[str, Timing] = {
    timing.name: timing
    for timing in (
        Timing("HCP WU-Minn", 10.6, (43.1,)),
        Timing("MGH-USC HCP", 12.9, (21.8,)),
        Timing("Connectome CDMD short", 8.0, (19.0,)),
        Timing("Connectome CDMD long", 8.0, (49.0,)),
        Timing("WAND AxCaliber", 11.0, (18.0, 30.0, 42.0, 55.0)),
        Timing("HBCD", 14.2, (43.0,)),
        Timing("ReMiDi paper", 5.0, (10.0, 25.0, 50.0)),
    )
}


def checked_times(
    delta: ArrayLike | None, Delta: ArrayLike | None, is_b0: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """δ and Δ of every measurement, (M,) ms each; NaN where they are unknown.

    Parameters
    ----------
    delta, Delta : ms, scalar or (M,); None where unknown
    is_b0 : (M,) measurements without pulses, which may hold zeros

    Raises
    ------
    TimingError
        For a wrong count, values that are not positive, that look like seconds or microseconds, or δ > Δ.
    """
    short, long = (_one_time(name, value, is_b0) for name, value in (("delta", delta), ("Delta", Delta)))
    if (longer := short > long).any():
        row = int(np.flatnonzero(longer)[0])
        raise TimingError(
            f"delta {short[row]:g} ms is longer than Delta {long[row]:g} ms (measurement {row}): "
            "delta is one pulse's duration, Delta the time from one pulse's start to the other's; swap them"
        )
    return short, long


def missing_timing_message() -> str:
    """What to do about a scan that records no timing."""
    names = ", ".join(
        f"'{timing.name}' ({timing.delta:g}/{'|'.join(f'{t:g}' for t in timing.Delta)})" for timing in PRESETS.values()
    )
    return (
        "the scan records no pulse timing, and the signal of an axon depends on it: give delta and Delta in ms, "
        f"or one of the presets (delta/Delta ms): {names}"
    )


def _one_time(name: str, value: ArrayLike | None, is_b0: NDArray[np.bool_]) -> Floats:
    array = np.asarray(np.nan if value is None else value, dtype=np.float64)
    if array.ndim > 1 or (array.ndim == 1 and len(array) not in (1, len(is_b0))):
        raise TimingError(f"{name} has {array.size} values for {len(is_b0)} measurements: give one, or one for each")
    times = np.broadcast_to(array, len(is_b0)).copy()
    times[is_b0 & ~(times > 0)] = np.nan
    known = times[~np.isnan(times)]
    if len(known) == 0:
        return times
    low, high = known.min(), known.max()
    if low <= 0:
        raise TimingError(f"{name} is {low:g} ms: pulse timing must be positive")
    if low < SHORTEST:
        raise TimingError(f"{name} is {low:g} ms, which looks like seconds: give milliseconds ({low * 1000:g})")
    if high > LONGEST:
        raise TimingError(f"{name} is {high:g} ms, which looks like microseconds: give milliseconds ({high / 1000:g})")
    return times
