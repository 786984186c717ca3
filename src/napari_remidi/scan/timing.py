"""Pulse timing: named presets, and the checks that keep seconds out of a field of milliseconds."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_remidi.errors import TimingError


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


def checked_times(delta: ArrayLike | None, Delta: ArrayLike | None, count: int) -> tuple[NDArray, NDArray]:
    """δ and Δ of every measurement, (count,) ms each; NaN where they are unknown.

    Raises
    ------
    TimingError
        For a wrong count, values that are not positive, that look like seconds or microseconds, or δ > Δ.
    """
    times = {}
    for name, value in (("delta", delta), ("Delta", Delta)):
        array = np.asarray(np.nan if value is None else value, dtype=np.float64)
        if array.ndim > 1 or (array.ndim == 1 and len(array) not in (1, count)):
            raise TimingError(f"{name} has {array.size} values for {count} measurements: give one, or one for each")
        times[name] = np.broadcast_to(array, count).copy()
    for name, array in times.items():
        known = array[np.isfinite(array)]
        if len(known) == 0:
            continue
        if known.min() <= 0:
            raise TimingError(f"{name} is {known.min():g} ms: pulse timing must be positive")
        if known.max() < 0.5:
            value = known.max()
            raise TimingError(f"{name} is {value:g} ms, which looks like seconds: give milliseconds ({value * 1000:g})")
        if known.max() > 1000:
            value = known.max()
            raise TimingError(
                f"{name} is {value:g} ms, which looks like microseconds: give milliseconds ({value / 1000:g})"
            )
    if (longer := times["delta"] > times["Delta"]).any():
        row = int(np.flatnonzero(longer)[0])
        raise TimingError(
            f"delta {times['delta'][row]:g} ms is longer than Delta {times['Delta'][row]:g} ms (measurement {row}): "
            "delta is one pulse's duration, Delta the time from one pulse's start to the other's; swap them"
        )
    return times["delta"], times["Delta"]


def missing_timing_message() -> str:
    """What to do about a scan that records no timing."""
    names = ", ".join(
        f"'{timing.name}' ({timing.delta:g}/{'|'.join(f'{t:g}' for t in timing.Delta)})" for timing in PRESETS.values()
    )
    return (
        "the scan records no pulse timing, and the signal of an axon depends on it: give delta and Delta in ms, "
        f"or one of the presets (delta/Delta ms): {names}"
    )
