"""S/S0 by the right b=0 volumes, and the noise that their repeats show."""

import numpy as np
import pytest

from napari_remidi.scan import Protocol, Scan


def series_scan(gains, te, noise=0.0, repeats=4, seed=0):
    """Two by two voxels measured in several series, each scaled by its own gain."""
    weighted = 30
    b = np.tile(np.r_[np.zeros(repeats), np.full(weighted, 1000.0)], len(gains))
    g = np.tile([0.0, 0, 1], (len(b), 1))
    count = repeats + weighted
    protocol = Protocol.pgse(b, g, 10, 30, te=None if te is None else np.repeat(te, count))
    truth = np.where(b > 0, 0.4, 1.0)
    rng = np.random.default_rng(seed)
    data = 500 * np.repeat(gains, count) * (truth + noise * rng.normal(size=(6, 6, 2, len(b))))
    return Scan.from_arrays(data, np.eye(4), protocol), truth


def test_series_with_their_own_gain_are_normalised_one_by_one():
    """Echo times a few µs apart mark series that the scanner scaled differently."""
    scan, truth = series_scan([1.0, 1.02, 0.97], [47.168, 47.184, 47.224])
    np.testing.assert_allclose(scan.voxel(0, 0, 0), truth, rtol=1e-12)


def test_echo_times_that_jitter_share_their_b0s():
    b = np.r_[0.0, 0, np.full(20, 1000.0)]
    te = np.r_[60.0, 60, 60 + 0.02 * np.arange(20)]
    protocol = Protocol.pgse(b, np.tile([0.0, 0, 1], (22, 1)), 10, 30, te=te)
    scan = Scan.from_arrays(np.where(b > 0, 40.0, [100.0] * 22).reshape(1, 1, 1, 22), np.eye(4), protocol)
    np.testing.assert_allclose(scan.voxel(0, 0, 0)[2:], 0.4)


def test_echo_times_far_apart_have_their_own_b0s():
    scan, truth = series_scan([1.0, 0.5], [60, 90])
    np.testing.assert_allclose(scan.voxel(0, 0, 0), truth, rtol=1e-12)


def test_b0s_without_an_echo_time_serve_all():
    b = np.r_[0.0, np.full(4, 1000.0)]
    protocol = Protocol.pgse(b, np.tile([0.0, 0, 1], (5, 1)), 10, 30, te=np.r_[0, np.full(4, 60.0)])
    scan = Scan.from_arrays(np.array([100.0, 40, 40, 40, 40]).reshape(1, 1, 1, 5), np.eye(4), protocol)
    np.testing.assert_allclose(scan.voxel(0, 0, 0)[1:], 0.4)


@pytest.mark.parametrize("sigma", [0.003, 0.02, 0.05])
def test_repeats_show_the_noise(sigma):
    scan, _ = series_scan([1.0, 1.04], [47.168, 47.184], noise=sigma)
    freedom = 27 * 2 * 3  # neighbours, series, repeats less one
    assert scan.noise_sd(2, 2, 1) == pytest.approx(sigma, rel=4 / np.sqrt(2 * freedom))


def test_the_whole_scan_shows_the_noise_where_neighbours_are_few():
    scan, _ = series_scan([1.0], [60], noise=0.02, repeats=2)
    dark = np.array(scan.data)
    dark[:3, :3] = 0
    dark[0, 0, 0] = scan.data[0, 0, 0]
    lone = Scan.from_arrays(dark, np.eye(4), scan.protocol)
    assert lone.noise_sd(0, 0, 0) == pytest.approx(0.02, rel=0.35)  # 54 differences: 10 %


def test_one_b0_shows_no_noise():
    scan, _ = series_scan([1.0], None, noise=0.02, repeats=1)
    assert scan.noise_sd(1, 1, 1) is None
    assert scan.info()["noise_sd"] is None


def test_a_masks_mean_has_less_noise_than_its_voxels():
    scan, truth = series_scan([1.0], None, noise=0.02)
    mask = np.ones((6, 6, 2), dtype=bool)
    assert np.std(scan.mean(mask) - truth) < 0.3 * np.std(scan.voxel(0, 0, 0) - truth)
