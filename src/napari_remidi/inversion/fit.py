"""Whether a model explains a signal: three tests of what the fit leaves over.

Of measurements y = J θ + ε with the prior θ ~ N(μ, Λ⁻¹), the fit leaves (1 - H)(y - J μ), H = J (JᵀJ + σ²Λ)⁻¹ Jᵀ, with
covariance σ² (1 - H): its degrees of freedom are M - tr H, the measurements less the parameters that they, and not the
prior, determine.

Size: Pearson's χ² of the residual, one-sided. It needs a noise that is known without the fit.

Structure: noise spreads evenly over all functions of direction and b; what a wrong shape leaves over is a smooth one.
So the mean square of the smooth part of the residual, Q r (`scan.smooth`), is compared with that of the rest by an F
test for lack of fit (Draper and Smith, Applied Regression Analysis, 2.1), whatever the noise is. With true noise s,
E |Q r|² = s² tr Q(1-H)² + σ² tr Q H(1-H): the second term is the pull of the prior, which stays where the noise
assumed, σ, is larger than the true one.

Information: the F test of the whole regression. A fit that explains no more than a constant says nothing about a
shape.
"""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from napari_remidi.inversion.noise import rician_mean, rician_sd
from napari_remidi.scan.normalisation import repeat_variance, series_of
from napari_remidi.scan.smooth import smooth_part

if TYPE_CHECKING:
    from napari_remidi.inversion.levenberg_marquardt import Local, Target
    from napari_remidi.scan import Protocol

Floats = NDArray[np.float64]
SYSTEMATIC = 5e-4  # of S/S0: what template and reduced model are off by
LEAST_FREEDOM = 5  # degrees of freedom that an estimate of the noise needs
UNEXPLAINED = 1e-3  # p-value below which a signal is not one of the model, and above which it is not more than noise


@dataclass(frozen=True)
class Noise:
    """Noise of S/S0 known without a fit.

    Attributes
    ----------
    sd : of S/S0
    freedom : degrees of freedom of its estimate, infinite where it is given
    source : where it comes from
    """

    sd: float
    freedom: float
    source: str

    @classmethod
    def known(cls, given: float | None, signal: Floats, protocol: "Protocol") -> "Noise | None":
        """The one given, or that of the signal's repeated b = 0 measurements; else None."""
        if given is not None:
            return cls(given, np.inf, "given")
        if not protocol.is_b0.any():
            return None
        variance, freedom = repeat_variance(signal[None], series_of(protocol))
        if freedom < LEAST_FREEDOM or variance == 0:
            return None
        return cls(float(np.sqrt(variance)), freedom, "repeated b = 0")


def goodness_of_fit(
    local: "Local", predicted: Floats, target: "Target", protocol: "Protocol", noise: Noise | None, model_error: float
) -> dict[str, Any]:
    """The tests of a fit, in plain values; None for what cannot be tested.

    Parameters
    ----------
    local : Local, at the best point, of the target's noise
    predicted : (M,) S/S0, free of noise
    target : Target
    protocol : Protocol of M measurements
    noise : Noise, or None where nothing is known
    model_error : of S/S0, that the model admits to

    Returns
    -------
    "chi2", "degrees", "noise_sd", "noise_source", "p_size" : of the first test
    "structure", "p_structure" : mean square of the smooth part of the residual in units of what is expected, 1 where
        all is well
    "p_value" : of the first two tests, that of the worse one doubled (Bonferroni)
    "p_constant" : of the third: how easily noise makes a constant fit so much worse
    "explained", "failed" : whether no test fails, and which one does: "size" or "structure", the worse one where
        "p_value" is below 0.001; "information" where "p_constant" is not
    """
    weighted = ~protocol.is_b0
    size = _size(local, predicted, target, weighted, noise, model_error)
    structure = _structure(local, predicted, target, protocol, model_error)
    by_test = {"size": size["p_size"], "structure": structure["p_structure"]}
    found = {name: p for name, p in by_test.items() if p is not None}
    if not found:
        return {**size, **structure, **dict.fromkeys(("p_value", "p_constant", "explained", "failed"))}
    worst = min(found, key=lambda name: found[name])
    p_value, p_constant = min(1.0, len(found) * found[worst]), _p_constant(local, predicted, target, weighted)
    failed = worst if p_value < UNEXPLAINED else "information" if p_constant >= UNEXPLAINED else None
    outcome = {"p_value": p_value, "p_constant": p_constant, "explained": failed is None, "failed": failed}
    return {**size, **structure, **outcome}


