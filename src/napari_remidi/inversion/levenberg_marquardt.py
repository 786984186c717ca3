"""Levenberg-Marquardt for a maximum a posteriori estimate.

Minimises Σ (E|S(θ)| − y)²/σ² + Σ (θ − μ)²/s². The step solves (H + damping · diagonal) dθ = −gradient with the
Gauss-Newton Hessian H = JᵀJ/σ² + 1/s², with what earlier steps taught about its second-order part where that foretold
the latest step better (Dennis, Gay and Welsch 1981); the damping follows the gain ratio (Nielsen 1999). A `Problem`
says what a point is, what it predicts and along which curve a step leaves it, and refuses points that are no shape
(None), which damps the step like any other failure.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from napari_remidi.inversion.noise import rician_mean, rician_mean_slope, rician_sd

Floats = NDArray[np.float64]
START_DAMPING = 1e-2
LARGEST_DAMPING = 1e7
RETURNS, RETURN_DAMPING = 2, 1e-1
ENOUGH = 0.75  # of what a step promised, above which it needs no return
# a step that promises to lower the objective by less (in units of χ², and relative to it) is not worth taking; twice as
# much after every one that did not hold what it promised
CONVERGED, CONVERGED_RELATIVE = 0.1, 1e-4


@dataclass(frozen=True, eq=False)
class Point:
    """A place in parameter space and what it predicts.

    Attributes
    ----------
    parameters : (P,)
    rotation : (3, 3), body to world; its parameters in `parameters` are increments and stay zero
    signal : (M,) predicted S/S0, free of noise
    shape : what the problem needs to linearise here
    """

    parameters: Floats
    rotation: Floats
    signal: Floats
    shape: Any


class Problem(Protocol):
    """What the optimiser needs to know."""

    @property
    def mean(self) -> Floats:
        """Of the prior, (P,)."""

    @property
    def precision(self) -> Floats:
        """Of the prior, (P,)."""

    def moved(self, point: Point, step: Floats) -> Point | None:
        """The point after a step of first order, or None where it is no valid shape."""

    def jacobian(self, point: Point) -> Floats:
        """Derivative of the signal, (M, P)."""


@dataclass(frozen=True, eq=False)
class Step:
    """One iteration's outcome.

    Attributes
    ----------
    point : where the iterate stands
    objective : −2 log posterior up to a constant
    damping : of the step
    accepted : whether the step was taken
    stop : why the iteration ends here, or None
    """

    point: Point
    objective: float
    damping: float
    accepted: bool
    stop: str | None


@dataclass(frozen=True, eq=False)
class Target:
    """The measurement to explain.

    Attributes
    ----------
    signal : (M,) S/S0
    noise_sd : of S/S0
    series : rows that one mean of n b = 0 measurements has normalised, and n. The error of that mean is a factor that
        they have in common, one with a standard deviation of noise_sd / √n; it multiplies the prediction and is
        eliminated exactly. (As a covariance of the measured values it would draw a bad fit below all of the data:
        Peelle's puzzle; D'Agostini, NIM A 1994.)
    """

    signal: Floats
    noise_sd: float
    series: tuple[tuple[NDArray[np.int64], int], ...] = ()

    def residual(self, predicted: Floats) -> Floats:
        """In units of the noise: (M,) of the measurements, then one of the factor of every series."""
        return self._residual(predicted, np.full(len(predicted), self.noise_sd))

    def weighted(self, predicted: Floats, jacobian: Floats) -> Floats:
        """Derivative of `residual`, from that of the predicted signal, (M, P): (M + series, P).

        The part that the factors would take up is projected out (Golub and Pereyra 1973, Kaufman 1975).
        """
        mean = rician_mean(predicted, self.noise_sd) / self.noise_sd
        change = jacobian * (rician_mean_slope(predicted, self.noise_sd) / self.noise_sd)[:, None]
        taken = []
        for (rows, _), factor, tie in self._factors(mean, self.signal / self.noise_sd):
            m = mean[rows]
            share = factor * (m @ change[rows]) / (m @ m + tie**2)
            change[rows] = factor * change[rows] - np.multiply.outer(m, share)
            taken.append(-tie * share)
        return np.concatenate([change, np.reshape(taken, (len(taken), change.shape[1]))])

    def chi2(self, predicted: Floats, rows: NDArray[np.bool_]) -> float:
        """Misfit of some measurements, and of their factors, in units of the Rician standard deviation of each."""
        squares = self._residual(predicted, rician_sd(predicted, self.noise_sd)) ** 2
        return float(squares[: len(rows)][rows].sum() + squares[len(rows) :].sum())

    def _residual(self, predicted: Floats, sd: Floats) -> Floats:
        mean, measured = rician_mean(predicted, self.noise_sd) / sd, self.signal / sd
        misfit, strain = mean - measured, []
        for (rows, _), factor, tie in self._factors(mean, measured):
            misfit[rows] = factor * mean[rows] - measured[rows]
            strain.append(tie * (factor - 1))
        return np.concatenate([misfit, strain])

    def _factors(self, mean: Floats, measured: Floats) -> Iterator[tuple[tuple[NDArray[np.int64], int], float, float]]:
        """Every series, the factor that fits it best, and how tightly that is tied to one."""
        for rows, count in self.series:
            tie, m = np.sqrt(count) / self.noise_sd, mean[rows]
            yield (rows, count), float((m @ measured[rows] + tie**2) / (m @ m + tie**2)), tie


def objective(problem: Problem, target: Target, point: Point) -> float:
    """−2 log posterior up to a constant."""
    prior = ((point.parameters - problem.mean) ** 2 * problem.precision).sum()
    return float((target.residual(point.signal) ** 2).sum() + prior)


def descend(
    problem: Problem, target: Target, start: Point, iterations: int, converged: float = CONVERGED
) -> Iterator[Step]:
    """Yield every iteration; the last one's `stop` is "converged", "no progress" or "budget"."""
    point, damping, growth = start, START_DAMPING, 2.0
    value = objective(problem, target, point)
    local = Local.at(problem, target, point)
    bending, believed = np.zeros_like(local.hessian), 0.0
    broken = 0  # promises since the latest step that was taken
    for iteration in range(1, iterations + 1):
        used = damping
        step, promised = _step(local, believed * bending, damping)
        if promised < 2**broken * max(converged, CONVERGED_RELATIVE * value) and damping <= 1:
            yield Step(point, value, damping, False, "converged")
            return
        trial = problem.moved(point, step)
        first_value = trial_value = np.inf if trial is None else objective(problem, target, trial)
        walked = step
        for _ in range(RETURNS):
            if trial is None or value - trial_value > ENOUGH * promised:
                break
            more = _return(local, problem, target, trial, damping)
            back = problem.moved(trial, more)
            back_value = np.inf if back is None else objective(problem, target, back)
            if back_value >= trial_value:
                break
            trial, trial_value, walked = back, back_value, walked + more
        accepted = trial is not None and trial_value < value
        if np.isfinite(first_value):
            surprise = value - first_value + 2 * local.gradient @ step + step @ local.hessian @ step
            bent = float(step @ bending @ step)
            believed = float(abs(surprise + bent) < abs(surprise))
        if accepted and trial is not None:
            gain = (value - trial_value) / promised
            damping *= max(1 / 5, 1 - (2 * gain - 1) ** 3)
            growth, broken = 2.0, 0
            point, value = trial, trial_value
        else:
            damping, growth, broken = damping * growth, growth * 2, broken + 1
        stop = "no progress" if damping > LARGEST_DAMPING else "budget" if iteration == iterations else None
        yield Step(point, value, used, accepted, stop)
        if stop:
            return
        if accepted:
            before, local = local, Local.at(problem, target, point)
            bending = _bent(bending, before, local, walked)


