"""Whether a model explains a signal: three tests of what the fit leaves over, and one of the shape that it found.

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

Shape: a decoder has no sharp edges, and signals of round cells are explained to within the noise by what it makes of
latents that no member of the family has: axons shorter than wide, or curled up. |z|² does not tell them. The former lie
at the family's edge, where |z|² is that of any axon, and the |z|² of an estimate depends on how much the signal tells.
So the distance of the ends in units of the greatest radius (`calibre.extension`) is compared with that of the prior's
members: the p-value is the share of them that have as little, their distribution smoothed (Silverman, Density
Estimation, 1986, eq. 3.31). Its error bar does not enter: the prior pulls an uncertain estimate towards its members.
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
FEWEST_MEMBERS = 50  # of a prior, that a distribution needs
LEAST_WIDTH = 0.05  # of log extension, that members are smoothed by
UNEXPLAINED = 0.01  # p-value below which a signal is not one of the model, and above which it is not more than noise
UNLIKE = 1e-3  # the same of the shape, whose distribution is known from a few hundred members: the stoutest has 0.007


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
    local: "Local",
    predicted: Floats,
    target: "Target",
    protocol: "Protocol",
    noise: Noise | None,
    model_error: float,
    extension: float,
    members: Floats,
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
    extension : of the shape found
    members : (E,) extensions of the prior's members

    Returns
    -------
    "chi2", "degrees", "noise_sd", "noise_source", "p_size" : of the first test
    "structure", "p_structure" : mean square of the smooth part of the residual in units of what is expected, 1 where
        all is well
    "p_constant" : of the third: how easily noise makes a constant fit so much worse
    "extension", "least_extension", "p_shape" : of the fourth: that of the shape and the least of the prior's members
    "p_value" : of the test that failed, else the least, times the number of tests made (Bonferroni); the third is not
        one of them, for it asks for a p-value that is small
    "explained", "failed" : whether no test fails, and which one does. What needs no other to make sense comes first:
        "size" or "structure", the worse one where its "p_value" is below 0.01; "information" where "p_constant" is
        not; "shape" where its "p_value" is below 0.001. "explained" is None where the shape alone can be tested, and
        passes
    """
    weighted = ~protocol.is_b0
    size = _size(local, predicted, target, weighted, noise, model_error)
    structure = _structure(local, predicted, target, protocol, model_error)
    shape = _shape(extension, members)
    p_values = {"size": size["p_size"], "structure": structure["p_structure"], "shape": shape["p_shape"]}
    outcome = _outcome(p_values, _p_constant(local, predicted, target, weighted))
    return {**size, **structure, **shape, **outcome}


def _outcome(p_values: dict[str, float | None], p_constant: float) -> dict[str, Any]:
    """What the tests say together."""
    made = {name: p for name, p in p_values.items() if p is not None}
    corrected = {name: min(1.0, len(made) * p) for name, p in made.items()}
    residual = [name for name in made if name != "shape"]
    worst = min(residual, key=lambda name: made[name], default="shape")
    if residual and corrected[worst] < UNEXPLAINED:
        failed = worst
    elif residual and p_constant >= UNEXPLAINED:
        failed = "information"
    elif corrected.get("shape", 1.0) < UNLIKE:
        failed = worst = "shape"
    else:
        failed, worst = None, min(made, key=lambda name: made[name], default="shape")
    return {
        "p_value": corrected.get(worst),
        "p_constant": p_constant if residual else None,
        "explained": failed is None if residual or failed else None,
        "failed": failed,
    }


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
    both, rank = smooth_part(np.column_stack([residual, jacobian]), protocol)
    smooth, smooth_jacobian = both[:, 0], both[:, 1:]
    covariance = np.linalg.inv(local.hessian)
    hat = covariance @ jacobian.T @ jacobian  # (P, P), with the trace of H
    hat_smooth = covariance @ jacobian.T @ smooth_jacobian
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


def _shape(extension: float, members: Floats) -> dict[str, Any]:
    if len(members) < FEWEST_MEMBERS:
        return {"extension": extension, "least_extension": None, "p_shape": None}
    logs = np.log(members)
    spread = min(logs.std(), stats.iqr(logs) / 1.34)
    width = max(0.9 * spread * len(logs) ** -0.2, LEAST_WIDTH)
    p = stats.norm.cdf((np.log(max(extension, 1e-9)) - logs) / width).mean()
    return {"extension": extension, "least_extension": float(members.min()), "p_shape": float(p)}
