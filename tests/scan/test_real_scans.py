"""Public scans open as their documentation describes them."""

import numpy as np
import pytest
from dipy.data import get_fnames

from napari_remidi.errors import TimingError
from napari_remidi.scan import Scan, principal_direction


@pytest.fixture(scope="module")
def cord(cat_cord):
    return Scan.open(cat_cord.image, scheme=cat_cord.scheme)


def test_the_cat_spinal_cord_opens_with_its_scheme(cord):
    info = cord.info()
    assert info["shape"] == [64, 64, 1, 796]
    assert info["voxel_size_mm"] == [0.156, 0.156, 1.49]
    assert (info["delta_ms"], info["Delta_ms"]) == ([3.0], [30.0])
    assert info["timing_source"] == "scheme file 3D_qspace.scheme"
    assert info["b0_volumes"] == 16
    assert [shell["measurements"] for shell in info["shells"]] == [195] * 4
    assert [shell["b_s_per_mm2"] for shell in info["shells"]] == pytest.approx([41.5, 189.8, 1681.2, 6724.6], abs=0.1)
    assert info["max_gradient_mT_per_m"] == 600.4


def test_the_cords_four_series_are_normalised_each_by_its_own_b0s(cord):
    """Their raw b=0 means differ by 4 %, their repeats by 0.3 %."""
    first = np.array([0, 199, 398, 597])
    for voxel in ((12, 30, 0), (50, 30, 0), (31, 50, 0)):
        raw = np.asarray(cord.data[voxel], dtype=float)
        signal = cord.voxel(*voxel)
        series = [slice(start, start + 4) for start in first]
        assert np.ptp([raw[part].mean() for part in series]) > 0.02 * raw[:4].mean()
        assert [signal[part].mean() for part in series] == pytest.approx([1.0] * 4)


def test_the_cords_noise_is_that_of_its_b0_repeats(cord):
    assert cord.info()["noise_sd"] == pytest.approx(0.003, abs=0.0005)
    assert cord.noise_sd(12, 30, 0) == pytest.approx(0.003, abs=0.001)


def test_the_cords_fibres_run_along_its_slice_axis(cord):
    b0 = np.asarray(cord.data[:, :, 0][..., cord.protocol.is_b0], dtype=float).mean(-1)
    weighted = cord.protocol.shells[3].indices
    restricted = np.asarray(cord.data[:, :, 0][..., weighted], dtype=float).mean(-1) / np.maximum(b0, 1)
    white = np.argwhere((b0 > 0.5 * np.percentile(b0, 95)) & (restricted > np.median(restricted[b0 > 1e5])))
    along = [abs(principal_direction(cord.voxel(i, j, 0), cord.protocol)[2]) for i, j in white[::25]]
    assert np.median(along) > 0.98


@pytest.mark.parametrize(
    ("name", "axes", "size", "shape"),
    [("small_64D", "PLS", 2.0, [10, 10, 10, 65]), ("small_101D", "LAS", 2.5, [6, 10, 10, 102])],
)
def test_dipys_scans_open_upright_and_ask_for_timing(name, axes, size, shape):
    scan = Scan.open(*get_fnames(name=name))
    info = scan.info()
    assert (info["stored_axes"], info["shape"]) == (axes, shape)
    assert info["voxel_size_mm"] == pytest.approx([size] * 3, abs=1e-3)
    assert (np.argmax(np.abs(scan.affine[:3, :3]), axis=0) == [0, 1, 2]).all()
    assert (np.diag(scan.affine)[:3] > 0).all()
    assert (info["timing_source"], info["delta_ms"]) == ("not recorded", [])
    with pytest.raises(TimingError, match=r"'HCP WU-Minn' \(10\.6/43\.1\)"):
        scan.protocol.require_timing()
    scan.protocol.with_preset("HCP WU-Minn").require_timing()


def test_an_oblique_scan_keeps_its_tilt():
    scan = Scan.open(*get_fnames(name="small_64D"))
    assert scan.affine[2, 1] / scan.affine[1, 1] == pytest.approx(np.tan(np.radians(14.1)), rel=1e-2)
