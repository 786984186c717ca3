"""Shapes drawn from the posterior, and what they say about an axon's quantities."""

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from napari_remidi.inversion.template import within_reach
from napari_remidi.shapes.quality import is_folded
from napari_remidi.shapes.quantities import UNITS, quantities

if TYPE_CHECKING:
    from napari_remidi.shapes import Prior

Floats = NDArray[np.float64]
COUNT = 200
ROUNDS = 5  # of draws, until enough of them are shapes
FEWEST = 50  # samples that an interval needs
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
        (B, n, 3) µm in the body's frame, centred on the node mean, and (B, 3) rad. What folds or lies beyond the
        prior is dropped and drawn again; B is less than `count` where nearly everything does.
    """
    size = len(latent)
    mean = np.concatenate([latent, np.zeros(3)])
    rng = np.random.default_rng(seed)
    points, turns = [], []
    for _ in range(ROUNDS):
        draws = rng.multivariate_normal(mean, covariance[: size + 3, : size + 3], count, method="eigh")
        draws = draws[within_reach(draws[:, :size])]
        with torch.no_grad():
            shapes = prior.decode_points(torch.as_tensor(draws[:, :size], dtype=torch.float32)).double().numpy()
        for shape, turn in zip(shapes, draws[:, size:], strict=True):
            if len(points) < count and not is_folded(shape, prior.tetrahedra):
                points.append(shape - shape.mean(axis=0))
                turns.append(turn)
        if len(points) == count:
            break
    return np.array(points).reshape(-1, prior.tube.layers * len(prior.tube.section), 3), np.array(turns).reshape(-1, 3)


def with_intervals(
    prior: "Prior", points: Floats, latent: Floats, covariance: Floats, seed: int = 0
) -> dict[str, dict[str, Any]]:
    """Quantities of a shape, (n, 3) µm, with the spread that its posterior gives them.

    Returns
    -------
    name -> {"value", "sd", "low", "high", "unit"}
        `value` is that of the shape itself; 90 % of the samples are no farther from it than `low` and `high`, which
        stop at what is possible. (Quantiles of the samples would lie beside the value: a straight line through a curved
        posterior only ever adds bends, beads and length.) `sd` is the samples' own. None where the posterior is so
        wide that nearly every draw folds.
    """
    samples, _ = posterior_samples(prior, latent, covariance, seed=seed)
    values = quantities(points, prior.tube, prior.ends)
    drawn = quantities(samples, prior.tube, prior.ends) if len(samples) >= FEWEST else {}
    found = {}
    for name, unit in UNITS.items():
        value, sd, low, high = float(values[name]), None, None, None
        if name in drawn:
            sd = float(drawn[name].std())
            reach = float(np.quantile(np.abs(drawn[name] - value), INTERVAL))
            low, high = max(value - reach, LEAST.get(name, 0.0)), value + reach
        found[name] = {"value": value, "sd": sd, "low": low, "high": high, "unit": unit}
    return found
