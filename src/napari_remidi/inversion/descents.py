"""Descents of many starts side by side, in a coarse problem and in the full one, and the best point so far.

The full problem's mesh is still coarse, coarser than the prior's own unless there is next to no noise: its error of a
few thousandths of S0 would bend the shape. What it leaves out hardly depends on small changes of the shape, so it is
found where a refinement begins and ends, from finer meshes, and added to the prediction (deferred correction; the error
of linear elements falls with the square of the spacing, so four thirds of the difference to one of half the spacing are
what is left out: Richardson).
"""

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, replace
from functools import partial
from operator import attrgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_remidi.inversion.cell import CellProblem
from napari_remidi.inversion.levenberg_marquardt import CONVERGED, Point, Step, Target, descend, objective
from napari_remidi.inversion.noise import rician_mean
from napari_remidi.inversion.settings import Settings
from napari_remidi.inversion.simple import SimpleProblem
from napari_remidi.inversion.solution import Iterate
from napari_remidi.inversion.tissue import TissueProblem
from napari_remidi.physics.devices import at_once
from napari_remidi.scan.normalisation import normalised_together

AnyProblem = CellProblem | TissueProblem
COARSE_SD = 0.01  # of S/S0, what the coarse problem's model leaves unexplained, and what smooths its terrain
CORRECTIONS = 3  # of one refinement at most
NEGLIGIBLE = 1.0  # in units of χ², change of a correction or of the objective that moves no estimate beyond its error
LITTLE = 8.0  # in units of the noise, a mesh's correction to which finer meshes add no more than 1.5 such units
OUT_OF_REACH = 10.0  # steps like its latest that a start is from the best one when it is given up
FAR = 3.0  # the same of a start that descends to a minimum well known
UNLIKELY = 4.0  # standard deviations of χ² above which a fit does not explain the signal
QUIET = 0.004  # of S0, noise so low that only the prior's own mesh can tell shapes apart
STEPS = 4  # of a start, about, for the share done


@dataclass(eq=False)
class Run:
    """A start that descends a step at a time; `gained` is what the latest step that led down did."""

    number: int
    stage: str
    problem: AnyProblem | SimpleProblem
    target: Target
    steps: Iterator[Step]
    begun: float
    last: Step | None = None
    gained: float = np.inf

    @property
    def objective(self) -> float:
        """Of its latest step, or where it begins."""
        return self.begun if self.last is None else self.last.objective

    @property
    def stop(self) -> str:
        """Why it ended."""
        return (self.last and self.last.stop) or "budget"

    @classmethod
    def of(
        cls,
        number: int,
        stage: str,
        problem: AnyProblem | SimpleProblem,
        target: Target,
        point: Point,
        steps: int,
        enough: float = CONVERGED,
    ) -> "Run":
        """From a point, of so many steps at most, and none that promises to gain less than enough."""
        descent = descend(problem, target, point, steps, enough)
        return cls(number, stage, problem, target, descent, objective(problem, target, point))

    def advance(self) -> Step | None:
        """Take a step, or none where it has come to its end."""
        step, before = next(self.steps, None), self.objective
        self.last = step or self.last
        if step and step.accepted:
            self.gained = before - step.objective
        return step


