"""What a waveform must be, and the sentence for one that is not."""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_remidi.errors import ProtocolError, TimingError
from napari_remidi.scan.timing import SHORTEST

Floats = NDArray[np.float64]
REFOCUSED = 1e-3  # of the largest moment: turns spins across a cell by less than a hundredth of a radian
SAME_STEP, AGREEING = 1e-3, 0.01  # relative: times of one grid, and b-values of one waveform


def check_samples(gradient: Floats, name: str) -> None:
    """Raise ProtocolError unless samples are (T, 3), at least two of them, and finite."""
    if gradient.ndim != 2 or gradient.shape[1] != 3:
        raise ProtocolError(f"{name}: samples of shape {gradient.shape}; a waveform needs (T, 3), in mT/m")
    if len(gradient) < 2:
        raise ProtocolError(f"{name}: {len(gradient)} sample is too short; a waveform that refocuses has at least 2")
    if (bad := ~np.isfinite(gradient).all(axis=1)).any():
        raise ProtocolError(
            f"{name}: {int(bad.sum())} of {len(gradient)} samples are NaN or infinite (the first is number "
            f"{int(np.argmax(bad))}, counted from 0); correct them"
        )


def check_times(steps: int, dt: float, te: float | None, name: str) -> None:
    """Raise TimingError for steps that are not positive, that look like seconds, or an echo before the end."""
    if not (math.isfinite(dt) and dt > 0):
        raise TimingError(f"{name}: dt is {dt:g} ms; a step must be positive")
    duration = steps * dt
    if duration < SHORTEST:
        raise TimingError(
            f"{name}: {steps} steps of {dt:g} ms last {duration:g} ms, which looks like seconds: give dt in "
            f"milliseconds ({dt * 1000:g})"
        )
    if te is not None and not te >= duration * (1 - 1e-9):
        raise TimingError(
            f"{name}: the echo time {te:g} ms is before the waveform's end at {duration:g} ms; correct it"
        )


def check_refocused(gradient: Floats, dt: float, name: str) -> None:
    """Raise ProtocolError where the moment at the end is more than `REFOCUSED` of the largest on the way."""
    moment = np.linalg.norm(np.cumsum(gradient, axis=0) * dt, axis=1)
    largest = int(np.argmax(moment))
    if moment[-1] > REFOCUSED * moment[largest]:
        raise ProtocolError(
            f"{name} is not refocused: at its end, {len(gradient) * dt:g} ms, {moment[-1]:.3g} mT/m·ms are left of the "
            f"{moment[largest]:.3g} reached at {(largest + 1) * dt:g} ms: give the effective gradient (signs reversed "
            "after each refocusing pulse), or correct its samples"
        )


def check_durations(name: str, **times: float) -> None:
    """Raise TimingError for times in ms that are negative (zero only for a ramp), or that look like seconds."""
    for what, value in times.items():
        if not (math.isfinite(value) and (value > 0 or (what == "ramp" and value == 0))):
            raise TimingError(f"{name}: {what} is {value:g} ms; it must be positive")
    if times["Delta"] < SHORTEST:
        long = times["Delta"]
        raise TimingError(
            f"{name}: Delta is {long:g} ms, which looks like seconds: give all times in milliseconds ({long * 1000:g})"
        )


def check_apart(name: str, what: str, separation: float, length: float, parts: str = "delta") -> None:
    """Raise TimingError where pulses whose starts are apart by `separation` overlap."""
    if separation < length * (1 - 1e-9):
        raise TimingError(
            f"{name}: {what} {separation:g} ms is shorter than {parts} {length:g} ms, so that pulses overlap: {what} "
            "counts from one pulse's start to the next one's"
        )


def step_of(samples: int, dt: float | None, times: ArrayLike | None, name: str) -> float:
    """The step, ms, from `dt` or the beginnings of the samples, (T,); ProtocolError where they contradict."""
    if times is None:
        if dt is None:
            raise TimingError(f"{name}: no step; give dt in ms, or a column of times before gx gy gz")
        return float(dt)
    t = np.asarray(times, dtype=np.float64)
    if t.shape != (samples,):
        raise ProtocolError(f"{name}: {t.size} times for {samples} samples; give one for each")
    steps = np.diff(t)
    if not len(steps):
        raise ProtocolError(f"{name}: {samples} sample is too short; a waveform that refocuses has at least 2")
    step = float(steps.mean())
    if uneven := np.flatnonzero(~(np.abs(steps - step) <= SAME_STEP * abs(step))).tolist():
        raise TimingError(
            f"{name}: the step after sample {uneven[0]} is {steps[uneven[0]]:g} ms and the mean one {step:g} ms; "
            "resample it on equal steps"
        )
    if dt is not None and abs(dt - step) > SAME_STEP * step:
        raise TimingError(f"{name}: dt is {dt:g} ms, but its times are {step:g} ms apart; give one of the two")
    return step


def strength_factor(peak: float, bval: float, G: float | None, b: float | None, name: str) -> float:
    """By what to multiply a waveform of a peak and b-value to reach G (mT/m) or b (s/mm²).

    Raises
    ------
    ProtocolError
        Where both are given and differ by more than `AGREEING`, or one is negative or not finite.
    """
    for what, value, unit in (("G", G, "mT/m"), ("b", b, "s/mm²")):
        if value is not None and not (math.isfinite(value) and value >= 0):
            raise ProtocolError(f"{name}: {what} is {value:g} {unit}; it cannot be negative or infinite")
    if (G or b) and not bval > 0:
        raise ProtocolError(f"{name}: all samples are zero, so that no factor gives it a strength")
    if G is None:
        return math.sqrt(b / bval) if b else 0.0
    factor = G / peak if G else 0.0
    if b is not None and abs(bval * factor**2 - b) > AGREEING * max(b, bval * factor**2):
        raise ProtocolError(
            f"{name}: G {G:g} mT/m gives b {bval * factor**2:.5g} s/mm², but b {b:g} s/mm² is given too; give one of "
            "the two"
        )
    return factor


def given_strength(name: str, G: float | None, b: float | None) -> tuple[float | None, float | None]:
    """G and b, of which one must be given; ProtocolError otherwise."""
    if G is None and b is None:
        raise ProtocolError(f"{name}: no strength; give the peak G in mT/m, or b in s/mm²")
    return G, b
