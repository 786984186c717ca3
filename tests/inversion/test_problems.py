"""What a point predicts, and its derivatives, against finite differences of the prediction itself."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.optimize import minimize_scalar

from napari_remidi.inversion import Settings
from napari_remidi.inversion.cell import CellProblem
from napari_remidi.inversion.levenberg_marquardt import Target
from napari_remidi.inversion.noise import rician_mean
from napari_remidi.inversion.rotation import rotations_about
from napari_remidi.inversion.template import Template
from napari_remidi.inversion.tissue import TissueProblem
from napari_remidi.physics import TetMesh, simulate
from napari_remidi.physics.encoding.pgse import pgse_signal
from napari_remidi.physics.encoding.pulses import pulse_blocks
from napari_remidi.scan import Protocol, spread_directions
from napari_remidi.shapes import Prior
from napari_remidi.shapes.families import closed_axon
from napari_remidi.shapes.tube import Tube

CPU = torch.device("cpu")
MODES = 60  # of open axons: both sides of a comparison leave out the same
TURN = rotations_about(np.array([0.48, 0.6, 0.64]), turns=1, tilts=())[0]


def differences(problem, point, step: float = 0.04) -> np.ndarray:
    """Signals are good to 5e-5 (single precision), so their differences to 1e-3 with this step."""
    columns = []
    for index in range(len(point.parameters)):
        change = np.zeros(len(point.parameters))
        change[index] = step
        ahead, behind = problem.moved(point, change), problem.moved(point, -change)
        columns.append((ahead.signal - behind.signal) / (2 * step))
    return np.array(columns).T


def test_the_cell_s_jacobian_agrees_with_finite_differences(protocol: Protocol) -> None:
    prior = Prior.load("axon")
    problem = CellProblem(Template.of(prior, 100), protocol, Settings(fit_diffusivity=True), CPU)
    parameters = problem.mean.copy()
    parameters[problem.latent] = 0.5 * prior.sample(1, seed=8)[0]
    point = problem.point(parameters, TURN)
    jacobian, numeric = problem.jacobian(point), differences(problem, point)
    error = np.linalg.norm(jacobian - numeric, axis=0)
    # 1 % for the differences' own second order, and 5e-4 a measurement for the signals' precision
    assert (error < 0.01 * np.linalg.norm(numeric, axis=0) + 5e-4 * np.sqrt(len(protocol))).all()


@pytest.fixture(scope="module")
def tissue(protocol: Protocol) -> TissueProblem:
    return TissueProblem(Template.of(Prior.load("axon-open"), MODES), protocol, Settings(model="voxel"), CPU)


def test_the_tissue_s_jacobian_agrees_with_finite_differences(protocol: Protocol) -> None:
    some = protocol.subset(np.isin(protocol.bvals / protocol.Delta, [0, 100, 120]))  # b 1000, Δ 10; b 6000, Δ 50
    tissue = TissueProblem(Template.of(Prior.load("axon-open"), MODES), some, Settings(model="voxel"), CPU)
    parameters = tissue.mean.copy()
    parameters[tissue.latent] = 0.5 * Prior.load("axon-open").sample(1, seed=3)[0]
    parameters[tissue.first :] += [-0.3, 0.2, 0.4, -0.5, 0.3, -0.8]
    point = tissue.point(parameters, TURN)
    jacobian, numeric = tissue.jacobian(point), differences(tissue, point)
    error = np.linalg.norm(jacobian - numeric, axis=0)
    assert (error < 0.01 * np.linalg.norm(numeric, axis=0) + 2.5e-4 * np.sqrt(len(jacobian))).all()
    # everything around the axon is analytic
    around = slice(tissue.first + 1, None)
    assert (error[around] < 1e-3 * np.linalg.norm(numeric[:, around], axis=0)).all()


def test_fractions_add_up_and_b0_is_one(tissue: TissueProblem) -> None:
    point = tissue.point(tissue.mean.copy(), TURN)
    assert sum(tissue.fractions(point).values()) == pytest.approx(1)
    np.testing.assert_allclose(point.signal[tissue.protocol.is_b0], 1, atol=1e-6)


def test_the_tissue_s_signal_is_the_average_over_dispersed_axons(tissue: TissueProblem) -> None:
    """Against a brute-force mean of rotated copies, drawn from the Watson distribution."""
    parameters = tissue.mean.copy()
    parameters[tissue.latent] = 0.5 * Prior.load("axon-open").sample(1, seed=5)[0]
    parameters[tissue.first + 3] = np.log(8.0)
    parameters[tissue.first + 4 :] = -12.0  # the axons alone
    directions = spread_directions(6)
    few = Protocol.pgse(np.full(6, 4000.0), directions, 5.0, 50.0)
    problem = TissueProblem(tissue.template, few, tissue.settings, CPU)
    mixed = problem.point(parameters, TURN).signal
    rng = np.random.default_rng(0)
    cosine = np.linspace(0, 1, 4001)
    density = np.exp(8.0 * cosine**2)
    copies_drawn = 1000
    drawn = np.interp(rng.random(copies_drawn), np.cumsum(density) / density.sum(), cosine)
    azimuth, spin = rng.uniform(0, 2 * np.pi, (2, copies_drawn))
    cell = CellProblem(tissue.template, few, Settings(prior="axon-open"), CPU)
    shape = cell.template.shape(parameters[tissue.latent])
    copies = []
    for c, a, s in zip(drawn, azimuth, spin, strict=True):
        sine = np.sqrt(1 - c**2)
        lean = rotations_about(np.array([sine * np.cos(a), sine * np.sin(a), c]), turns=1, tilts=())[0]
        turn = np.array([[np.cos(s), -np.sin(s), 0], [np.sin(s), np.cos(s), 0], [0, 0, 1]])
        copies.append(directions @ (TURN @ lean @ turn))
    body = np.concatenate(copies)
    many = Protocol.pgse(np.full(len(body), 4000.0), body, 5.0, 50.0)
    signals = pgse_signal(shape.model, pulse_blocks(many, CPU), tissue.settings.diffusivity, count=len(body))
    expected = signals.double().numpy().reshape(-1, 6).mean(axis=0)
    # the mean of 1000 draws with a spread of 0.25 is known to 0.008
    np.testing.assert_allclose(mixed, expected, atol=0.024)


def test_measurements_that_share_a_normalisation_share_a_factor() -> None:
    """The residual is the least that any factor near one leaves, and `weighted` gives the derivative of its square."""
    rng = np.random.default_rng(1)
    signal, predicted = rng.uniform(0.5, 1, 12), rng.uniform(0.5, 1, 12)
    rows, jacobian = np.arange(2, 8), rng.standard_normal((12, 3))
    target = Target(signal, 0.01, ((rows, 4),))

    def misfit(factor: float) -> float:
        scale = np.where(np.isin(np.arange(12), rows), factor, 1.0)
        expected = scale * rician_mean(predicted, 0.01)
        return float((((expected - signal) / 0.01) ** 2).sum() + 4 * ((factor - 1) / 0.01) ** 2)

    least = minimize_scalar(misfit, (0.8, 1.2)).fun
    assert (target.residual(predicted) ** 2).sum() == pytest.approx(least)
    up, down = ((target.residual(predicted + sign * 1e-5 * jacobian[:, 0]) ** 2).sum() for sign in (1, -1))
    slope = 2 * target.weighted(predicted, jacobian).T @ target.residual(predicted)
    assert slope[0] == pytest.approx((up - down) / 2e-5, rel=1e-5)


def test_a_bad_fit_is_not_drawn_below_all_of_the_data() -> None:
    """One b = 0 measurement, noise ten times what is assumed: the best constant is still the data's mean."""
    rng = np.random.default_rng(0)
    signal = 0.5 + 0.1 * rng.standard_normal(64)
    target = Target(signal, 0.01, ((np.arange(64), 1),))
    levels = np.linspace(0.2, 0.8, 601)
    best = levels[np.argmin([(target.residual(np.full(64, level)) ** 2).sum() for level in levels])]
    assert best == pytest.approx(signal.mean(), abs=0.002)


