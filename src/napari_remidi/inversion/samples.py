"""Shapes drawn from the posterior, and what they say about an axon's quantities."""

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from napari_remidi.inversion.template import FLAT
from napari_remidi.shapes.quantities import UNITS, element_volumes, measured

if TYPE_CHECKING:
    from napari_remidi.shapes import Prior

Floats = NDArray[np.float64]
COUNT = 200
ROUNDS = 5  # of draws, until enough of them do not fold
FEWEST = 20  # samples that an interval needs
INTERVAL = 0.90
LEAST = {"tortuosity": 1.0}  # of a quantity; the others are zero or more


def posterior_samples(
    prior: "Prior", latent: Floats, covariance: Floats, count: int = COUNT, seed: int = 0
) -> tuple[Floats, Floats]:
    """Draws of shape and orientation from N(latent, covariance).

    Parameters
    ----------
    prior : Prior
    latent : (d,), the mean; that of the rotation vector is zero
    covariance : (P, P) of latent, rotation vector and the rest
    count, seed : how many, and of the draws

    Returns
    -------
    points, turns
        (B, n, 3) float32 µm in the body's frame, centred on the node mean, and (B, 3) rad. Shapes that fold are dropped and drawn
        again; B is less than `count` where nearly all do.
    """
    size = len(latent)
    mean = np.concatenate([latent, np.zeros(3)])
    rng = np.random.default_rng(seed)
    kept: list[tuple[Floats, Floats]] = []
    for _ in range(ROUNDS):
        draws = rng.multivariate_normal(mean, covariance[: size + 3, : size + 3], count, method="eigh")
        with torch.no_grad():
            points = prior.decode_points(torch.as_tensor(draws[:, :size], dtype=torch.float32)).numpy()
        volumes = element_volumes(points, prior.tetrahedra)
        valid = np.isfinite(volumes).all(axis=1) & (volumes.min(axis=1) >= FLAT * volumes.mean(axis=1))
        kept.append((points[valid], draws[valid, size:]))
        if sum(len(turns) for _, turns in kept) >= count:
            break
    points, turns = (np.concatenate(parts)[:count] for parts in zip(*kept, strict=True))
    return points - points.mean(axis=1, keepdims=True), turns


def quantities_of(
    prior: "Prior", points: Floats, latent: Floats, covariance: Floats, seed: int = 0
) -> dict[str, dict[str, Any]]:
    """Quantities of a shape, (n, 3) µm, with the spread that its posterior gives them.

    Returns
    -------
    name -> {"value", "sd", "low", "high", "unit"}
        `value` is that of the shape itself; 90 % of the samples are no farther from it than `low` and `high`, which stop
        at what is possible. (Quantiles of the samples would lie beside the value: a straight line through a curved
        posterior only ever adds bends, beads and length.) `sd` is the samples' own. None where the posterior is so wide
        that nearly every draw folds.
    """
    samples, _ = posterior_samples(prior, latent, covariance, seed=seed)
    values = measured(points, prior.tube, prior.ends)
    drawn = measured(samples, prior.tube, prior.ends) if len(samples) >= FEWEST else {}
    found = {}
    for name, unit in UNITS.items():
        value, sd, low, high = float(values[name]), None, None, None
        if name in drawn:
            sd = float(drawn[name].std())
            reach = float(np.quantile(np.abs(drawn[name] - value), INTERVAL))
            low, high = max(value - reach, LEAST.get(name, 0.0)), value + reach
        found[name] = {"value": value, "sd": sd, "low": low, "high": high, "unit": unit}
    return found
