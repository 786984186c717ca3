"""Which starts go on."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from napari_remidi.inversion.descents import FAR, OUT_OF_REACH, Descents, Run
from napari_remidi.inversion.levenberg_marquardt import Step


class Silent(Descents):
    """Tells nothing of its steps."""

    def __init__(self) -> None:
        pass

    def iterate(self, *_: Any) -> Any:
        return None


def falling(number: int, begun: float, *objectives: float) -> Run:
    """A start whose steps end at these; one that is no lower than the one before was refused."""

    def steps() -> Iterator[Step]:
        before = begun
        for value in objectives:
            yield Step(None, min(value, before), 1.0, value < before, None)  # type: ignore[arg-type]
            before = min(value, before)

    return Run(number, "starting", None, None, steps(), begun)  # type: ignore[arg-type]


def raced(runs: list[Run], steps: int, goal: float = np.inf) -> list[int]:
    generator = Silent().race(runs, steps, map, goal)
    while True:
        try:
            next(generator)
        except StopIteration as stop:
            return [run.number for run in stop.value]


@pytest.mark.parametrize(("behind", "stays"), [(OUT_OF_REACH - 0.1, [1, 2]), (OUT_OF_REACH + 0.1, [1])])
def test_who_cannot_overtake_the_best_at_its_latest_pace_drops_out(behind: float, stays: list[int]) -> None:
    assert raced([falling(2, 52 + behind, 51 + behind, 51 + behind), falling(1, 52, 51, 51)], 1) == stays


@pytest.mark.parametrize(("goal", "stays"), [(100 - FAR * 10 + 0.1, [1]), (100 - FAR * 10 - 0.1, [])])
def test_who_is_far_from_the_goal_drops_out_even_as_the_best(goal: float, stays: list[int]) -> None:
    assert raced([falling(1, 110, 100, 100)], 3, goal) == stays


def test_a_start_whose_steps_were_all_refused_may_go_on() -> None:
    assert raced([falling(1, 110, 120, 115)], 2, goal=0.0) == [1]
