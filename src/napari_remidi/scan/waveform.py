"""Waveforms by name, from samples and from files: effective gradients of any form."""

import math
from collections.abc import Sequence
from os import PathLike
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from napari_remidi.errors import ProtocolError, TimingError
from napari_remidi.scan import encodings
from napari_remidi.scan.directions import unit_vector
from napari_remidi.scan.sampled_gradient import SampledGradient
from napari_remidi.scan.waveform_checks import check_apart, check_durations, given_strength, step_of
from napari_remidi.scan.waveform_file import read_samples

WEAKEST = 1.0  # mT/m, peak of a file; below, it is in T/m


class Waveform(SampledGradient):
    """An effective gradient, piecewise constant, and its constructors.

    Each constructor takes the peak `G` (mT/m) or `b` (s/mm²) and scales to it; both may be given if they agree to 1 %.
    Times are in ms; `dt`, the step, is by default the longest that holds every edge and draws curves smoothly.

    Examples
    --------
    >>> pulsed = Waveform.pgse([1, 0, 0], delta=5.0, Delta=25.0, b=1000)
    >>> pulsed.encoding, round(pulsed.bval), round(pulsed.peak, 1), pulsed.duration
    ('LTE', 1000, 154.8, 30.0)
    >>> round(Waveform.spherical(delta=20.0, Delta=25.0, b=2000).b_delta, 6) + 0.0
    0.0
    """

    @classmethod
    def from_samples(
        cls,
        gradient: ArrayLike,
        dt: float | None = None,
        G: float | None = None,
        b: float | None = None,
        *,
        times: ArrayLike | None = None,
        name: str = "waveform",
        te: float | None = None,
    ) -> "Waveform":
        """A waveform from samples, (T, 3) mT/m, and their step `dt` or equally spaced beginnings `times`, (T,) ms."""
        samples = np.asarray(gradient, dtype=np.float64)
        return cls(samples, step_of(len(np.atleast_1d(samples)), dt, times, name), name, te).scaled(G, b)

    @classmethod
    def open(
        cls,
        path: str | PathLike[str],
        dt: float | None = None,
        G: float | None = None,
        b: float | None = None,
        *,
        name: str | None = None,
        te: float | None = None,
    ) -> "Waveform":
        """A waveform from a text file or `.npy`: columns gx gy gz (mT/m) with `dt` (ms), or t gx gy gz with t in ms."""
        samples, times, called = read_samples(path)
        opened = cls.from_samples(samples, dt, times=times, name=name or called, te=te)
        if G is None and b is None and 0 < opened.peak < WEAKEST:
            raise ProtocolError(
                f"{opened.name}: gradients up to {opened.peak:g} mT/m, which looks like T/m: give mT/m "
                f"({opened.peak * 1000:g}), or scale it with G or b"
            )
        return opened.scaled(G, b)

    @classmethod
    def pgse(
        cls,
        direction: ArrayLike,
        delta: float,
        Delta: float,
        G: float | None = None,
        b: float | None = None,
        *,
        dt: float | None = None,
        te: float | None = None,
    ) -> "Waveform":
        """Two rectangular pulses of δ whose starts are Δ apart, ms."""
        return cls.trapezoid(direction, delta, Delta, 0.0, G, b, dt=dt, te=te, name="PGSE")

    @classmethod
    def trapezoid(
        cls,
        direction: ArrayLike,
        delta: float,
        Delta: float,
        ramp: float,
        G: float | None = None,
        b: float | None = None,
        *,
        dt: float | None = None,
        te: float | None = None,
        name: str = "trapezoid",
    ) -> "Waveform":
        """Two pulses with ramps: δ from a pulse's start to that of its fall (area Gδ), Δ between the starts, ms."""
        check_durations(name, delta=delta, Delta=Delta, ramp=ramp)
        if ramp > delta:
            raise TimingError(f"{name}: ramp {ramp:g} ms is longer than delta {delta:g} ms, which holds it; shorten it")
        check_apart(name, "Delta", Delta, delta + ramp, "delta + ramp" if ramp else "delta")
        end = Delta + delta + ramp
        dt = dt or encodings.common_step([delta, Delta, ramp, end], ramp / encodings.RAMP_STEPS if ramp else math.inf)
        profile = encodings.pulses([0, Delta], [1, -1], delta, ramp, end, dt)
        axis = unit_vector(direction, f"{name}: direction")
        return cls(profile[:, None] * axis, dt, name, te).scaled(*given_strength(name, G, b))

    @classmethod
    def double_pgse(
        cls,
        directions: Sequence[ArrayLike],
        delta: float,
        Delta: float,
        mixing: float,
        G: float | None = None,
        b: float | None = None,
        *,
        dt: float | None = None,
        te: float | None = None,
    ) -> "Waveform":
        """Two pairs of pulses, +g₁ −g₁ +g₂ −g₂; starts Δ apart in a pair, `mixing` between the second and third, ms.

        Pulses two and three oppose each other in effect; give −g₂ for a sequence in which they add.
        """
        name = "double PGSE"
        check_durations(name, delta=delta, Delta=Delta, mixing=mixing)
        check_apart(name, "Delta", Delta, delta)
        check_apart(name, "mixing", mixing, delta)
        if len(directions) != 2:
            raise ProtocolError(f"{name}: {len(directions)} directions; give two, one for each pair of pulses")
        pair, end = Delta + mixing, 2 * Delta + mixing + delta
        dt = dt or encodings.common_step([delta, Delta, mixing, end])
        first, second = (unit_vector(d, f"{name}: direction {i}") for i, d in enumerate(directions, 1))
        profiles = (encodings.pulses([s, s + Delta], [1, -1], delta, 0.0, end, dt) for s in (0.0, pair))
        gradient = sum(p[:, None] * axis for p, axis in zip(profiles, (first, second), strict=True))
        return cls(np.asarray(gradient), dt, name, te).scaled(*given_strength(name, G, b))

    @classmethod
    def ogse(
        cls,
        direction: ArrayLike,
        delta: float,
        Delta: float,
        periods: int,
        G: float | None = None,
        b: float | None = None,
        *,
        phase: Literal["cosine", "sine"] = "cosine",
        dt: float | None = None,
        te: float | None = None,
    ) -> "Waveform":
        """Two oscillating lobes of δ, a whole number of periods each, starts Δ apart, ms; the second reversed."""
        name = f"{phase} OGSE"
        if phase not in ("cosine", "sine"):
            raise ProtocolError(f"OGSE phase {phase!r} is unknown; choose 'cosine' or 'sine'")
        check_durations(name, delta=delta, Delta=Delta)
        check_apart(name, "Delta", Delta, delta)
        if periods < 1 or periods != int(periods):
            raise ProtocolError(f"{name}: {periods:g} periods; a lobe refocuses with a whole number of them, from 1")
        end = Delta + delta
        dt = dt or encodings.common_step([delta, Delta, end], delta / periods / encodings.PERIOD_STEPS)
        profile = encodings.oscillations(delta, Delta, int(periods), phase == "sine", dt)
        axis = unit_vector(direction, f"{name}: direction")
        return cls(profile[:, None] / np.abs(profile).max() * axis, dt, name, te).scaled(*given_strength(name, G, b))

    @classmethod
    def spherical(
        cls,
        delta: float,
        Delta: float,
        G: float | None = None,
        b: float | None = None,
        *,
        dt: float | None = None,
        te: float | None = None,
    ) -> "Waveform":
        """Spherical encoding (STE): two blocks of δ, starts Δ apart, ms, in each of which k spins about z."""
        return cls._turning("STE", math.acos(1 / math.sqrt(3)), delta, Delta, dt, te).scaled(
            *given_strength("STE", G, b)
        )

    @classmethod
    def planar(
        cls,
        normal: ArrayLike,
        delta: float,
        Delta: float,
        G: float | None = None,
        b: float | None = None,
        *,
        dt: float | None = None,
        te: float | None = None,
    ) -> "Waveform":
        """Planar encoding (PTE): two blocks of δ, starts Δ apart, ms, in each of which k turns once in a plane."""
        axis = unit_vector(normal, "PTE: normal")
        across = np.cross(axis, np.eye(3)[np.argmin(np.abs(axis))])
        across /= np.linalg.norm(across)
        frame = np.stack([across, np.cross(axis, across), axis], axis=1)
        return (
            cls._turning("PTE", math.pi / 2, delta, Delta, dt, te).rotated(frame).scaled(*given_strength("PTE", G, b))
        )

    @classmethod
    def _turning(
        cls, name: str, tilt: float, delta: float, Delta: float, dt: float | None, te: float | None
    ) -> "Waveform":
        check_durations(name, delta=delta, Delta=Delta)
        check_apart(name, "Delta", Delta, delta)
        dt = dt or encodings.common_step([delta, Delta, Delta + delta], delta / encodings.TURN_STEPS)
        return cls(encodings.turning(delta, Delta, tilt, dt), dt, name, te)
