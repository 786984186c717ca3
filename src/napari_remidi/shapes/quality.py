"""What a prior is worth: how well it holds shapes, how its latent is distributed, how often a draw folds."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import kstest

from napari_remidi.physics.mesh import signed_volumes

if TYPE_CHECKING:
    from napari_remidi.shapes.prior import Prior

Floats = NDArray[np.float64]
CHUNK = 100
IN_CACHE = 16  # meshes of a few hundred nodes
FOLDED = 1e-3  # of the mean volume: a thinner element is as good as inverted


def vertex_errors(prior: "Prior", coefficients: Floats) -> Floats:
    """Mean distance of the nodes of encoded and decoded axons from their own, (N, C) -> (N,) µm."""
    errors = []
    with torch.no_grad():
        for start in range(0, len(coefficients), CHUNK):
            part = coefficients[start : start + CHUNK]
            decoded = prior.decode_points(torch.as_tensor(prior.encode_coefficients(part)))
            truth = prior.basis.vertices(torch.as_tensor(part), prior.tube)
            errors.append((decoded - truth).norm(dim=-1).mean(dim=-1).numpy())
    return np.concatenate(errors)


def is_folded(points: Floats, tetrahedra: NDArray[np.int64]) -> bool:
    """Whether a mesh has an inverted tetrahedron, or one as good as inverted."""
    return bool(which_fold(points[None], tetrahedra)[0])


def which_fold(points: Floats, tetrahedra: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which of many meshes do, (N, n, 3) -> (N,)."""
    folds = []
    for start in range(0, len(points), IN_CACHE):
        volumes = signed_volumes(points[start : start + IN_CACHE], tetrahedra)
        folds.append(~(volumes.min(axis=1) > FOLDED * volumes.mean(axis=1)))  # also where they are not finite
    return np.concatenate(folds) if folds else np.zeros(0, dtype=bool)


def folded(prior: "Prior", latents: Floats) -> NDArray[np.bool_]:
    """Which latents, (N, d), decode to a mesh that folds, (N,)."""
    found = []
    with torch.no_grad():
        for start in range(0, len(latents), CHUNK):
            points = prior.decode_points(torch.as_tensor(latents[start : start + CHUNK])).numpy()
            found.append(which_fold(points, prior.tetrahedra))
    return np.concatenate(found)


def normality(latents: Floats) -> dict[str, float]:
    """Largest deviation of an encoded set, (N, d), from N(0, I): of its mean, covariance, and Kolmogorov-Smirnov."""
    covariance = np.cov(latents.T)
    return {
        "latent_mean": round(float(np.abs(latents.mean(axis=0)).max()), 4),
        "latent_covariance": round(float(np.abs(covariance - np.eye(len(covariance))).max()), 4),
        "latent_ks": round(float(max(kstest(column, "norm").statistic for column in latents.T)), 4),
    }


def measured(prior: "Prior", held_out: Floats, kinds: Sequence[str], draws: int = 2000) -> dict[str, float]:
    """Figures for a prior's provenance, from coefficients (N, C) that the training has not seen."""
    errors, names = vertex_errors(prior, held_out), np.array(kinds)
    figures = {"vertex_error_um": errors.mean(), "vertex_error_99_um": np.quantile(errors, 0.99)}
    figures |= {f"vertex_error_{kind}_um": errors[names == kind].mean() for kind in sorted(set(kinds))}
    figures["folded_draws"] = folded(prior, prior.draws(draws, seed=1)).mean()
    rounded = {name: round(float(value), 5) for name, value in figures.items()}
    return {**rounded, **normality(prior.encode_coefficients(held_out))}
