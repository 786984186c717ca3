"""From many starts to one answer: a tournament in a coarse model, the best ones in the full one, then simple axons.

A start decides which valley of the misfit an optimiser ends in, and most of its steps lead through terrain where a
rough signal shows the way as well. So every start descends in the coarse problem (few modes, a larger standard
deviation of the noise), the worse half is dropped after each round, and those left are refined in the full problem.

Simple axons are fitted last (`simplification`).
"""

from collections.abc import Iterator
from dataclasses import replace
from operator import attrgetter

import numpy as np

from napari_remidi.inversion.descents import QUIET, Run, fine_enough
from napari_remidi.inversion.levenberg_marquardt import Point, Step, objective
from napari_remidi.inversion.simplification import Simplification
from napari_remidi.inversion.solution import CANCELLED, Iterate
from napari_remidi.physics.devices import workers

NOISE_OFF = 1.3  # times too much or too little noise assumed, above which the best fit is refined with the better value
# steps in the coarse problem that all starts take, and the same where there is next to no noise and valleys are narrow;
# those that go on after these
TOGETHER, TOGETHER_QUIET, ON = 1, 2, 4
ENOUGH = 3.0  # in units of χ² of the coarse problem, what a step there must promise to be worth its time
REFINED = 2  # starts that go on to the full problem


class Search(Simplification):
    """The starts of one signal, and the best point so far."""

    _competing: tuple[Run, ...] = ()

    def tournament(self, candidates: list[Point]) -> Iterator[Iterate]:
        """Let candidates of the coarse problem descend, refine the winner in the full one, keep the best of all.

        Where the winner does not explain the signal, simple axons are tried, and then the next ones.
        """
        rough, together = self.rough, TOGETHER_QUIET if self.target.noise_sd < QUIET else TOGETHER
        runs = [self.run("starting", self.coarse, rough, point, together + ON, ENOUGH) for point in candidates]
        self._competing = tuple(runs)
        with workers(self.coarse.device) as each:
            runs = yield from self.walk(runs, together, each)
            runs = yield from self.race(runs[:REFINED], ON, each)
        for run in runs:
            assert run.last is not None
            start = self.problem.point(run.last.point.parameters, run.last.point.rotation)
            if start is not None:
                yield from self.refine(start, run.number)
            if not self.explained:
                yield from self.simplify()
            if self.explained:
                return

    def settle(self) -> None:
        """Go no further: where no start has been refined yet, the best one of the tournament is the best point."""
        seen = [run.last for run in self._competing if run.last is not None]
        if self.best is None and seen:
            place = min(seen, key=attrgetter("objective")).point
            point = self.problem.point(place.parameters, place.rotation)
            if point is not None:
                self.keep(Step(point, objective(self.problem, self.target, point), 0.0, True, None), self.problem)
        self.stop = CANCELLED

    def with_noise(self, noise_sd: float) -> Iterator[Iterate]:
        """Refine the best point once more where the noise assumed so far is not what its residual says."""
        assert self.best is not None
        if 1 / NOISE_OFF < noise_sd / self.target.noise_sd < NOISE_OFF:
            return
        self.target = replace(self.target, noise_sd=noise_sd)
        self.problem, best = fine_enough(self.problem, self.target), self.best
        start = self.problem.point(best.parameters, best.rotation)
        if start is not None:
            self.best_objective = np.inf
            yield from self.refine(start, self.started)
