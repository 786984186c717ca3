"""Shapes from a posterior, and the intervals that they give."""

import numpy as np
import pytest
import torch

from napari_remidi.inversion.samples import REACH, posterior_samples, with_intervals
from napari_remidi.physics import TetMesh
from napari_remidi.physics.mesh import signed_volumes
from napari_remidi.shapes import Prior
from napari_remidi.shapes.families import closed_axon
from napari_remidi.shapes.quantities import UNITS, quantities

FOLDS = "napari_remidi.inversion.samples.which_fold"


@pytest.fixture(scope="module")
def prior() -> Prior:
    return Prior.load("axon")


@pytest.fixture(scope="module")
def latent(prior: Prior) -> np.ndarray:
    return 0.5 * prior.sample(1, seed=2)[0]


def covariance_of(prior: Prior, sd: float) -> np.ndarray:
    return sd**2 * np.eye(prior.latent_dim + 3)


def test_samples_are_meshes_about_the_mean(prior, latent) -> None:
    points, turns = posterior_samples(prior, latent, covariance_of(prior, 0.02), 50)
    assert (len(points), turns.shape) == (50, (50, 3))
    for shape in points[:5]:
        TetMesh(shape, prior.tetrahedra)  # or an error
    np.testing.assert_allclose(points.mean(axis=1), 0, atol=1e-5)
    # a mean of 50 draws of sd 0.02, each coordinate of the vector
    assert np.abs(turns.mean(axis=0)).max() < 4 * 0.02 / np.sqrt(50)
    wide = posterior_samples(prior, latent, covariance_of(prior, 0.04), 50)[0]
    centre = prior.nodes(latent) - prior.nodes(latent).mean(axis=0)
    assert np.abs(wide - centre).mean() == pytest.approx(2 * np.abs(points - centre).mean(), rel=0.1)


def test_the_same_seed_draws_the_same(prior, latent) -> None:
    first, second = (posterior_samples(prior, latent, covariance_of(prior, 0.1), 5, seed=3)[0] for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(first, posterior_samples(prior, latent, covariance_of(prior, 0.1), 5, seed=4)[0])


def test_what_folds_is_not_drawn(prior, latent, monkeypatch) -> None:
    wide = covariance_of(prior, 3.0)
    monkeypatch.setattr(FOLDS, lambda shapes, _: np.zeros(len(shapes), dtype=bool))
    everything, _ = posterior_samples(prior, latent, wide, 100)
    monkeypatch.undo()
    points, _ = posterior_samples(prior, latent, wide, 100)
    assert min(signed_volumes(shape, prior.tetrahedra).min() for shape in everything) < 0
    assert min(signed_volumes(shape, prior.tetrahedra).min() for shape in points) > 0


def test_without_shapes_there_are_no_intervals(prior, latent, monkeypatch) -> None:
    monkeypatch.setattr(FOLDS, lambda shapes, _: np.ones(len(shapes), dtype=bool))
    points, turns = posterior_samples(prior, latent, covariance_of(prior, 0.1), 40)
    assert (points.shape, turns.shape) == ((0, prior.tube.layers * len(prior.tube.section), 3), (0, 3))
    found = with_intervals(prior, prior.nodes(latent), latent, covariance_of(prior, 0.1))["length"]
    assert (found["sd"], found["low"], found["high"]) == (None, None, None)
    assert found["value"] == pytest.approx(float(quantities(prior.nodes(latent), prior.tube)["length"]))


def test_samples_spread_as_the_vertices_do(prior, latent) -> None:
    """Also where the latent is hardly known, and a decoder is no longer linear."""
    covariance = covariance_of(prior, 0.2)
    points, _ = posterior_samples(prior, latent, covariance, 200)
    moves = prior.velocities(torch.as_tensor(latent, dtype=torch.float32)).double().numpy()
    moves = moves - moves.mean(axis=1, keepdims=True)
    expected = 0.2 * np.sqrt((moves**2).sum(axis=0))
    # 200 draws know an sd to 5 %, and a mean over all nodes is no better: they move together
    assert points.std(axis=0).mean() == pytest.approx(expected.mean(), rel=0.15)


def test_an_interval_reaches_no_beads_where_a_tenth_of_the_draws_has_none(prior) -> None:
    """On the coarse mesh of the draws a swelling is not quite as large as on the axon's own."""
    drawn = closed_axon(np.random.default_rng(5), "straight", radius=1.2, length=14.0)
    drawn.fields[2] += 0.15 * np.exp(-(((np.linspace(0, 1, drawn.fields.shape[1]) - 0.55) / 0.08) ** 2))
    latent = prior.encode_coefficients(prior.basis.coefficients(drawn.fields, np.log(drawn.length)))
    points, tube = prior.nodes(latent), prior.coarse.tube
    value = quantities(points, prior.tube)["bead_amplitude"]
    assert 0 < quantities(prior.tube.interpolated(points, tube), tube)["bead_amplitude"] < value
    found = with_intervals(prior, points, latent, covariance_of(prior, 0.3))["bead_amplitude"]
    assert (found["value"], found["low"]) == (value, 0.0)
    certain = with_intervals(prior, points, latent, covariance_of(prior, 0.01))["bead_amplitude"]
    assert 0 < certain["low"] < value < certain["high"]


def test_intervals_are_those_of_a_first_order_model_where_the_posterior_is_narrow(prior, latent) -> None:
    """The value ± 1.645 sd, with the sd of a linear function of the latent, times the quantity's factor."""
    sd = 0.01
    found = with_intervals(prior, prior.nodes(latent), latent, covariance_of(prior, sd))
    assert set(found) == set(UNITS)
    steps = sd * np.eye(prior.latent_dim)

    def lengths(latents: np.ndarray) -> np.ndarray:
        return quantities(prior.decode_points(torch.as_tensor(latents)).numpy(), prior.tube)["length"]

    linear = REACH["length"] * np.linalg.norm((lengths(latent + steps) - lengths(latent - steps)) / 2)
    length = found["length"]
    # 200 draws know an sd to 5 %, and their 90 % quantile to 7 %
    assert length["sd"] == pytest.approx(linear, rel=0.2)
    assert length["high"] - length["value"] == pytest.approx(1.645 * linear, rel=0.25)
    assert length["high"] + length["low"] == pytest.approx(2 * length["value"])
    assert length["unit"] == "µm"


def test_intervals_stop_at_what_is_possible(prior, latent) -> None:
    found = with_intervals(prior, prior.nodes(latent), latent, covariance_of(prior, 0.3))
    assert found["tortuosity"]["low"] >= 1
    assert all(quantity["low"] >= 0 for quantity in found.values())
