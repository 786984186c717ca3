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
INTERVAL = (0.05, 0.95)


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
        (B, n, 3) µm in the body's frame, centred on the node mean, and (B, 3) rad. Shapes that fold are dropped and drawn
        again; B is less than `count` where nearly all do.
    """
    size = len(latent)
    mean = np.concatenate([latent, np.zeros(3)])
    rng = np.random.default_rng(seed)
    kept: list[tuple[Floats, Floats]] = []
    for _ in range(ROUNDS):
        draws = rng.multivariate_normal(mean, covariance[: size + 3, : size + 3], count, method="eigh")
        with torch.no_grad():
            points = prior.decode_points(torch.as_tensor(draws[:, :size])).numpy()
        volumes = element_volumes(points.astype(np.float32), prior.tetrahedra)
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
        `value` is that of the shape itself, `low` and `high` bound a 90 % interval. None where the posterior is so
        wide that nearly every draw folds.
    """
    samples, _ = posterior_samples(prior, latent, covariance, seed=seed)
    values = measured(points, prior.tube, prior.ends)
    drawn = measured(samples, prior.tube, prior.ends) if len(samples) >= FEWEST else {}
    found = {}
    for name, unit in UNITS.items():
        sd, low, high = None, None, None
        if name in drawn:
            sd = float(drawn[name].std())
            low, high = map(float, np.quantile(drawn[name], INTERVAL))
        found[name] = {"value": float(values[name]), "sd": sd, "low": low, "high": high, "unit": unit}
    return found
