"""Whether a model explains a signal: Pearson's χ² test of the residual against noise known beforehand."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_remidi.scan.normalisation import repeat_variance, series_of
from napari_remidi.scan.smooth import smooth_residual

if TYPE_CHECKING:
    from napari_remidi.inversion.settings import Settings
    from napari_remidi.scan import Protocol

Floats = NDArray[np.float64]
SYSTEMATIC = 5e-4  # of S/S0: what template and reduced model are off by; counts as noise
LEAST_FREEDOM = 5  # degrees of freedom that an estimate of the noise needs
UNEXPLAINED = 1e-3  # p-value below which a signal is not one of the model
UNKNOWN = "unknown: give noise_sd, or measure b = 0 repeatedly, to test the fit"


def known_noise(signal: Floats, protocol: "Protocol", settings: "Settings") -> tuple[float, float, str] | None:
    """Noise of S/S0 known without a model of the cell, its degrees of freedom, and where it comes from.

    The one given, or that of the signal's repeated b = 0 measurements, or that about smooth functions of direction
    (`noise_of`; too large where few directions do not resolve the signal, so that the test is lenient); else None.
    """
    if settings.noise_sd is not None:
        return settings.noise_sd, np.inf, "given"
    if protocol.is_b0.any():
        variance, freedom = repeat_variance(signal[None], series_of(protocol))
        if freedom >= LEAST_FREEDOM and variance > 0:
            return float(np.sqrt(variance)), freedom, "repeated b = 0"
    squares, freedom = smooth_residual(signal, protocol)
    if freedom >= LEAST_FREEDOM and squares > 0:
        return float(np.sqrt(squares / freedom)), freedom, "smoothness over directions"
    return None


def tested(chi2: float, degrees: float, noise_sd: float, freedom: float, source: str) -> dict[str, Any]:
    """A fit's test, in plain values.

    Parameters
    ----------
    chi2 : misfit in units of the noise, with the model's own error added to it in quadrature
    degrees : of freedom: measurements less the parameters that they, and not the prior, determine
    noise_sd, freedom, source : of S/S0, known beforehand; with finite degrees of freedom χ²/dof is one of an F
        distribution

    Returns
    -------
    "chi2", "degrees", "chi2_per_dof", "p_value" (of a misfit at least as large), "noise_sd", "noise_source", "explained"
    """
    from scipy import stats

    if np.isinf(freedom):
        p_value = stats.chi2.sf(chi2, degrees)
    else:
        p_value = stats.f.sf(chi2 / degrees, degrees, freedom)
    return {
        "chi2": float(chi2),
        "degrees": float(degrees),
        "chi2_per_dof": float(chi2 / degrees),
        "p_value": float(p_value),
        "noise_sd": noise_sd,
        "noise_source": source,
        "explained": bool(p_value >= UNEXPLAINED),
    }


def untested() -> dict[str, Any]:
    """What `tested` gives where the noise is unknown: no figures, and the reason."""
    figures = ("chi2", "degrees", "chi2_per_dof", "p_value", "noise_sd")
    return {**dict.fromkeys(figures), "noise_source": UNKNOWN, "explained": None}


def warning_of(fit: dict[str, Any], settings: dict[str, Any]) -> str | None:
    """One sentence about a signal that is not explained, or None."""
    if fit.get("explained") is not False:
        return None
    p = f"p < {1e-6:.0e}".replace("e-06", "e-6") if fit["p_value"] < 1e-6 else f"p = {fit['p_value']:.1e}"
    what = "axon" if settings["model"] == "axon" else "tissue with axons"
    other = "model 'voxel' for tissue" if settings["model"] == "axon" else "a voxel of one fibre bundle"
    return (
        f"no {what} of prior {settings['prior']!r} that was found explains this signal: χ²/dof "
        f"{fit['chi2_per_dof']:.3g}, {p}; do not trust the shape, and try {other}, another prior or diffusivity, more "
        f"starts, or check the noise of {fit['noise_sd']:.2g} ({fit['noise_source']})"
    )
