"""Shapes drawn from the posterior, and what they say about an axon's quantities.

Where latents are hardly known, a decoder is far from linear within their standard deviation, and draws of them decode
to shapes that a signal excludes. So nodes move along their derivatives, as for their standard deviations: what the
signal determines stays determined.
"""

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from napari_remidi.shapes.quality import which_fold
from napari_remidi.shapes.quantities import UNITS, quantities

if TYPE_CHECKING:
    from napari_remidi.shapes import Prior

Floats = NDArray[np.float64]
COUNT = 200
ROUNDS = 5  # of draws, until enough of them do not fold
FEWEST = 50  # samples that an interval needs
INTERVAL = 0.90
# what a quantity's spread among the draws is multiplied by, so that nine of ten truths are within its interval: signals
# tell size to first order, bends and beads by their squares (found on 150 axons of benchmarks/calibration.py with
# other seeds)
REACH = {
    "radius_mean": 0.8,
    "radius_min": 0.75,
    "radius_max": 0.75,
    "length": 0.9,
    "bend": 1.4,
    "fan": 1.4,
    "tortuosity": 1.4,
    "bead_count": 2.5,
    "volume": 0.65,
    "surface": 0.68,
}
LEAST = {"tortuosity": 1.0}  # of a quantity; the others are zero or more


def posterior_samples(
    prior: "Prior",
    latent: Floats,
    covariance: Floats,
    count: int = COUNT,
    seed: int = 0,
    mean: Floats | None = None,
) -> tuple[Floats, Floats]:
    """Draws of shape and orientation from a posterior, to first order in the latent.

    Parameters
    ----------
    prior : Prior
    latent : (d,), the mean; that of the rotation vector is zero
    covariance : (P, P) of latent, rotation vector and the rest
    count, seed : how many, and of the draws
    mean : (n, 3) µm, the shape about which they lie; None: the latent's

    Returns
    -------
    points, turns
        (B, n, 3) µm in the body's frame, centred on the node mean, and (B, 3) rad. What folds is dropped and drawn
        again; B is less than `count` where nearly everything does.
    """
    size = len(latent)
    body = prior.nodes(latent) if mean is None else mean
    moves = prior.velocities(torch.as_tensor(latent, dtype=torch.float32)).double().numpy()
    centred = [nodes - nodes.mean(axis=-2, keepdims=True) for nodes in (body, moves)]
    rng = np.random.default_rng(seed)
    points, turns, found = [np.zeros((0, *body.shape))], [np.zeros((0, 3))], 0
    for _ in range(ROUNDS):
        draws = rng.multivariate_normal(np.zeros(size + 3), covariance[: size + 3, : size + 3], count, method="eigh")
        shapes = centred[0] + np.tensordot(draws[:, :size], centred[1], 1)
        whole = np.flatnonzero(~which_fold(shapes, prior.tetrahedra))[: count - found]
        points.append(shapes[whole])
        turns.append(draws[whole, size:])
        found += len(whole)
        if found == count:
            break
    return np.concatenate(points), np.concatenate(turns)


def with_intervals(
    prior: "Prior", points: Floats, latent: Floats, covariance: Floats, seed: int = 0
) -> dict[str, dict[str, Any]]:
    """Quantities of a shape, (n, 3) µm, with the spread that its posterior gives them.

    Returns
    -------
    name -> {"value", "sd", "low", "high", "unit"}
        `value` is that of the shape itself; `low` and `high` are as far from it as 90 % of the samples are, times
        `REACH` with closed ends, and stop at what is possible. (Quantiles of the samples would lie beside the value:
        whatever moves a straight, smooth axon adds bends, beads and length.) `sd` is the samples', times the same.
        None where the posterior is so wide that nearly every draw folds.
    """
    coarse = prior.coarse  # a spread needs no fine mesh: it is within 6 %, that of the beads' amplitude 12 %
    mean = prior.tube.interpolated(points, coarse.tube).astype(np.float64)
    samples, _ = posterior_samples(coarse, latent, covariance, seed=seed, mean=mean)
    values, middle = quantities(points, prior.tube, prior.ends), quantities(mean, coarse.tube, prior.ends)
    drawn = quantities(samples, coarse.tube, prior.ends) if len(samples) >= FEWEST else {}
    found = {}
    for name, unit in UNITS.items():
        value, sd, low, high = float(values[name]), None, None, None
        if name in drawn:
            factor = REACH.get(name, 1.0) if prior.ends == "closed" else 1.0
            sd = factor * float(drawn[name].std())
            reach = factor * float(np.quantile(np.abs(drawn[name] - middle[name]), INTERVAL))
            least = LEAST.get(name, 0.0)
            # draws without a bead have an amplitude of zero: the coarse mesh's value, not the fine one's, away from it
            low = least if middle[name] - reach <= least else max(value - reach, least)
            high = value + reach
        found[name] = {"value": value, "sd": sd, "low": low, "high": high, "unit": unit}
    return found
