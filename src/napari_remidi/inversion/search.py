"""From many starts to one answer: a tournament in a coarse model, the best ones in the full one, then simple axons.

A start decides which valley of the misfit an optimiser ends in, and most of its steps lead through terrain where a
rough signal shows the way as well. So every start descends in the coarse problem (few modes, a larger standard
deviation of the noise), the worse half is dropped after each round, and those left are refined in the full problem.

The full problem's mesh is still coarse, coarser than the prior's own unless there is next to no noise: its error of a
few thousandths of S0 would bend the shape. What it leaves out hardly depends on small changes of the shape, so it is
found where a refinement begins and ends, from finer meshes, and added to the prediction (deferred correction; the error
of linear elements falls with the square of the spacing, so four thirds of the difference to one of half the spacing are
what is left out: Richardson).

What a free descent finds is seldom simple, although a simple axon may explain the signal as well with far fewer numbers
(`simple`). So simple ones are fitted last, and one takes the place of the best free shape where Akaike's criterion
prefers it: misfit + 2 × the number of parameters that the signal determines.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from operator import attrgetter, itemgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_remidi.inversion.cell import CellProblem
from napari_remidi.inversion.levenberg_marquardt import Local, Point, Step, Target, descend, objective
from napari_remidi.inversion.noise import rician_mean
from napari_remidi.inversion.settings import Settings
from napari_remidi.inversion.simple import MOST_BEADS, SimpleProblem, simple_start
from napari_remidi.inversion.solution import Iterate
from napari_remidi.inversion.tissue import TissueProblem
from napari_remidi.physics.devices import workers
from napari_remidi.scan.normalisation import normalised_together

Floats = NDArray[np.float64]
AnyProblem = CellProblem | TissueProblem
NOISE_OFF = 1.3  # times too much or too little noise assumed, above which the best fit is refined with the better value
COARSE_SD = 0.01  # of S/S0, what the coarse problem's model leaves unexplained, and what smooths its terrain
ROUNDS = (3, 5)  # steps that starts take before the worse half of them is dropped
REFINED = 2  # starts that go on to the full problem
CORRECTIONS = 3  # of one refinement at most
NEGLIGIBLE = 1.0  # in units of χ², change of a correction or of the objective that moves no estimate beyond its error
OUT_OF_REACH = 10.0  # steps like its latest that a start is from the best one when it is given up
UNLIKELY = 4.0  # standard deviations of χ² above which a fit does not explain the signal, and more starts are tried


@dataclass(frozen=True)
class Effort:
    """What is spent on simple axons.

    Attributes
    ----------
    phases : places tried for the beads, for each number of them
    runs, kept : numbers of beads that descend in the coarse problem, and those that go on in the full one
    steps, full_steps : of the former and of the latter
    refined : of those kept, refined with all parameters
    """

    phases: int
    runs: int
    kept: int
    steps: int
    full_steps: int
    refined: int


EFFORT = Effort(phases=3, runs=4, kept=2, steps=8, full_steps=15, refined=0)
THOROUGH = Effort(phases=8, runs=MOST_BEADS + 1, kept=5, steps=20, full_steps=20, refined=3)
QUIET = 0.004  # of S0, noise so low that only the full problem can tell simple axons apart, and free ones near them


class Search:
    """The starts of one signal, and the best point so far."""

    def __init__(
        self,
        coarse: AnyProblem,
        rows: NDArray[np.int64],
        problem: AnyProblem,
        target: Target,
        settings: Settings,
    ) -> None:
        self.coarse, self.rows, self.problem, self.target = coarse, rows, _fine_enough(problem, target), target
        self.settings = settings
        self.best: Point | None = None
        self.best_objective = np.inf
        self.stop = "no progress"
        self.simple = False
        self.history: list[dict[str, Any]] = []
        self._simplified: Point | None = None
        self._started = 0
        self._fraction = 0.25

    def tournament(self, candidates: list[Point]) -> Iterator[Iterate]:
        """Let candidates of the coarse problem descend, refine the winner in the full one, keep the best of all.

        Where the winner does not explain the signal, simple axons are tried, and then the next ones.
        """
        rough = self._rough
        runs = [self._run("starting", self.coarse, rough, point, sum(ROUNDS)) for point in candidates]
        with workers(self.coarse.device) as each:
            for steps in ROUNDS:
                yield from self._walk(runs, steps, each)
                runs = sorted((run for run in runs if run.last is not None), key=attrgetter("objective"))
                runs = runs[: max(REFINED, len(runs) // 2)]
        for run in runs[:REFINED]:
            assert run.last is not None
            start = self.problem.point(run.last.point.parameters, run.last.point.rotation)
            if start is not None:
                yield from self._refine(start, run.number)
            if not self.explained:
                yield from self.simplify()
            if self.explained:
                return

    def _refine(self, point: Point, number: int) -> Iterator[Iterate]:
        """Descend from a point of the full problem, and again while its mesh's correction changes; keep what is best.

        A descent is given up where the best point so far is out of reach at its latest pace.
        """
        problem, last, left, gained = self.problem, None, self.settings.iterations, np.inf
        for correcting in range(CORRECTIONS):
            levels = min(1 + correcting, problem.template.levels)
            if left < 1 or (correcting >= problem.template.levels and gained < NEGLIGIBLE):
                break
            correction = problem.left_out(point, levels)
            change = correction - problem.correction
            if last is not None and ((change / self.target.noise_sd) ** 2).sum() < NEGLIGIBLE:
                break
            problem = problem.corrected(correction)
            point = replace(point, signal=point.signal + change)
            begun, before = objective(problem, self.target, point), np.inf
            for step in descend(problem, self.target, point, left):
                last, left = step, left - 1
                yield self._iterate("refining", step, number, problem, self.target)
                if step.accepted:
                    gain, before = before - step.objective, step.objective
                    if step.objective - self.best_objective > OUT_OF_REACH * gain:
                        return
            assert last is not None
            point, gained = last.point, begun - last.objective
        if last is not None:
            self._keep(last, problem)

    def with_noise(self, noise_sd: float) -> Iterator[Iterate]:
        """Refine the best point once more where the noise assumed so far is not what its residual says."""
        assert self.best is not None
        if 1 / NOISE_OFF < noise_sd / self.target.noise_sd < NOISE_OFF:
            return
        self.target = replace(self.target, noise_sd=noise_sd)
        self.problem, best = _fine_enough(self.problem, self.target), self.best
        start = self.problem.point(best.parameters, best.rotation)
        if start is not None:
            self.best_objective = np.inf
            yield from self._refine(start, self._started)

    def simplify(self) -> Iterator[Iterate]:
        """Fit simple axons; take the best where it explains the signal as well, and refine it where it is likelier."""
        if self.best is None or not isinstance(self.coarse, CellProblem) or self.coarse.template.prior.basis.length:
            return
        if self._simplified is self.best:
            return
        self._simplified = self.best
        effort = THOROUGH if self.target.noise_sd < QUIET else EFFORT
        begun = partial(self._simple_start, self.best, effort.phases)
        with workers(self.coarse.device) as each:
            starts = [start for start in each(begun, range(MOST_BEADS + 1)) if start]
            starts = sorted(starts, key=itemgetter(0))[: effort.runs]
            rough = self._rough
            runs = [self._run("simplifying", simple, rough, point, effort.steps) for _, simple, point in starts]
            yield from self._walk(runs, effort.steps, each)
            runs = sorted((run for run in runs if run.last is not None), key=attrgetter("objective"))[: effort.kept]
            runs = [run for run in each(self._in_full, runs) if run is not None]
            yield from self._walk(runs, effort.full_steps, each)
        runs = sorted((run for run in runs if run.last is not None), key=attrgetter("objective"))
        for run in runs[: effort.refined]:
            yield from self._refined(run)
        if not runs:
            return
        run = runs[0]
        if self._prefers(run):
            yield from self._walk([run], self.settings.iterations, map)
            self.problem, self.best = self._cell_of(run)
            self.best_objective = objective(self.problem, self.target, self.best)
            self.simple, self.stop, self._simplified = True, run.stop, self.best
        elif not effort.refined:
            problem, point = self._cell_of(run)
            if objective(problem, self.target, point) < self.best_objective:
                yield from self._refined(run)

    def _refined(self, run: "_Run") -> Iterator[Iterate]:
        """Go on from a simple axon with all parameters."""
        point = self._cell_of(run)[1]
        start = self.problem.point(point.parameters, point.rotation)
        if start is not None:
            yield from self._refine(start, run.number)

    def _prefers(self, run: "_Run") -> bool:
        """Whether Akaike's criterion prefers a simple axon to the best point."""
        assert self.best is not None
        assert run.last is not None
        assert isinstance(run.problem, SimpleProblem)
        hessian, precision = Local.at(self.problem, self.target, self.best).hessian, np.diag(self.problem.precision)
        determined = float(np.trace(np.linalg.solve(hessian, hessian - precision)))
        misfit, simple = ((self.target.residual(x.signal) ** 2).sum() for x in (self.best, run.last.point))
        return bool(simple + 2 * run.problem.numbers <= misfit + 2 * determined)

    def _cell_of(self, run: "_Run") -> tuple[CellProblem, Point]:
        """Where a simple axon's descent stands, in the problem of all shapes."""
        assert isinstance(run.problem, SimpleProblem)
        assert run.last is not None
        return run.problem.cell, run.last.point.shape

    def _simple_start(self, like: Point, phases: int, beads: int) -> tuple[float, SimpleProblem, Point] | None:
        """The best start with so many beads in the coarse problem, or none that is a shape."""
        assert isinstance(self.coarse, CellProblem)
        simple, points = simple_start(self.coarse, like, beads, phases)
        rough = self._rough
        found = [(objective(simple, rough, point), simple, point) for point in points]
        return min(found, key=itemgetter(0), default=None)

    def _in_full(self, run: "_Run") -> "_Run | None":
        """A simple axon's descent, to go on in the full problem."""
        assert isinstance(run.problem, SimpleProblem)
        assert isinstance(self.problem, CellProblem)
        assert run.last is not None
        simple, last = run.problem.on(self.problem), run.last.point
        point = simple.point(last.parameters, last.rotation)
        if point is not None:
            left_out = self.problem.left_out(point.shape, self.problem.template.levels)
            simple = simple.on(self.problem.corrected(left_out))
            point = simple.point(last.parameters, last.rotation)
        if point is None:
            return None
        return _Run(
            run.number, run.stage, simple, self.target, descend(simple, self.target, point, self.settings.iterations)
        )

    @property
    def _rough(self) -> Target:
        """Of the coarse problem."""
        noise_sd = float(np.hypot(self.target.noise_sd, COARSE_SD))
        return Target(self.target.signal[self.rows], noise_sd, normalised_together(self.coarse.protocol))

    def _run(
        self, stage: str, problem: "AnyProblem | SimpleProblem", target: Target, point: Point, steps: int
    ) -> "_Run":
        self._started += 1
        return _Run(self._started, stage, problem, target, descend(problem, target, point, steps))

    def _walk(self, runs: "list[_Run]", steps: int, each: Callable[..., Iterator[Any]]) -> Iterator[Iterate]:
        """Let runs advance together."""
        for _ in range(steps):
            for run, step in zip(runs, each(_Run.advance, runs), strict=True):
                if step is not None:
                    yield self._iterate(run.stage, step, run.number, run.problem, run.target)

    @property
    def explained(self) -> bool:
        """Whether the best point's χ² is one that noise alone would give."""
        if self.best is None:
            return False
        return self.chi2_per_dof(self.best) < 1 + UNLIKELY * np.sqrt(2 / _degrees(self.problem, self.best))

    def chi2_per_dof(self, point: Point, target: Target | None = None) -> float:
        """Misfit in units of the Rician standard deviation, per degree of freedom."""
        return _chi2_per_dof(self.problem, point, target or self.target)

    def _keep(self, step: Step, problem: AnyProblem) -> None:
        if step.objective < self.best_objective:
            self.best, self.best_objective, self.problem, self.simple = step.point, step.objective, problem, False
            self.stop = step.stop or "budget"

    def _iterate(
        self, stage: str, step: Step, start: int, problem: "AnyProblem | SimpleProblem", target: Target
    ) -> Iterate:
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
        expected = self.settings.starts * sum(ROUNDS) / 2 + 12
        self._fraction = min(0.99, max(self._fraction, 0.25 + 0.75 * len(self.history) / expected))
        points = problem.shape_of(step.point).points.cpu().numpy() @ step.point.rotation.T
        count = max(self.settings.starts, start)
        what = {"starting": f"start {start} of {count}", "simplifying": "a simple axon"}.get(
            stage, "refining the best start"
        )
        return Iterate(
            stage=stage,
            message=f"{what}, step {len(self.history)}: χ²/dof {chi2:.2f}",
            fraction=self._fraction,
            iteration=len(self.history),
            start=start,
            n_starts=count,
            points=points,
            faces=np.asarray(problem.template.prior.boundary),
            signal=rician_mean(step.point.signal, target.noise_sd) if target is self.target else None,
            chi2_per_dof=chi2,
        )


def _fine_enough(problem: AnyProblem, target: Target) -> AnyProblem:
    """The problem, or where there is next to no noise the same on the prior's own mesh."""
    return problem.finer if target.noise_sd < QUIET and problem.template.beyond else problem


def _degrees(problem: AnyProblem | SimpleProblem, point: Point) -> int:
    return max(int((~problem.protocol.is_b0).sum()) - len(point.parameters), 1)


def _chi2_per_dof(problem: AnyProblem | SimpleProblem, point: Point, target: Target) -> float:
    return target.chi2(point.signal, ~problem.protocol.is_b0) / _degrees(problem, point)


@dataclass(eq=False)
class _Run:
    """A start that descends a step at a time."""

    number: int
    stage: str
    problem: AnyProblem | SimpleProblem
    target: Target
    steps: Iterator[Step]
    last: Step | None = None

    @property
    def objective(self) -> float:
        return np.inf if self.last is None else self.last.objective

    @property
    def stop(self) -> str:
        return (self.last and self.last.stop) or "budget"

    def advance(self) -> Step | None:
        """Take a step, or none where it has come to its end."""
        step = next(self.steps, None)
        self.last = step or self.last
        return step