def test_a_shape_that_folds_is_no_point(protocol: Protocol) -> None:
    prior = Prior.load("axon")
    problem = CellProblem(Template.of(prior), protocol, Settings(), CPU)
    found = []
    for latent in 3 * prior.sample(100, seed=1):
        parameters = problem.mean.copy()
        parameters[problem.latent] = latent
        found.append(problem.point(parameters, TURN))
    assert any(point is None for point in found)
    too_far = problem.mean.copy()
    too_far[0] = 9.0
    assert problem.point(too_far, TURN) is None


def test_what_the_mesh_leaves_out_is_found(protocol: Protocol) -> None:
    prior = Prior.load("axon")
    beaded = closed_axon(np.random.default_rng(3), "rippled", beads=7, amplitude=0.35, radius=1.2, length=20.0)
    latent = prior.encode_coefficients(prior.basis.coefficients(beaded.fields, np.log(beaded.length)))
    problem = CellProblem(Template.of(prior), protocol, Settings(), CPU)
    parameters = np.concatenate([latent, np.zeros(3)])
    point = problem.point(parameters, TURN)
    corrected = problem.corrected(problem.left_out(point)).point(parameters, TURN)
    fine = replace(prior, tube=Tube(9, 183)).decode(latent)
    truth = simulate(TetMesh(fine.points @ TURN.T, fine.tetrahedra), protocol, 2.0, modes=50, device="cpu")
    before, after = (np.abs(signal - truth).max() for signal in (point.signal, corrected.signal))
    assert before > 2e-3
    assert after < before / 4
