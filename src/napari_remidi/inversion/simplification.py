"""Simple axons in the place of a free shape.

What a free descent finds is seldom simple, although a simple axon may explain the signal as well with far fewer
numbers. Straight ones are tried first, then those that keep the bends of the free shape.

A straight one takes its place where its evidence is the greater, the share of each prior that explains the signal (by
Laplace's method, MacKay, Neural Comput. 4:415, 1992): −2 log evidence = objective + log |H| − log |prior precision|.
Bends that are kept are many numbers that nobody has counted. There Akaike's criterion decides, misfit + 2 × the number
of parameters that the signal determines, which does not count them on the other side either.
"""

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, replace
from functools import partial
from operator import attrgetter, itemgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_remidi.inversion.cell import CellProblem
from napari_remidi.inversion.descents import QUIET, UNLIKELY, AnyProblem, Descents, Run
from napari_remidi.inversion.levenberg_marquardt import Local, Point, objective
from napari_remidi.inversion.posterior import known
from napari_remidi.inversion.simple import MOST_BEADS, SimpleProblem, simple_start
from napari_remidi.inversion.solution import Iterate
from napari_remidi.inversion.starts import principal_axis
from napari_remidi.physics.devices import workers
from napari_remidi.scan.asymmetry import asymmetry

Floats = NDArray[np.float64]
STAGE = "simplifying"
FINISHED = 0.3  # in units of χ², what a step must promise to be taken: it has few, well known parameters


@dataclass(frozen=True)
class Round:
    """Steps in the coarse problem, how many numbers of beads go on after these, and how far these may be behind the
    free shape, in units of χ²; the best of them half as far.
    """

    steps: int
    kept: int
    behind: float = np.inf


@dataclass(frozen=True)
class Effort:
    """What is spent on simple axons.

    Attributes
    ----------
    phases : places tried for the beads, for each number of them
    straight, bent : rounds in the coarse problem; without any, none are fitted
    full_steps : in the full problem
    behind : the free shape, in units of χ², that a simple axon may be in the full problem, or within reach of being
    nearby : rounds in the full problem of patterns like the best one, every one corrected before each round
    """

    phases: int
    straight: tuple[Round, ...]
    bent: tuple[Round, ...]
    full_steps: int
    behind: float = np.inf
    nearby: tuple[Round, ...] = ()


# where one was preferred in the end, the best was never farther behind than 115 after a step, 11 after two, 4 after
# seven; nor its number of beads farther down than sixth at first and fourth after a step
ROUNDS = (Round(0, 6), Round(1, 4, 400.0), Round(1, 3, 60.0), Round(1, 3, 20.0), Round(4, 2, 10.0))
EFFORT = Effort(1, ROUNDS, (), full_steps=10, behind=50.0)
LONG = (Round(8, 9), Round(12, 5, 40.0))
NEARBY = (Round(3, 3), Round(4, 2), Round(8, 1))
THOROUGH = Effort(8, LONG, LONG, full_steps=8, nearby=NEARBY)
FITTED = 2  # that are compared with the best point, or refined


