"""What an inversion yields on its way, and at its end."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
CANCELLED = "cancelled"  # why a run stopped


@dataclass(frozen=True, eq=False)
class Iterate:
    """Where a running inversion stands, for a window or a progress bar.

    Attributes
    ----------
    stage : "preparing", "preview", "starting", "refining" or "simplifying"
    message : one line for people
    fraction : 0 to 1, of the work expected
    iteration : Levenberg-Marquardt steps so far, all starts together
    start, n_starts : which start is refined, from 1, and of how many
    points : (n, 3) µm, world axes, centred; None before the first shape
    faces : (k, 3) surface triangles, outward
    signal : (M,) predicted S/S0, or None
    chi2_per_dof : of the prediction, or NaN
    """

    stage: str
    message: str
    fraction: float
    iteration: int = 0
    start: int = 0
    n_starts: int = 0
    points: Floats | None = None
    faces: NDArray[np.int64] | None = None
    signal: Floats | None = None
    chi2_per_dof: float = float("nan")


@dataclass(frozen=True, eq=False)
class Solution:
    """The maximum a posteriori shape, with its uncertainty and how it was found.

    Attributes
    ----------
    points : (n, 3) µm, world axes, centred on the node mean
    tetrahedra : (m, 4)
    faces : (k, 3) surface triangles, outward
    signal : (M,) fitted S/S0, with the Rician mean at the fitted noise
    latent : (d,)
    rotation : (3, 3) body to world
    diffusivity : µm²/ms, inside the axon
    fractions : {"intra", "extra", "free"}, share of the signal at b = 0
    compartments : the other fitted values, by name and unit
    covariance : (P, P) of latent, rotation vector and the rest
    vertex_sd : (n,) µm
    radii : (S,) µm, equivalent radius along the axis (with open ends: of the middle half, where the spins are)
    history : one dict per iteration: start, iteration, objective, chi2_per_dof, damping, accepted
    chi2_per_dof : misfit in units of the noise; about one by itself where the noise is estimated from the residual
    variance_explained : 1 − Σ(y − S)² / Σ(y − ȳ)²
    noise_sd, noise_source : the noise of S/S0 used, and where it came from
    iterations : accepted and refused steps, all starts together
    stop_reason : "converged", "no progress", "budget", or "cancelled" for the best point of a run that was
    seconds : wall time
    settings : `Settings.to_dict()`
    device : where it ran
    quantities : name -> {"value", "sd", "low", "high", "unit"}, see `samples.with_intervals`
    fit : the tests of the fit, see `fit.goodness_of_fit`
    symmetry : how the shape is symmetric, in words, or None
    simple : whether it is a simple axon (`simple`) that explains the signal as well as any
    """

    points: Floats
    tetrahedra: NDArray[np.int64]
    faces: NDArray[np.int64]
    signal: Floats
    latent: Floats
    rotation: Floats
    diffusivity: float
    fractions: dict[str, float]
    compartments: dict[str, float]
    covariance: Floats
    vertex_sd: Floats
    radii: Floats
    history: tuple[dict[str, Any], ...]
    chi2_per_dof: float
    variance_explained: float
    noise_sd: float
    noise_source: str
    iterations: int
    stop_reason: str
    seconds: float
    settings: dict[str, Any]
    device: str
    quantities: dict[str, dict[str, Any]]
    fit: dict[str, Any]
    symmetry: str | None
    simple: bool = False
