"""Tests of a fit on linear models, where what they should say is known; that of the shape on the priors' families."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch

from napari_remidi.inversion.fit import Noise, goodness_of_fit
from napari_remidi.inversion.levenberg_marquardt import Local, Point, Target
from napari_remidi.scan import Protocol
from napari_remidi.shapes import Prior
from napari_remidi.shapes.calibre import extension
from napari_remidi.shapes.families import EFFECTS, closed_axon, open_axon
from napari_remidi.shapes.sections import AxonFields

OFFSET = 5.0  # well above the noise, where Rician noise is Gaussian
PARAMETERS = 12
MEMBERS = np.exp(np.random.default_rng(8).normal(2.5, 0.5, 500))  # extensions, 4 to 40


@dataclass
class Linear:
    """A signal that is linear in its parameters, θ ~ N(0, 1)."""

    design: np.ndarray

    def __post_init__(self) -> None:
        self.mean, self.precision = np.zeros(PARAMETERS), np.ones(PARAMETERS)

    def jacobian(self, point: Point) -> np.ndarray:
        return self.design

    def fitted(self, signal: np.ndarray, noise_sd: float) -> Point:
        normal = self.design.T @ self.design / noise_sd**2 + np.eye(PARAMETERS)
        theta = np.linalg.solve(normal, self.design.T @ (signal - OFFSET) / noise_sd**2)
        return Point(theta, np.eye(3), OFFSET + self.design @ theta, None)


@pytest.fixture(scope="module")
def model(protocol: Protocol) -> Linear:
    """Smooth functions of direction and b, some of them hardly seen."""
    rng = np.random.default_rng(0)
    squares = (protocol.bvecs @ rng.standard_normal((3, PARAMETERS))) ** 2
    sizes = np.geomspace(1.0, 0.002, PARAMETERS)
    return Linear(sizes * np.exp(-protocol.bvals[:, None] / 4000 * squares) * (protocol.bvals[:, None] > 0))


def run(
    model: Linear,
    protocol: Protocol,
    signal: np.ndarray,
    given: float,
    known: bool = True,
    found: float = 12.0,
    members: np.ndarray = MEMBERS,
) -> dict[str, Any]:
    """The tests of a signal's fit, as if its shape had an extension `found`."""
    point, target = model.fitted(signal, given), Target(signal, given)
    noise = Noise.known(given, signal, protocol) if known else None
    local = Local.at(model, target, point)
    return goodness_of_fit(local, point.signal, target, protocol, noise, 0.0, found, members)


