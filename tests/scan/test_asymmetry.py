"""Signals that are the same all around an axis, and those that are not."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from napari_remidi.scan import Protocol, spread_directions
from napari_remidi.scan.asymmetry import asymmetry

NOISE = 0.02
TURN = Rotation.random(random_state=2).as_matrix()
PROTOCOL = Protocol.pgse(
    np.repeat([0.0, 1000, 3000, 10000], [4, 30, 30, 30]),
    np.concatenate([np.zeros((4, 3)), *[spread_directions(30)] * 3]),
    5.0,
    25.0,
)


def signal_of(rates: list[float], seed: int) -> np.ndarray:
    """Of free diffusion with three rates, µm²/ms, and noise."""
    along = PROTOCOL.bvecs @ TURN
    clean = np.exp(-PROTOCOL.bvals / 1000 * (along**2 @ np.array(rates)))
    return clean + NOISE * np.random.default_rng(seed).standard_normal(len(clean))


@pytest.mark.parametrize("seed", range(5))
def test_a_rod_is_the_same_all_around_also_about_an_axis_that_is_a_little_off(seed: int) -> None:
    off = Rotation.from_rotvec(np.deg2rad([2.0, 0.0, 0.0])).as_matrix() @ TURN[:, 2]
    for axis in (TURN[:, 2], off):
        assert abs(asymmetry(signal_of([0.1, 0.1, 1.8], seed), PROTOCOL, axis, NOISE)) < 4


@pytest.mark.parametrize("seed", range(5))
def test_a_blade_is_not(seed: int) -> None:
    assert asymmetry(signal_of([0.1, 0.3, 1.8], seed), PROTOCOL, TURN[:, 2], NOISE) > 10


def test_few_directions_tell_nothing() -> None:
    few = PROTOCOL.subset(np.r_[0, np.arange(4, 94, 3)])
    assert asymmetry(np.ones(len(few)), few, TURN[:, 2], NOISE) == -np.inf
