"""What a working mesh leaves out of a signal is found from finer ones."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from napari_remidi.inversion.cell import CellProblem
from napari_remidi.inversion.settings import Settings
from napari_remidi.inversion.template import Template
from napari_remidi.scan import Protocol, spread_directions
from napari_remidi.shapes import Prior


@pytest.fixture(scope="module")
def working() -> CellProblem:
    directions = spread_directions(12)
    protocol = Protocol.pgse(np.repeat([0.0, 1000.0, 4000.0], 12), np.tile(directions, (3, 1)), 5.0, 30.0)
    return CellProblem(Template.working(Prior.load("axon")), protocol, Settings(noise_sd=0.02), torch.device("cpu"))


def test_one_finer_mesh_removes_most_of_the_error_and_two_the_rest(working: CellProblem) -> None:
    assert working.template.levels == 2
    own = working.finer
    latent = 0.7 * np.random.default_rng(3).standard_normal(own.template.prior.latent_dim)
    parameters = np.concatenate([latent, np.zeros(3)])
    rough, fine = (problem.point(parameters, np.eye(3)) for problem in (working, own))
    assert rough is not None
    assert fine is not None
    exact = fine.signal + own.left_out(fine)
    error = np.abs(rough.signal - exact).max()
    assert np.abs(rough.signal + working.left_out(rough) - exact).max() < error / 2
    assert np.abs(rough.signal + working.left_out(rough, 2) - exact).max() < 1e-9


def test_a_correction_counts_as_part_of_the_signal_and_not_as_missing(working: CellProblem) -> None:
    parameters = np.zeros(working.template.prior.latent_dim + 3)
    plain = working.point(parameters, np.eye(3))
    assert plain is not None
    missing = working.left_out(plain)
    corrected = working.corrected(missing)
    point = corrected.point(parameters, np.eye(3))
    assert point is not None
    assert np.allclose(point.signal, plain.signal + missing, atol=1e-9)
    assert np.allclose(corrected.left_out(point), missing, atol=1e-6)


def test_a_finer_mesh_with_the_modes_of_a_rougher_one_tells_what_is_the_meshs(working: CellProblem) -> None:
    parameters = np.zeros(working.template.prior.latent_dim + 3)
    rough, fine = working.point(parameters, np.eye(3)), working.finer.point(parameters, np.eye(3))
    assert rough is not None
    assert fine is not None
    assert working.signal_in(working.template, rough) is rough.signal
    by_modes = fine.signal - working.finer.signal_in(working.template, fine)
    assert 0 < np.abs(by_modes).max() < 2e-3
    by_mesh = fine.signal - rough.signal - by_modes
    expected = fine.signal - rough.signal + (working.template.gain - 1) * by_mesh
    assert np.allclose(working.left_out(rough), expected, atol=1e-9)


def test_derivatives_on_a_coarse_mesh_are_those_of_the_priors_own(working: CellProblem) -> None:
    latent = 0.7 * np.random.default_rng(3).standard_normal(working.template.prior.latent_dim)
    parameters = np.concatenate([latent, np.zeros(3)])
    exact = CellProblem(Template.of(Prior.load("axon")), working.protocol, Settings(noise_sd=0.02), torch.device("cpu"))
    jacobians = []
    for problem in (working, exact):
        point = problem.point(parameters, np.eye(3))
        assert point is not None
        jacobians.append(problem.jacobian(point))
    assert np.linalg.norm(jacobians[0] - jacobians[1]) < 0.015 * np.linalg.norm(jacobians[1])


def test_derivatives_are_taken_once_where_one_descent_ends_and_the_next_begins(
    working: CellProblem, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = []
    linearised = CellProblem.linearised
    monkeypatch.setattr(CellProblem, "linearised", lambda self, at: taken.append(at) or linearised(self, at))
    parameters = np.zeros(working.template.prior.latent_dim + 3)
    here, there = (working.point(parameters, turn) for turn in (np.eye(3), np.diag([1.0, -1.0, -1.0])))
    assert here is not None
    assert there is not None
    first = working.jacobian(here)
    corrected = working.corrected(np.full(len(here.signal), 0.01))
    assert corrected.jacobian(replace(here, signal=here.signal + 0.01)) is first
    assert taken == [here]
    assert not np.allclose(corrected.jacobian(there), first)
    assert np.allclose(working.jacobian(here), first)