def drawn(model: Linear, noise_sd: float, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    theta, noise = rng.standard_normal(PARAMETERS), rng.standard_normal(len(model.design))
    return OFFSET + model.design @ theta + noise_sd * noise


@pytest.mark.parametrize(("noise_sd", "given"), [(0.02, 0.02), (0.02, 0.05), (0.0, 0.02)])
def test_a_right_model_is_seldom_refused(model, protocol, noise_sd, given) -> None:
    """Even with a noise said to be larger than it is, where the prior's pull remains."""
    found = [run(model, protocol, drawn(model, noise_sd, seed), given) for seed in range(300)]
    # 300 draws of a chance of 1/20: 15 ± 3.8, and of 1/1000: 0.3 ± 0.55
    assert sum(fit["p_structure"] < 0.05 for fit in found) <= 15 + 4 * 3.8
    assert sum(not fit["explained"] for fit in found) <= 2


def test_p_values_are_uniform_where_model_and_noise_are_right(model, protocol) -> None:
    found = [run(model, protocol, drawn(model, 0.02, seed), 0.02) for seed in range(300)]
    for name in ("p_size", "p_structure"):
        values = np.array([fit[name] for fit in found])
        for level in (0.05, 0.25, 0.5, 0.75):
            # binomial, 4 sd
            assert (values < level).mean() == pytest.approx(level, abs=4 * np.sqrt(level * (1 - level) / 300)), name


def test_degrees_of_freedom_are_measurements_less_the_parameters_that_they_determine(model, protocol) -> None:
    weighted = int((~protocol.is_b0).sum())
    sharp, blunt = (run(model, protocol, drawn(model, sd, 0), sd) for sd in (1e-4, 10.0))
    assert sharp["degrees"] == pytest.approx(weighted - PARAMETERS, abs=0.1)
    assert blunt["degrees"] == pytest.approx(weighted, abs=2.0)


def missing(protocol: Protocol) -> np.ndarray:
    """What the model does not have: a second fibre."""
    return 0.05 * np.exp(-protocol.bvals / 3000 * (protocol.bvecs @ [0.8, -0.6, 0.0]) ** 2) * ~protocol.is_b0


def test_a_wrong_model_fails_by_size_where_the_noise_is_known(model, protocol) -> None:
    fit = run(model, protocol, drawn(model, 0.005, 1) + missing(protocol), 0.005)
    assert not fit["explained"]
    assert fit["p_size"] < 1e-3


@pytest.mark.parametrize("known", [True, False])
def test_a_wrong_model_fails_by_structure_where_the_noise_is_thought_larger(model, protocol, known) -> None:
    """χ²/dof is below one, and yet the residual is no noise."""
    fit = run(model, protocol, drawn(model, 0.005, 1) + missing(protocol), 0.03, known)
    assert (fit["failed"], fit["explained"]) == ("structure", False)
    assert fit["structure"] > 2
    if known:
        assert fit["chi2"] / fit["degrees"] < 1


def test_noise_alone_holds_no_information(model, protocol) -> None:
    signal = OFFSET + 0.3 * np.random.default_rng(5).standard_normal(len(protocol))
    fit = run(model, protocol, signal, 0.3)
    assert (fit["failed"], fit["explained"]) == ("information", False)
    assert fit["p_value"] > 1e-3


def test_the_noise_is_the_one_given_or_that_of_repeats(protocol) -> None:
    signal = 1 + 0.02 * np.random.default_rng(0).standard_normal(len(protocol))
    assert Noise.known(0.07, signal, protocol) == Noise(0.07, np.inf, "given")
    repeated = Noise.known(None, signal, protocol)
    assert repeated is not None
    # two timings of four repeats: six degrees of freedom
    assert (repeated.freedom, repeated.source) == (6, "repeated b = 0")
    assert repeated.sd == pytest.approx(np.sqrt(np.mean([signal[:4].var(ddof=1), signal[84:88].var(ddof=1)])))
    assert Noise.known(None, signal, protocol.subset(~protocol.is_b0)) is None
    assert Noise.known(None, np.ones(len(protocol)), protocol) is None


def test_what_cannot_be_tested_is_not(model, protocol) -> None:
    """Three directions and no known noise."""
    few = Protocol.pgse([0, 1000, 1000, 1000], np.r_[[[0, 0, 0]], np.eye(3)], 5, 25)
    small = Linear(model.design[:4])
    fit = run(small, few, OFFSET + 0.01 * np.arange(4.0), 0.02, known=False)
    assert fit["explained"] is None
    assert {fit[name] for name in ("p_size", "p_structure", "p_constant", "failed")} == {None}


def test_a_shape_unlike_the_members_fails_however_well_it_fits(model, protocol) -> None:
    signal = drawn(model, 0.02, 0)
    like, unlike = (run(model, protocol, signal, 0.02, found=extent) for extent in (MEMBERS.min(), 1.5))
    assert like["explained"] is True
    assert (unlike["failed"], unlike["explained"]) == ("shape", False)
    # three tests were made
    assert unlike["p_value"] == pytest.approx(3 * unlike["p_shape"])
    assert unlike["least_extension"] == MEMBERS.min()
    # not one as unlike as three tests on a thousand signals give by chance
    borderline = next(x for x in np.geomspace(1.5, 4, 1000) if p_of_shape(model, protocol, signal, x) > 5e-4)
    assert run(model, protocol, signal, 0.02, found=borderline)["explained"] is True


def p_of_shape(model: Linear, protocol: Protocol, signal: np.ndarray, found: float) -> float:
    return float(run(model, protocol, signal, 0.02, found=found)["p_shape"])


def test_the_p_value_of_a_shape_is_the_share_of_members_that_are_as_unlike(model, protocol) -> None:
    signal = drawn(model, 0.02, 0)
    for share in (0.05, 0.25, 0.5, 0.75):
        p = p_of_shape(model, protocol, signal, float(np.quantile(MEMBERS, share)))
        # smoothing by 0.26 standard deviations widens them by a thirtieth
        assert p == pytest.approx(share, abs=0.02)


def test_a_shape_is_not_blamed_for_noise_nor_for_what_no_shape_explains(model, protocol) -> None:
    noise = OFFSET + 0.3 * np.random.default_rng(5).standard_normal(len(protocol))
    assert run(model, protocol, noise, 0.3, found=1.0)["failed"] == "information"
    unexplained = run(model, protocol, drawn(model, 0.005, 1) + missing(protocol), 0.005, found=1.0)
    assert unexplained["failed"] in ("size", "structure")


def test_a_prior_of_few_members_does_not_test_shapes(model, protocol) -> None:
    fit = run(model, protocol, drawn(model, 0.02, 0), 0.02, found=1.0, members=MEMBERS[:10])
    assert fit["explained"] is True
    assert fit["p_shape"] is None
    # two tests were made
    assert fit["p_value"] == pytest.approx(min(1, 2 * min(fit["p_size"], fit["p_structure"])))


def test_a_shape_alone_can_fail_but_not_pass(model, protocol) -> None:
    """Three directions and no known noise."""
    few = Protocol.pgse([0, 1000, 1000, 1000], np.r_[[[0, 0, 0]], np.eye(3)], 5, 25)
    small = Linear(model.design[:4])
    fits = [run(small, few, OFFSET + 0.01 * np.arange(4.0), 0.02, known=False, found=x) for x in (1.0, 12.0)]
    assert [(fit["explained"], fit["failed"]) for fit in fits] == [(False, "shape"), (None, None)]


def extension_of(axon: AxonFields, prior: Prior) -> float:
    """Of what a prior makes of an axon."""
    latent = prior.encode_coefficients(prior.basis.coefficients(axon.fields, np.log(axon.length)))
    return float(extension(prior.nodes(latent), prior.tube, prior.ends))


@pytest.fixture(scope="module", params=["axon", "axon-open"])
def prior(request: pytest.FixtureRequest) -> Prior:
    return Prior.load(request.param)


def extensions_of(prior: Prior) -> np.ndarray:
    return np.array([float(extension(prior.nodes(latent), prior.tube, prior.ends)) for latent in prior.exemplars])


def test_no_member_of_a_family_has_an_unlikely_shape(model, protocol, prior) -> None:
    signal, rng, members = drawn(model, 0.02, 0), np.random.default_rng(90_000), extensions_of(prior)
    kinds = 20 * EFFECTS if prior.ends == "closed" else 100 * ("open",)
    axons = [closed_axon(rng, kind) if kind != "open" else open_axon(rng) for kind in kinds]
    if prior.ends == "closed":  # the stoutest that there are
        axons += [closed_axon(rng, "tapered", radius=4.0, length=12.0, taper=taper) for taper in (-0.5, 0.5)]
    for axon in axons:
        fit = run(model, protocol, signal, 0.02, found=extension_of(axon, prior), members=members)
        assert fit["explained"] is True, axon.parameters


@pytest.mark.parametrize(
    "fixed",
    [{"radius": 3.0, "length": 5.0}, {"radius": 0.5, "length": 8.0, "bend": 330.0}],
    ids=["as short as wide", "a ring"],
)
def test_what_no_member_looks_like_fails(model, protocol, fixed) -> None:
    prior = Prior.load("axon")
    axon = closed_axon(np.random.default_rng(0), "bent", **{"bend": 0.0, "plane_turn": 0.0, **fixed})
    coefficients = prior.basis.coefficients(axon.fields, np.log(axon.length))
    nodes = prior.basis.vertices(torch.as_tensor(coefficients), prior.tube).numpy()
    found = float(extension(nodes, prior.tube))
    fit = run(model, protocol, drawn(model, 0.02, 0), 0.02, found=found, members=extensions_of(prior))
    assert fit["failed"] == "shape"
