"""What smoothness over directions says about a signal's noise."""

import numpy as np
import pytest

from napari_remidi.scan import Protocol, noise_of, spread_directions


@pytest.mark.parametrize("noise_sd", [0.01, 0.1])
def test_the_noise_of_a_smooth_signal_is_found(noise_sd: float) -> None:
    directions = spread_directions(60)
    protocol = Protocol.pgse(
        np.repeat([0, 1000, 2000], [1, 60, 60]), np.r_[[[0, 0, 0]], directions, directions], 10, 40
    )
    along = np.abs(protocol.bvecs @ [0.6, 0, 0.8])
    clean = np.exp(-protocol.bvals / 1000 * (0.3 + 0.9 * along**2))
    noisy = clean + noise_sd * np.random.default_rng(0).standard_normal(len(clean))
    # 64 degrees of freedom: one sd of the estimate is 9 %
    assert noise_of(noisy, protocol) == pytest.approx(noise_sd, rel=0.27)


def test_too_few_directions_say_nothing() -> None:
    protocol = Protocol.pgse([0, 1000, 1000, 1000], np.r_[[[0, 0, 0]], np.eye(3)], 10, 40)
    assert noise_of([1, 0.5, 0.4, 0.3], protocol) is None