class Descents:
    """What a search knows of one signal.

    Attributes
    ----------
    coarse, rows : the coarse problem, and its measurements
    problem : the full one, with the correction of the best point
    target : the signal
    best, best_objective, stop, simple : the best point, why its descent ended and whether it is a simple axon
    history : every iteration
    """

    def __init__(
        self,
        coarse: AnyProblem,
        rows: NDArray[np.int64],
        problem: AnyProblem,
        target: Target,
        settings: Settings,
    ) -> None:
        self.coarse, self.rows, self.problem, self.target = coarse, rows, fine_enough(problem, target), target
        self.settings = settings
        self.best: Point | None = None
        self.best_objective = np.inf
        self.stop = "no progress"
        self.simple = False
        self.history: list[dict[str, Any]] = []
        self.started = 0
        self._share = 0.25

    def refine(self, point: Point, number: int) -> Iterator[Iterate]:
        """Descend from a point of the full problem, and again while its mesh's correction changes; keep what is best.

        A descent is given up where the best point so far is out of reach at its latest pace.
        """
        problem, last, left, gained = self.problem, None, self.settings.iterations, np.inf
        try:
            for correcting in range(CORRECTIONS):
                levels = min(1 + correcting, problem.template.levels)
                if left < 1 or (correcting >= problem.template.levels and gained < NEGLIGIBLE):
                    break
                if last is not None and (np.square(problem.correction / self.target.noise_sd)).sum() < NEGLIGIBLE:
                    break
                left_out = partial(problem.left_out, point, levels, LITTLE * self.target.noise_sd)
                # the derivatives, which the descent begins with, do not depend on it
                correction, _ = at_once(problem.device, left_out, partial(problem.jacobian, point))
                change = correction - problem.correction
                if last is not None and ((change / self.target.noise_sd) ** 2).sum() < NEGLIGIBLE:
                    break
                problem = problem.corrected(correction)
                point = replace(point, signal=point.signal + change)
                begun, before = objective(problem, self.target, point), np.inf
                enough = CONVERGED if levels == problem.template.levels else NEGLIGIBLE
                for step in descend(problem, self.target, point, left, enough):
                    last, left = step, left - 1
                    yield self.iterate("refining", step, number, problem, self.target)
                    if step.accepted:
                        gain, before = before - step.objective, step.objective
                        if step.objective - self.best_objective > OUT_OF_REACH * gain:
                            return
                assert last is not None
                point, gained = last.point, begun - last.objective
        finally:  # also where it is cancelled
            if last is not None:
                self.keep(last, problem)

    @property
    def rough(self) -> Target:
        """Of the coarse problem."""
        noise_sd = float(np.hypot(self.target.noise_sd, COARSE_SD))
        return Target(self.target.signal[self.rows], noise_sd, normalised_together(self.coarse.protocol))

    def numbered(self) -> int:
        """The number of the next start."""
        self.started += 1
        return self.started

    def run(
        self,
        stage: str,
        problem: "AnyProblem | SimpleProblem",
        target: Target,
        point: Point,
        steps: int,
        enough: float = CONVERGED,
    ) -> Run:
        """A start, numbered."""
        return Run.of(self.numbered(), stage, problem, target, point, steps, enough)

    def walk(
        self, runs: "list[Run]", steps: int, each: Callable[..., Iterator[Any]]
    ) -> Generator[Iterate, None, list[Run]]:
        """Let runs advance together; returns them, the best first."""
        for _ in range(steps):
            for run, step in zip(runs, each(Run.advance, runs), strict=True):
                if step is not None:
                    yield self.iterate(run.stage, step, run.number, run.problem, run.target)
        return sorted(runs, key=attrgetter("objective"))

    def race(
        self, runs: "list[Run]", steps: int, each: Callable[..., Iterator[Any]], goal: float = np.inf
    ) -> Generator[Iterate, None, list[Run]]:
        """The same, but those that cannot overtake the best one at their latest pace drop out, and those that are far
        from a goal, an objective.
        """
        for _ in range(steps):
            runs = yield from self.walk(runs, 1, each)
            runs = [
                run
                for run in runs
                if run.objective - runs[0].objective <= OUT_OF_REACH * run.gained
                and run.objective - goal <= FAR * run.gained
            ]
        return runs

    @property
    def explained(self) -> bool:
        """Whether the best point's χ² is one that noise alone would give."""
        if self.best is None:
            return False
        return self.chi2_per_dof(self.best) < 1 + UNLIKELY * np.sqrt(2 / _degrees(self.problem, self.best))

    def chi2_per_dof(self, point: Point, target: Target | None = None) -> float:
        """Misfit in units of the Rician standard deviation, per degree of freedom."""
        return _chi2_per_dof(self.problem, point, target or self.target)

    def keep(self, step: Step, problem: AnyProblem) -> None:
        """Let a step's point be the best where it is."""
        if step.objective < self.best_objective:
            self.best, self.best_objective, self.problem, self.simple = step.point, step.objective, problem, False
            self.stop = step.stop or "budget"

    def iterate(
        self, stage: str, step: Step, start: int, problem: "AnyProblem | SimpleProblem", target: Target
    ) -> Iterate:
        """What there is to tell of a step, and to remember."""
        chi2 = _chi2_per_dof(problem, step.point, target)
        self.history.append(
            {
                "start": start,
                "stage": stage,
                "iteration": len(self.history) + 1,
                "objective": step.objective,
                "chi2_per_dof": chi2,
                "damping": step.damping,
                "accepted": step.accepted,
            }
        )
        self._share = min(0.99, max(self._share, 0.25 + 0.75 * len(self.history) / (self.settings.starts * STEPS + 12)))
        points = problem.shape_of(step.point).points.cpu().numpy() @ step.point.rotation.T
        count = max(self.settings.starts, start)
        what = {"starting": f"start {start} of {count}", "simplifying": "a simple axon"}.get(
            stage, "refining the best start"
        )
        return Iterate(
            stage=stage,
            message=f"{what}, step {len(self.history)}: χ²/dof {chi2:.2f}",
            fraction=self._share,
            iteration=len(self.history),
            start=start,
            n_starts=count,
            points=points,
            faces=np.asarray(problem.template.prior.boundary),
            signal=rician_mean(step.point.signal, target.noise_sd) if target is self.target else None,
            chi2_per_dof=chi2,
        )


def fine_enough(problem: AnyProblem, target: Target) -> AnyProblem:
    """The problem, or where there is next to no noise the same on the prior's own mesh."""
    return problem.quiet if target.noise_sd < QUIET else problem


def _degrees(problem: AnyProblem | SimpleProblem, point: Point) -> int:
    return max(int((~problem.protocol.is_b0).sum()) - len(point.parameters), 1)


def _chi2_per_dof(problem: AnyProblem | SimpleProblem, point: Point, target: Target) -> float:
    return target.chi2(point.signal, ~problem.protocol.is_b0) / _degrees(problem, point)
