"""The noise of a magnitude signal: Rician mean and standard deviation (Gudbjartsson and Patz, MRM 1995)."""

import numpy as np
from numpy.typing import NDArray
from scipy.special import i0e, i1e

Floats = NDArray[np.float64]


def rician_mean(signal: Floats, noise_sd: float) -> Floats:
    """Expected magnitude of a signal with Gaussian noise `noise_sd` in both channels: σ √(π/2) L½(−S²/2σ²)."""
    x = (signal / noise_sd) ** 2 / 4
    return noise_sd * np.sqrt(np.pi / 2) * ((1 + 2 * x) * i0e(x) + 2 * x * i1e(x))


def rician_mean_slope(signal: Floats, noise_sd: float) -> Floats:
    """Derivative of `rician_mean` with respect to the signal."""
    x = (signal / noise_sd) ** 2 / 4
    return np.sqrt(np.pi / 2) * signal / (2 * noise_sd) * (i0e(x) + i1e(x))


def rician_sd(signal: Floats, noise_sd: float) -> Floats:
    """Standard deviation of the magnitude."""
    return np.sqrt(np.maximum(signal**2 + 2 * noise_sd**2 - rician_mean(signal, noise_sd) ** 2, 1e-12))