def _size(
    local: "Local", predicted: Floats, target: "Target", weighted: NDArray[np.bool_], noise: Noise | None, error: float
) -> dict[str, Any]:
    if noise is None:
        return dict.fromkeys(("chi2", "degrees", "noise_sd", "noise_source", "p_size"))
    chi2 = replace(target, noise_sd=float(np.linalg.norm([noise.sd, error, SYSTEMATIC]))).chi2(predicted, weighted)
    degrees = max(int(weighted.sum()) - _determined(local, weighted), 1.0)
    p = stats.chi2.sf(chi2, degrees) if np.isinf(noise.freedom) else stats.f.sf(chi2 / degrees, degrees, noise.freedom)
    return {
        "chi2": float(chi2),
        "degrees": float(degrees),
        "noise_sd": noise.sd,
        "noise_source": noise.source,
        "p_size": float(p),
    }


def _determined(local: "Local", weighted: NDArray[np.bool_]) -> float:
    """How many parameters the measurements determine, tr H."""
    rows = local.jacobian[: len(weighted)][weighted]
    return float(np.einsum("mp,pq,mq->", rows, np.linalg.inv(local.hessian), rows, optimize=True))


def _p_constant(local: "Local", predicted: Floats, target: "Target", weighted: NDArray[np.bool_]) -> float:
    left = ((target.signal - rician_mean(predicted, target.noise_sd))[weighted] ** 2).sum()
    of_constant = ((target.signal[weighted] - target.signal[weighted].mean()) ** 2).sum()
    determined = max(_determined(local, weighted), 1.0)
    degrees = max(int(weighted.sum()) - 1 - determined, 1.0)
    return float(stats.f.sf((of_constant - left) / determined / (left / degrees), determined, degrees))


def _structure(
    local: "Local", predicted: Floats, target: "Target", protocol: "Protocol", error: float
) -> dict[str, Any]:
    weighted, sd = ~protocol.is_b0, rician_sd(predicted, target.noise_sd) / target.noise_sd
    residual = np.where(weighted, local.residual[: len(sd)] / sd, 0)
    jacobian = np.where(weighted[:, None], local.jacobian[: len(sd)] / sd[:, None], 0)
    smooth, rank = smooth_part(residual, protocol)
    covariance = np.linalg.inv(local.hessian)
    hat = covariance @ jacobian.T @ jacobian  # (P, P), with the trace of H
    hat_smooth = covariance @ jacobian.T @ smooth_part(jacobian, protocol)[0]
    pulls, pulls_all = (part @ (np.eye(len(hat)) - hat) for part in (hat_smooth, hat))
    pull, pull_rest = float(np.trace(pulls)), float(np.trace(pulls_all - pulls))
    of_noise = rank - float(np.trace(hat_smooth)) - pull
    of_noise_rest = int(weighted.sum()) - rank - float(np.trace(hat - hat_smooth)) - pull_rest
    if min(of_noise, of_noise_rest) < LEAST_FREEDOM:
        return {"structure": None, "p_structure": None}
    rest = float(((residual - smooth) ** 2).sum())
    by_noise = of_noise * max(rest - pull_rest, 0.0) / of_noise_rest
    by_noise += rank * (SYSTEMATIC**2 + error**2) / target.noise_sd**2
    # a sum of squares of known mean and variance counts as a multiple of χ² (Satterthwaite 1946)
    degrees = (by_noise + pull) ** 2 / (by_noise**2 / of_noise + float(np.trace(pulls @ pulls)))
    ratio = float((smooth**2).sum()) / (by_noise + pull)
    return {"structure": ratio, "p_structure": float(stats.f.sf(ratio, degrees, of_noise_rest))}
