"""The posterior's covariance where the signal leaves something open."""

import numpy as np
import pytest

from napari_remidi.inversion.posterior import TURNED, posterior_covariance


def test_a_turn_that_no_signal_tells_is_known_to_less_than_a_turn() -> None:
    """About the axis of a round axon: without a bound its facets would seem to move."""
    jacobian = np.random.default_rng(0).standard_normal((50, 4)) * [30.0, 2.0, 0.0, 20.0]
    precision = np.array([1.0, 1.0, 0.0, 0.0])
    covariance = posterior_covariance(jacobian.T @ jacobian + np.diag(precision), precision)
    assert covariance[2, 2] == pytest.approx(1 / TURNED)
    assert np.allclose(covariance, covariance.T)
    assert np.linalg.eigvalsh(covariance).min() > 0
    known = np.ix_([0, 1, 3], [0, 1, 3])
    full = np.linalg.inv((jacobian.T @ jacobian + np.diag(precision))[known])
    assert covariance[known] == pytest.approx(full, rel=1e-2, abs=1e-6)


def test_noise_counted_wider_widens_what_the_signal_knows_and_not_the_prior() -> None:
    jacobian, precision = np.diag([10.0, 0.0]), np.ones(2)
    covariance = posterior_covariance(jacobian.T @ jacobian + np.diag(precision), precision, wider=2.0)
    assert np.diag(covariance) == pytest.approx([1 / 26, 1.0])