class Simplification(Descents):
    """Descents of simple axons."""

    _simplified: Point | None = None

    def simplify(self) -> Iterator[Iterate]:
        """Fit simple axons; take the best where it is likelier than the best point so far."""
        if self.best is None or not isinstance(self.coarse, CellProblem) or self.coarse.template.prior.basis.length:
            return
        if self._simplified is self.best:
            return
        self._simplified = self.best
        effort = THOROUGH if self.target.noise_sd < QUIET else EFFORT
        runs = yield from self._fitted(True, effort)
        if runs and self._likelier(runs[0]):
            yield from self._take(runs[0])
            if not self.explained:
                yield from self._refined(runs[0])
            return
        runs = yield from self._fitted(False, effort)
        for run in runs:
            yield from self._refined(run)
        if runs and self._preferred(runs[0]):
            yield from self._take(runs[0])

    def _fitted(self, straight: bool, effort: Effort) -> Generator[Iterate, None, list[Run]]:
        """Simple axons near the best point, fitted in the full problem, the best first; none where they are no match
        for it.
        """
        assert self.best is not None
        rounds = effort.straight if straight else effort.bent
        if not rounds:
            return []
        if straight and not self._may_be_straight():
            return []
        free = self._coarse_misfit(self.best)
        with workers(self.coarse.device) as each:
            begun = partial(self._start, self.best, effort.phases, straight)
            starts = [start for start in each(begun, range(MOST_BEADS + 1)) if start]
            starts, rough, steps = sorted(starts, key=itemgetter(0)), self.rough, sum(r.steps for r in rounds)
            runs = [self.run(STAGE, simple, rough, point, steps, FINISHED) for _, simple, point in starts]
            for each_round in rounds:
                runs = yield from self.walk(runs, each_round.steps, each)
                if not runs or runs[0].objective > free + each_round.behind / 2:
                    return []
                runs = [run for run in runs[: each_round.kept] if run.objective < free + each_round.behind]
            beyond = self._beyond()
            runs = [run for run in each(partial(self._in_full, beyond), map(_place, runs)) if run is not None]
            goal = self.best_objective + effort.behind
            runs = (yield from self.race(runs, effort.full_steps, each, goal))[:FITTED]
            if runs and effort.nearby:
                runs += yield from self._nearby(runs[0], effort.nearby, beyond, each)
        return sorted(runs, key=attrgetter("objective"))

    def _nearby(
        self, run: Run, rounds: tuple[Round, ...], beyond: Floats, each: Callable[..., Iterator[Any]]
    ) -> Generator[Iterate, None, list[Run]]:
        """Patterns of about as many beads as a simple axon has, fitted in the full problem; then of about as many as
        the best of them has, while there is a better one.

        What the mesh leaves out depends on the pattern, so a wrong one that was corrected early wins over the right one
        that was not.
        """
        found: list[Run] = []
        tried: set[int] = set()
        best: Run | None = run
        while best is not None:
            _, problem, point = _place(best)
            counts = problem.counts_near(point) - tried
            tried |= counts
            places = [(self.numbered(), *place) for count in sorted(counts) for place in problem.begun(point, count)]
            runs: list[Run] = []
            for each_round in rounds:
                runs = [run for run in each(partial(self._in_full, beyond), places) if run is not None]
                runs = (yield from self.walk(runs, each_round.steps, each))[: each_round.kept]
                places = [_place(run) for run in runs]
            found += runs
            best = next((run for run in runs if run.objective < best.objective), None)
        return found

    def _take(self, run: Run) -> Iterator[Iterate]:
        """Let a simple axon descend to the end, and be the best point."""
        yield from self.walk([run], self.settings.iterations, map)
        self.problem, self.best = _cell_of(run)
        self.best_objective = objective(self.problem, self.target, self.best)
        self.simple, self.stop, self._simplified = True, run.stop, self.best

    def _refined(self, run: Run) -> Iterator[Iterate]:
        """Go on from a simple axon with all parameters."""
        point = _cell_of(run)[1]
        start = self.problem.point(point.parameters, point.rotation)
        if start is not None:
            yield from self.refine(start, run.number)

    def _likelier(self, run: Run) -> bool:
        """Whether a straight simple axon has more evidence than the best point, every number of beads counted."""
        assert self.best is not None
        assert run.last is not None
        simple = self._evidence(run.problem, run.last.point) + 2 * np.log(MOST_BEADS + 1)
        return bool(simple < self._evidence(self.problem, self.best))

    def _evidence(self, problem: AnyProblem | SimpleProblem, point: Point) -> float:
        """−2 log evidence up to a constant."""
        prior = known(problem.precision)
        hessian = Local.at(problem, self.target, point).hessian + np.diag(prior - problem.precision)
        spread = float(np.linalg.slogdet(hessian)[1] - np.log(prior).sum())
        return objective(problem, self.target, point) + spread

    def _preferred(self, run: Run) -> bool:
        """Whether Akaike's criterion prefers a simple axon to the best point."""
        assert self.best is not None
        assert run.last is not None
        assert isinstance(run.problem, SimpleProblem)
        hessian, precision = Local.at(self.problem, self.target, self.best).hessian, np.diag(self.problem.precision)
        determined = float(np.trace(np.linalg.solve(hessian, hessian - precision)))
        misfit, simple = ((self.target.residual(x.signal) ** 2).sum() for x in (self.best, run.last.point))
        return bool(simple + 2 * run.problem.numbers <= misfit + 2 * determined)

    def _may_be_straight(self) -> bool:
        """Whether the signal may be the same all around its axis."""
        protocol, signal = self.problem.protocol, self.target.signal
        return asymmetry(signal, protocol, principal_axis(signal, protocol), self.target.noise_sd) < UNLIKELY

    def _coarse_misfit(self, point: Point) -> float:
        """Of a point in the coarse problem."""
        coarse = self.coarse.like(point)
        return np.inf if coarse is None else float((self.rough.residual(coarse.signal) ** 2).sum())

    def _start(self, like: Point, phases: int, straight: bool, beads: int) -> tuple[float, SimpleProblem, Point] | None:
        """The best start with so many beads in the coarse problem, or none that is a shape."""
        assert isinstance(self.coarse, CellProblem)
        simple, points = simple_start(self.coarse, like, beads, phases, straight)
        rough = self.rough
        found = [(objective(simple, rough, point), simple, point) for point in points]
        return min(found, key=itemgetter(0), default=None)

    def _beyond(self) -> Floats:
        """What meshes finer than the next one add to the best point's correction, (M,).

        They add nearly the same to a simple axon's, and the finest one takes half a second a shape.
        """
        assert self.best is not None
        if self.problem.template.levels == 1:
            return np.zeros(len(self.target.signal))
        return self.problem.correction - self.problem.left_out(self.best, 1)

    def _in_full(self, beyond: Floats, place: tuple[int, SimpleProblem, Point]) -> Run | None:
        """A simple axon's descent in the full problem, corrected where it begins; see `_place` and `_beyond`."""
        assert isinstance(self.problem, CellProblem)
        number, simple, begin = place
        cell = self.problem.corrected(np.zeros(len(self.target.signal)))
        simple = simple.on(cell)
        point = simple.point(begin.parameters, begin.rotation)
        if point is None:
            return None
        correction = cell.left_out(point.shape, 1) + beyond
        inner = replace(point.shape, signal=point.signal + correction)
        simple, point = simple.on(cell.corrected(correction)), replace(point, signal=inner.signal, shape=inner)
        return Run.of(number, STAGE, simple, self.target, point, self.settings.iterations, FINISHED)


def _cell_of(run: Run) -> tuple[CellProblem, Point]:
    """Where a simple axon's descent stands, in the problem of all shapes."""
    assert isinstance(run.problem, SimpleProblem)
    assert run.last is not None
    return run.problem.cell, run.last.point.shape


def _place(run: Run) -> tuple[int, SimpleProblem, Point]:
    """Number and problem of a simple axon's descent, and where it stands."""
    assert isinstance(run.problem, SimpleProblem)
    assert run.last is not None
    return run.number, run.problem, run.last.point
