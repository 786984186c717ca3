"""Simple axons: what their few numbers say, their derivatives, and when one takes the place of a free shape."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from napari_remidi.inversion import Settings
from napari_remidi.inversion.cell import CellProblem
from napari_remidi.inversion.levenberg_marquardt import Point, Target
from napari_remidi.inversion.search import Search
from napari_remidi.inversion.simple import (
    BEND,
    COUNT,
    LENGTH,
    MOST_BEADS,
    PHASE,
    QUARTERS,
    RADIUS,
    SWELL,
    SimpleProblem,
    simple_start,
)
from napari_remidi.inversion.simplification import NEARBY
from napari_remidi.inversion.template import Template
from napari_remidi.results import chamfer, inverter_for, reconstruct
from napari_remidi.scan import Protocol
from napari_remidi.shapes import Prior
from napari_remidi.shapes.families import closed_axon
from napari_remidi.shapes.quantities import quantities

NOISE = 0.02
TURN = np.eye(3)


@pytest.fixture(scope="module")
def cell(protocol: Protocol) -> CellProblem:
    return CellProblem(Template.of(Prior.load("axon")), protocol, Settings(), torch.device("cpu"))


@pytest.fixture(scope="module")
def bent(cell: CellProblem) -> Point:
    """An axon that bends by 40 degrees."""
    drawn = closed_axon(np.random.default_rng(0), "bent", radius=1.2, length=16.0, bend=40.0, plane_turn=0.0)
    return encoded(cell, drawn)


def encoded(cell: CellProblem, drawn) -> Point:
    prior = cell.template.prior
    latent = prior.encode_coefficients(prior.basis.coefficients(drawn.fields, np.log(drawn.length)))
    point = cell.point(np.concatenate([latent, np.zeros(3)]), TURN)
    assert point is not None
    return point


def measured(problem: SimpleProblem, point: Point) -> dict[str, float]:
    prior = problem.template.prior
    return quantities(problem.shape_of(point).points.numpy(), prior.tube, prior.ends)


def test_the_numbers_say_what_the_shape_is(cell: CellProblem, bent: Point) -> None:
    problem, points = simple_start(cell, bent, 3, 4)
    assert len(points) == 4
    parameters = points[0].parameters.copy()
    parameters[[RADIUS, LENGTH, SWELL, PHASE, COUNT, BEND]] = np.log(1.1), np.log(15.0), np.arctanh(0.3), 0.4, 3, 0.5
    found = measured(problem, problem.point(parameters, TURN))
    assert found["bead_count"] == 3
    assert found["bead_amplitude"] == pytest.approx(0.3, abs=0.04)
    assert found["radius_mean"] == pytest.approx(1.1, abs=0.04)
    assert found["length"] == pytest.approx(15.0, rel=0.02)
    assert found["bend"] == pytest.approx(20.0, abs=3)  # half of what is kept


def test_starts_have_the_volume_and_length_of_what_they_are_like(cell: CellProblem, bent: Point) -> None:
    prior = cell.template.prior
    wanted = quantities(prior.nodes(bent.parameters[cell.latent]), prior.tube, prior.ends)
    for beads in (0, 4):
        problem, points = simple_start(cell, bent, beads, 2)
        assert len(points) == (2 if beads else 1)
        for point in points:
            found = measured(problem, point)
            assert found["volume"] == pytest.approx(wanted["volume"], rel=0.06)
            assert found["length"] == pytest.approx(wanted["length"], rel=0.03)
    assert simple_start(cell, bent, 0, 2)[0].numbers == problem.numbers - 3  # neither size, nor phase, nor number


def test_a_straight_start_has_no_bends_and_gets_none(cell: CellProblem, bent: Point) -> None:
    problem, points = simple_start(cell, bent, 3, 2, straight=True)
    assert problem.numbers == simple_start(cell, bent, 3, 2)[0].numbers - 1
    assert [point.parameters[PHASE] for point in points] == pytest.approx([-np.pi / 4, np.pi / 4])
    step = np.full(len(points[0].parameters), 0.05)
    step[BEND] = 0
    for point in (points[0], problem.moved(points[0], step)):
        assert measured(problem, point)["fan"] < 0.1
        assert np.abs(problem.jacobian(point)).max(axis=0)[LENGTH] > 0


def test_a_simple_axon_is_what_its_numbers_say_where_a_decoder_comes_only_near(cell: CellProblem, bent: Point) -> None:
    problem, points = simple_start(cell, bent, 8, 1, straight=True)
    parameters = points[0].parameters.copy()
    parameters[[RADIUS, LENGTH, SWELL, PHASE]] = np.log(1.0), np.log(24.0), np.arctanh(0.4), 0.0
    point = problem.point(parameters, TURN)
    assert point is not None
    shape, prior = problem.shape_of(point), cell.template.prior
    exact = prior.basis.vertices(torch.as_tensor(problem.coefficients(parameters)), prior.tube)
    assert torch.equal(shape.points, exact)
    assert measured(problem, point)["bead_amplitude"] == pytest.approx(0.4, abs=0.04)
    decoded = torch.as_tensor(prior.nodes(shape.latent))
    assert 0.005 < float((decoded - exact).norm(dim=1).mean()) < 0.2
    finer = cell.finer.like(point.shape)
    assert np.allclose(finer.shape.points[:: len(prior.tube.halved().section)][::2].numpy(),
                       exact[:: len(prior.tube.section)].numpy(), atol=0.02)  # fmt: skip


def test_beads_that_go_once_around_are_where_they_were(cell: CellProblem, bent: Point) -> None:
    problem, points = simple_start(cell, bent, 3, 2)
    step = np.zeros(len(points[1].parameters))
    step[PHASE] = 2 * np.pi
    again = problem.moved(points[0], step)
    assert again is not None
    assert again.parameters == pytest.approx(points[0].parameters)


def test_the_jacobian_agrees_with_finite_differences(cell: CellProblem, bent: Point) -> None:
    problem, points = simple_start(cell, bent, 2, 3)
    point = points[1]
    jacobian, step = problem.jacobian(point), 0.02
    for index in range(len(point.parameters)):
        change = step * np.eye(len(point.parameters))[index]
        ahead, behind = problem.moved(point, change), problem.moved(point, -change)
        numeric = (ahead.signal - behind.signal) / (2 * step)
        error = np.linalg.norm(jacobian[:, index] - numeric)
        # 2 % for modes left out of derivatives and the differences' own second order, and the signals' precision
        assert error < 0.02 * np.linalg.norm(numeric) + 1e-3 * np.sqrt(len(numeric)), index


def test_more_beads_than_the_family_has_are_no_step(cell: CellProblem, bent: Point) -> None:
    problem, points = simple_start(cell, bent, 8, 1)
    step = np.zeros(len(points[0].parameters))
    step[COUNT] = 2
    assert problem.moved(points[0], step) is None


def test_beads_are_counted_about_those_found_and_begin_here_or_there(cell: CellProblem, bent: Point) -> None:
    problem, points = simple_start(cell, bent, 3, 1)
    assert problem.counts_near(points[0]) == {2, 3, 4}
    last, even = points[0].parameters.copy(), points[0].parameters.copy()
    last[COUNT], even[SWELL] = MOST_BEADS - 0.4, 0.01
    assert problem.counts_near(replace(points[0], parameters=last)) == {MOST_BEADS - 1, MOST_BEADS}
    assert problem.counts_near(replace(points[0], parameters=even)) == set()
    others, starts = zip(*problem.begun(points[0], 4), strict=True)
    assert {other.mean[COUNT] for other in others} == {4.0}
    assert problem.mean[COUNT] == 3.0
    np.testing.assert_array_equal([start.parameters[PHASE] for start in starts], QUARTERS)
    changed = np.array([start.parameters for start in starts]) != points[0].parameters
    assert set(np.flatnonzero(changed.any(axis=0))) <= {COUNT, PHASE}


@pytest.mark.slow
def test_regular_beads_are_preferred_to_irregular_ones_that_fit_as_well(cell: CellProblem, protocol: Protocol) -> None:
    drawn = closed_axon(np.random.default_rng(5), "rippled", radius=1.4, length=14.0, beads=2.0, amplitude=0.35)
    truth = encoded(cell, drawn)
    noise = NOISE * np.random.default_rng(1).standard_normal((2, len(protocol)))
    signal = np.hypot(truth.signal + noise[0], noise[1])
    inverter = inverter_for(protocol, "axon", noise_sd=NOISE, device="cpu", starts=2, iterations=12)
    axon = reconstruct(signal, protocol, inverter=inverter)
    assert axon.solution.simple
    assert "regular beads" in axon.report()["simple"]
    assert {step["stage"] for step in axon.history} == {"starting", "refining", "simplifying"}
    assert chamfer(axon.surface, cell.template.prior.decode(truth.parameters[cell.latent]).surface) < 0.15


@pytest.mark.slow
def test_an_axon_with_one_swelling_is_not_taken_for_a_simple_one(cell: CellProblem, protocol: Protocol) -> None:
    drawn = closed_axon(np.random.default_rng(5), "straight", radius=1.2, length=14.0)
    drawn.fields[2] += 0.8 * np.exp(-(((np.linspace(0, 1, drawn.fields.shape[1]) - 0.25) / 0.1) ** 2))
    truth = encoded(cell, drawn)
    # at 0.005 a simple axon is within three units of χ² of the truth
    signal = truth.signal + 0.002 * np.random.default_rng(1).standard_normal(len(protocol))
    inverter = inverter_for(protocol, "axon", noise_sd=0.002, device="cpu", starts=2, iterations=12)
    axon = reconstruct(signal, protocol, inverter=inverter)
    assert not axon.solution.simple
    assert axon.report()["simple"] is None


@pytest.mark.slow
def test_without_noise_the_right_number_of_beads_is_found_from_a_wrong_one(
    cell: CellProblem, protocol: Protocol
) -> None:
    """With the mesh's error of the wrong pattern, the right one would fit no better."""
    drawn = closed_axon(np.random.default_rng(5), "rippled", radius=1.0, length=15.0, beads=5.0, amplitude=0.35)
    truth, settings, noise_sd = encoded(cell, drawn), Settings(noise_sd=5e-4), 5e-4
    fine = CellProblem(cell.template.finer, protocol, settings, torch.device("cpu")).like(truth)
    assert fine is not None
    target = Target(truth.signal + 4 / 3 * (fine.signal - truth.signal), noise_sd)
    search = Search(cell, np.arange(len(protocol)), cell, target, settings)
    problem, points = simple_start(cell, truth, 4, 1, straight=True)
    wrong = search.run("simplifying", problem, target, points[0], 6)
    for _ in search.walk([wrong], 6, map):
        pass
    steps = search._nearby(wrong, NEARBY, np.zeros(len(protocol)), map)
    try:
        while True:
            next(steps)
    except StopIteration as end:
        best = min(end.value, key=lambda run: run.objective)
    before, after = ((target.residual(run.last.point.signal) ** 2).sum() for run in (wrong, best))
    assert after < 0.3 * before
    assert best.last.point.parameters[COUNT] == pytest.approx(5, abs=0.1)
    assert measured(best.problem, best.last.point)["length"] == pytest.approx(15, abs=0.2)