@dataclass(frozen=True, eq=False)
class Local:
    """The objective's first-order model at a point.

    Attributes
    ----------
    jacobian : (M + series, P) of the residual
    residual : (M + series,) in units of the noise
    hessian : (P, P) Gauss-Newton, of half the objective
    gradient : (P,) of half the objective
    """

    jacobian: Floats
    residual: Floats
    hessian: Floats
    gradient: Floats

    @classmethod
    def at(cls, problem: Problem, target: Target, point: Point) -> "Local":
        """Linearise a problem."""
        jacobian = target.weighted(point.signal, problem.jacobian(point))
        residual = target.residual(point.signal)
        hessian = jacobian.T @ jacobian + np.diag(problem.precision)
        gradient = jacobian.T @ residual + problem.precision * (point.parameters - problem.mean)
        return cls(jacobian, residual, hessian, gradient)


def _step(local: Local, bending: Floats, damping: float) -> tuple[Floats, float]:
    """The damped step, and by how much it should lower the objective."""
    scale = np.sqrt(np.diag(local.hessian))
    values, vectors = np.linalg.eigh((local.hessian + bending) / np.outer(scale, scale))
    values = np.maximum(np.abs(values), 1e-6)
    along = vectors.T @ (local.gradient / scale)
    moved = -along / (values + damping)
    promised = float((-2 * along * moved - values * moved**2).sum())
    return vectors @ moved / scale, promised


def _return(local: Local, problem: Problem, target: Target, trial: Point, damping: float) -> Floats:
    """The step from a trial back to the floor of a curved valley: by the derivatives that led to it, and damped so much
    that it moves what the signal knows well (Fan, Math. Comp. 81:447, 2012).
    """
    gradient = local.jacobian.T @ target.residual(trial.signal)
    gradient = gradient + problem.precision * (trial.parameters - problem.mean)
    return _step(replace(local, gradient=gradient), np.zeros_like(local.hessian), max(damping, RETURN_DAMPING))[0]


def _bent(bending: Floats, before: Local, after: Local, step: Floats) -> Floats:
    """Second-order part of the Hessian, Σ r ∇²r, learnt from a step (Dennis, Gay and Welsch 1981).

    A bend or wave that is nearly straight changes the signal by its square: Gauss-Newton sees no curvature there,
    overshoots, and its damping would slow every other parameter down.
    """
    change = after.gradient - before.gradient
    scaled = float(change @ step)
    if scaled <= 1e-12:
        return bending
    secant = (after.jacobian - before.jacobian).T @ after.residual
    known = float(step @ bending @ step)
    if known != 0:
        bending = bending * min(1.0, abs(float(step @ secant)) / abs(known))
    missing = secant - bending @ step
    cross = np.outer(missing, change)
    return bending + (cross + cross.T) / scaled - (missing @ step) * np.outer(change, change) / scaled**2
