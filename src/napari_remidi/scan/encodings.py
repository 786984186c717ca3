"""Known waveforms with unit peak: pulses with or without ramps, oscillating gradients, planar and spherical encoding.

Each is described by its moment K(t) = ∫ g dt, known in closed form; a step's sample is the mean gradient
(K(t + dt) − K(t))/dt, so that pulses whose edges lie between two steps keep their area and every waveform refocuses.
"""

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from napari_remidi.scan.btensor import b_tensor_of, moment_of

Floats = NDArray[np.float64]
MOST_STEPS = 4000
RAMP_STEPS, PERIOD_STEPS, TURN_STEPS = 16, 64, 128  # for a ramp, a period, one block of a turning gradient


def common_step(times: Sequence[float], longest: float = math.inf) -> float:
    """Longest step, ms, of which all times are multiples (to the microsecond), cut to at most `longest`."""
    total = max(times)
    micro = np.rint(np.array(times) * 1000)
    if np.allclose(micro, np.array(times) * 1000, rtol=0, atol=1e-6):
        step = int(np.gcd.reduce(micro.astype(np.int64)[micro > 0])) / 1000
        step /= max(1, math.ceil(step / longest - 1e-9))
        if total / step <= MOST_STEPS:
            return step
    return max(min(longest, total / 1000), total / MOST_STEPS)


def sampled(moment: Callable[[Floats], Floats], duration: float, dt: float) -> Floats:
    """Mean gradient of every step, (T, ...), from the moment, which ends at `duration`."""
    edges = np.minimum(np.arange(math.ceil(duration / dt - 1e-9) + 1) * dt, duration)
    return np.diff(moment(edges), axis=0) / dt


def pulses(
    starts: Sequence[float], signs: Sequence[float], delta: float, ramp: float, duration: float, dt: float
) -> Floats:
    """Trapezoids of unit height, (T,): each rises for `ramp` from its start and falls for `ramp` from start + δ."""
    times = np.concatenate([[s, s + ramp, s + delta, s + delta + ramp] for s in starts])
    heights = np.concatenate([[0.0, sign, sign, 0.0] for sign in signs])
    area = np.concatenate([[0.0], np.cumsum(np.diff(times) * (heights[1:] + heights[:-1]) / 2)])

    def moment(t: Floats) -> Floats:
        t = np.minimum(t, times[-1])
        piece = np.clip(np.searchsorted(times, t, side="right") - 1, 0, len(times) - 2)
        since, length = t - times[piece], np.diff(times)[piece]
        slope = np.divide(np.diff(heights)[piece], length, out=np.zeros_like(t), where=length > 0)
        return area[piece] + since * (heights[piece] + slope * since / 2)

    return sampled(moment, duration, dt)


def oscillations(delta: float, Delta: float, periods: int, sine: bool, dt: float) -> Floats:
    """Two lobes of `periods` sine or cosine periods, the second, after the refocusing pulse, reversed: (T,)."""
    rate = 2 * np.pi * periods / delta

    def lobe(t: Floats) -> Floats:
        inside = np.clip(t, 0, delta)
        return (1 - np.cos(rate * inside)) / rate if sine else np.sin(rate * inside) / rate

    return sampled(lambda t: lobe(t) - lobe(t - Delta), Delta + delta, dt)


def turning(delta: float, Delta: float, tilt: float, dt: float) -> Floats:
    """Two blocks of δ in which k(t) runs along a cone about z and back to zero, (T, 3), with a peak of one.

    The length of k is F = sin²(πt/δ) and its azimuth ψ = 2π ∫F²/∫₀^δ F² (q-MAS: Eriksson et al., J. Magn. Reson. 226,
    13, 2013). A tilt of the cone of acos(1/√3) gives spherical, of π/2 planar encoding; a last linear map, close to
    one, makes the tensor of the sampled waveform exactly so. The second block is the first one reversed in sign.
    """

    def path(t: Floats) -> Floats:
        s = np.clip(t / delta, 0, 1)
        length = np.sin(np.pi * s) ** 2
        azimuth = 2 * np.pi * (s - 2 * np.sin(2 * np.pi * s) / (3 * np.pi) + np.sin(4 * np.pi * s) / (12 * np.pi))
        across = math.sin(tilt) * length
        return np.stack([across * np.cos(azimuth), across * np.sin(azimuth), math.cos(tilt) * length], axis=-1)

    gradient = sampled(lambda t: path(t) - path(t - Delta), Delta + delta, dt)
    used = 2 if math.isclose(tilt, math.pi / 2) else 3
    gradient[:, used:] = 0
    tensor = b_tensor_of(moment_of(gradient, dt), dt)[:used, :used]
    values, vectors = np.linalg.eigh(tensor)
    gradient[:, :used] = gradient[:, :used] @ ((vectors * np.sqrt(tensor.trace() / used / values)) @ vectors.T)
    return gradient / np.linalg.norm(gradient, axis=1).max()
