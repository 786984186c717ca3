"""The optimiser on problems small enough to know the answer."""

from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from napari_remidi.inversion import levenberg_marquardt
from napari_remidi.inversion.levenberg_marquardt import Local, Point, Step, Target, descend, objective
from napari_remidi.inversion.noise import rician_mean, rician_mean_slope, rician_sd
from napari_remidi.inversion.rotation import change_of_direction, rotations_about, turned

TIMES = np.linspace(0, 3, 60)


class Decay:
    """Two exponentials, amplitude fixed: parameters are the logs of their rates."""

    latent = slice(0, 2)

    def __init__(self, forbidden: float = np.inf) -> None:
        self.mean, self.precision, self.forbidden = np.zeros(2), np.full(2, 1e-6), forbidden

    def point(self, parameters: NDArray) -> Point:
        rates = np.exp(parameters)
        signal = 0.5 * np.exp(-np.outer(TIMES, rates)).sum(axis=1)
        return Point(parameters, np.eye(3), signal, None)

    def moved(self, point: Point, step: NDArray) -> Point | None:
        parameters = point.parameters + step
        return None if np.abs(parameters).max() > self.forbidden else self.point(parameters)

    def jacobian(self, point: Point) -> NDArray:
        rates = np.exp(point.parameters)
        return -0.5 * np.exp(-np.outer(TIMES, rates)) * np.outer(TIMES, rates)


def run(problem: Decay, start: list[float], truth: list[float], iterations: int = 50) -> Step:
    target = Target(rician_mean(problem.point(np.array(truth)).signal, 0.01), 0.01)
    *_, last = descend(problem, target, problem.point(np.array(start)), iterations)
    return last


def test_it_finds_the_parameters() -> None:
    last = run(Decay(), [1.0, -1.0], [0.3, 1.5][::-1])
    assert last.stop == "converged"
    assert sorted(last.point.parameters) == pytest.approx([0.3, 1.5], abs=1e-2)


def test_forbidden_points_are_refused_and_nothing_is_lost() -> None:
    problem = Decay(forbidden=1.2)
    target = Target(problem.point(np.array([2.0, 0.0])).signal, 0.01)
    steps = list(descend(problem, target, problem.point(np.array([1.0, 0.5])), 40))
    assert all(np.abs(step.point.parameters).max() <= 1.2 for step in steps)
    values = [step.objective for step in steps]
    assert all(after <= before for before, after in pairwise(values))


class Valley(Decay):
    """A signal of x and 20 (y - x²), Rosenbrock's: the floor of its valley is curved."""

    def point(self, parameters: NDArray) -> Point:
        x, y = parameters
        return Point(parameters, np.eye(3), np.array([x, 20 * (y - x**2)]) + 50, None)

    def jacobian(self, point: Point) -> NDArray:
        return np.array([[1.0, 0.0], [-40 * point.parameters[0], 20.0]])


def test_a_step_returns_to_the_floor_of_a_curved_valley(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = Valley()
    target = Target(problem.point(np.array([1.0, 1.0])).signal, 0.01)
    start = problem.point(np.array([-1.2, 1.4]))

    def steps() -> int:
        *_, last = found = list(descend(problem, target, start, 60))
        np.testing.assert_allclose(last.point.parameters, [1.0, 1.0], atol=1e-2)
        return len(found)

    with_returns = steps()
    monkeypatch.setattr(levenberg_marquardt, "RETURNS", 0)
    assert with_returns < steps()


def test_the_budget_is_a_reason_to_stop() -> None:
    assert run(Decay(), [3.0, -3.0], [0.3, 1.5], iterations=2).stop == "budget"


def test_gradient_and_hessian_are_those_of_half_the_objective() -> None:
    problem = Decay()
    target = Target(problem.point(np.array([0.4, 1.2])).signal, 0.02)
    point = problem.point(np.array([0.5, 0.9]))
    gradient = Local.at(problem, target, point).gradient
    for index in range(2):
        step = np.zeros(2)
        step[index] = 1e-5
        ahead, behind = (objective(problem, target, problem.point(point.parameters + s * step)) for s in (1, -1))
        assert gradient[index] == pytest.approx((ahead - behind) / 4e-5, rel=1e-5)


def test_a_wave_that_enters_by_its_square_does_not_slow_the_rest() -> None:
    """Signal a + w²/2 with data that no parameters explain: Gauss-Newton alone zigzags over w = 0."""

    class Wave(Decay):
        def point(self, parameters: NDArray) -> Point:
            a, w = parameters
            return Point(parameters, np.eye(3), 0.6 + 0.3 * np.tanh(a) * TIMES / 3 + 0.5 * w**2 * (TIMES - 1), None)

        def jacobian(self, point: Point) -> NDArray:
            a, w = point.parameters
            return np.stack([0.3 / np.cosh(a) ** 2 * TIMES / 3, w * (TIMES - 1)], axis=1)

    problem = Wave()
    data = 0.6 + 0.1 * TIMES / 3 + 0.1 * np.where(TIMES < 1, 1, -0.25)
    steps = list(descend(problem, Target(data, 0.005), problem.point(np.array([1.0, 0.5])), 30))
    assert steps[-1].stop == "converged"
    assert len(steps) < 20


def test_rician_mean_and_sd_agree_with_draws() -> None:
    rng = np.random.default_rng(0)
    signal = np.array([0.0, 0.01, 0.05, 0.5])
    draws = np.abs(signal + 0.02 * (rng.standard_normal((200_000, 4)) + 1j * rng.standard_normal((200_000, 4))))
    assert rician_mean(signal, 0.02) == pytest.approx(draws.mean(axis=0), abs=3e-4)  # 6 standard errors
    assert rician_sd(signal, 0.02) == pytest.approx(draws.std(axis=0), abs=3e-4)
    slope = (rician_mean(signal + 1e-6, 0.02) - rician_mean(np.abs(signal - 1e-6), 0.02)) / 2e-6
    assert rician_mean_slope(signal, 0.02) == pytest.approx(slope, abs=1e-5)


def test_turning_the_body_turns_the_gradients_back() -> None:
    rng = np.random.default_rng(1)
    directions = rng.standard_normal((5, 3))
    body = turned(np.eye(3), rng.standard_normal(3))
    omega = 1e-6 * rng.standard_normal(3)
    change = directions @ turned(body, omega) - directions @ body
    assert change == pytest.approx((change_of_direction(directions) @ omega) @ body, abs=1e-10)


def test_rotations_bring_the_axis_near_the_given_one_in_both_senses() -> None:
    axis = np.array([1.0, 2.0, -2.0]) / 3
    rotations = rotations_about(axis)
    along = rotations[:, :, 2] @ axis
    assert np.degrees(np.arccos(np.abs(along).min())) == pytest.approx(26, abs=1e-3)
    assert (along > 0).sum() == (along < 0).sum()
    assert np.linalg.det(rotations) == pytest.approx(np.ones(len(rotations)))
