"""Whatever is wrong with a scan, one sentence says what, where, and what to do."""

import json

import nibabel
import numpy as np
import pytest
from tests.scan.measured import BVALS, DIRECTIONS, SIGNAL, stored, write

from napari_remidi.errors import InputError, ProtocolError, ScanError, TimingError
from napari_remidi.scan import Protocol, Scan

NO_FILES = (
    "dwi.nii.gz: no gradients found (looked for dwi.bval with dwi.bvec, dwi.scheme and dwi.b): give the b-value and "
    "b-vector files, or a scheme"
)
SWAP = "delta is one pulse's duration, Delta the time from one pulse's start to the other's; swap them"


def message_of(kind, action):
    """The text of the error that an action raises; it must be one line."""
    with pytest.raises(kind) as error:
        action()
    assert isinstance(error.value, InputError)
    assert "\n" not in str(error.value)
    return str(error.value)


def opening(path, **options):
    return lambda: Scan.open(path, **options)


def test_no_such_image(tmp_path):
    assert message_of(ScanError, opening(tmp_path / "dwi.nii.gz")) == f"{tmp_path / 'dwi.nii.gz'}: no such file"


def test_no_image_at_all(tmp_path):
    (tmp_path / "dwi.nii.gz").write_text("hello")
    assert message_of(ScanError, opening(tmp_path / "dwi.nii.gz")) == (
        "dwi.nii.gz: not a NIfTI image that can be read; give a .nii or .nii.gz file"
    )


def test_a_3d_image(tmp_path):
    nibabel.save(nibabel.Nifti1Image(np.ones((4, 5, 6), np.float32), np.eye(4)), tmp_path / "t1.nii.gz")
    assert message_of(ScanError, opening(tmp_path / "t1.nii.gz")) == (
        "t1.nii.gz: the image is 3D (4×5×6); a diffusion scan is 4D, one volume per measurement"
    )


@pytest.mark.parametrize("name", ["dwi.nii.gz", "dwi.nii"])
def test_a_truncated_image(tmp_path, name):
    noise = np.random.default_rng(0).normal(size=(9, 9, 9, 21)).astype(np.float32)
    nibabel.save(nibabel.Nifti1Image(noise, np.eye(4)), tmp_path / name)
    whole = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(whole[: len(whole) // 2])
    assert message_of(ScanError, opening(tmp_path / name)) == (
        f"{name}: the file ends early or is damaged; copy or download it again"
    )


def test_no_gradients(tmp_path):
    assert message_of(ProtocolError, opening(write(tmp_path, fsl=False))) == NO_FILES


def test_a_missing_bvec(tmp_path):
    path = write(tmp_path)
    (tmp_path / "dwi.bvec").unlink()
    assert message_of(ProtocolError, opening(path)) == (
        "dwi.nii.gz: found dwi.bval but no .bvec file: give it, or a scheme file"
    )


def test_a_given_file_that_is_missing(tmp_path):
    missing = tmp_path / "no.scheme"
    assert message_of(ProtocolError, opening(write(tmp_path), scheme=missing)) == f"{missing}: no such file"


def test_too_few_b_values(tmp_path):
    assert message_of(ProtocolError, opening(write(tmp_path, bvals=BVALS[:7]))) == (
        "dwi.bval: 7 entries, but the image has 21 volumes: every volume needs one"
    )


def test_too_many_b_vectors(tmp_path):
    path = write(tmp_path, bvecs=np.vstack([DIRECTIONS, DIRECTIONS[1:2]]))
    assert message_of(ProtocolError, opening(path)) == (
        "dwi.bvec: 22 entries, but the image has 21 volumes: every volume needs one"
    )


def test_b_vectors_that_are_no_table(tmp_path):
    path = write(tmp_path)
    (tmp_path / "dwi.bvec").write_text("0 1\n0\n")
    assert message_of(ProtocolError, opening(path)) == ("dwi.bvec: not a table of numbers with rows of equal length")


def test_b_vectors_that_are_not_unit(tmp_path):
    bvecs = DIRECTIONS.copy()
    bvecs[[3, 8]] *= 0.5
    assert message_of(ProtocolError, opening(write(tmp_path, bvecs=bvecs))) == (
        "2 of 21 b-vectors are not unit vectors (volumes 3, 8; the first has length 0.5): normalise them, or check "
        "that the file holds directions"
    )


def test_b_vectors_that_are_nan_where_b_is_not_zero(tmp_path):
    bvecs = DIRECTIONS.copy()
    bvecs[[0, 12, 20]] = np.nan
    assert message_of(ProtocolError, opening(write(tmp_path, bvecs=bvecs))) == (
        "2 of 21 b-vectors are NaN (volumes 12, 20); b=0 volumes may have any direction, others must be unit vectors"
    )


def test_b_values_in_another_unit(tmp_path):
    assert message_of(ProtocolError, opening(write(tmp_path, bvals=BVALS / 1000))) == (
        "the largest b-value is 1 s/mm²: give s/mm² (1 ms/µm² is 1000 s/mm²)"
    )


def test_negative_b_values(tmp_path):
    assert message_of(ProtocolError, opening(write(tmp_path, bvals=-BVALS))) == (
        "20 of 21 b-values are negative; correct the b-value file"
    )


def test_no_b0(tmp_path):
    bvecs = np.vstack([DIRECTIONS[1], DIRECTIONS[1:]])
    assert message_of(ScanError, opening(write(tmp_path, bvals=BVALS + 500, bvecs=bvecs))) == (
        "dwi: no b=0 volume (the weakest has b = 500 s/mm²): S/S0 cannot be formed; add one, or correct the b-values"
    )


@pytest.mark.parametrize(
    ("delta", "Delta", "sentence"),
    [
        (43.1, 10.6, f"delta 43.1 ms is longer than Delta 10.6 ms (measurement 0): {SWAP}"),
        (0.0106, 0.0431, "delta is 0.0106 ms, which looks like seconds: give milliseconds (10.6)"),
        (10.6, 0.0431, "Delta is 0.0431 ms, which looks like seconds: give milliseconds (43.1)"),
        (10600, 43100, "delta is 10600 ms, which looks like microseconds: give milliseconds (10.6)"),
        (-1, 30, "delta is -1 ms: pulse timing must be positive"),
        ([5, 5], 30, "delta has 2 values for 21 measurements: give one, or one for each"),
        (10.6, None, "delta is given, but nothing records Delta: give both, in ms"),
        (None, 43.1, "Delta is given, but nothing records delta: give both, in ms"),
    ],
    ids=["swapped", "seconds", "Delta in seconds", "µs", "negative", "two of 21", "delta alone", "Delta alone"],
)
def test_timing_that_cannot_be(tmp_path, delta, Delta, sentence):
    assert message_of(TimingError, opening(write(tmp_path), delta=delta, Delta=Delta)) == sentence


@pytest.mark.parametrize(
    ("record", "sentence"),
    [
        (
            {"SmallDelta": 10.6, "BigDelta": 43.1},
            "dwi.json: SmallDelta is 10.6, which looks like milliseconds: BIDS records seconds (0.0106)",
        ),
        (
            {"SmallDelta": [0.01, 0.02], "BigDelta": 0.04},
            "dwi.json: SmallDelta has 2 values, but the image has 21 volumes",
        ),
        ({"SmallDelta": "long", "BigDelta": 0.04}, "dwi.json: SmallDelta is 'long': it must be a number of seconds"),
    ],
    ids=["ms", "two of 21", "text"],
)
def test_bids_timing_that_cannot_be(tmp_path, record, sentence):
    path = write(tmp_path)
    (tmp_path / "dwi.json").write_text(json.dumps(record))
    assert message_of(TimingError, opening(path)) == sentence


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "VERSION: STEJSKALTANNER\n" + "0 0 1 0.04 30 10 60\n" * 21,
            "dwi.scheme: Delta or delta up to 30 s; a scheme's times are seconds, not ms",
        ),
        (
            "VERSION: 1\n" + "0 0 1 40 0.03 0.01 0.06\n" * 21,
            "dwi.scheme: gradients up to 40 T/m; a scheme has T/m, not mT/m",
        ),
        (
            "VERSION: 3\n" + "0 0 1\n" * 21,
            "dwi.scheme: VERSION 3; the scheme must be STEJSKALTANNER (1) or BVECTOR (2)",
        ),
        (
            "0 0 1 0.04 0.03 0.01 0.06\n" * 21,
            "dwi.scheme: no VERSION line; a Camino scheme starts with 'VERSION: STEJSKALTANNER'",
        ),
        ("VERSION: 1\n" + "0 0 1 1000\n" * 21, "dwi.scheme: rows of 4 numbers; this kind of scheme needs 7"),
        (
            "VERSION: BVECTOR\n" + "0 0 1 1000\n" * 3,
            "dwi.scheme: 3 entries, but the image has 21 volumes: every volume needs one",
        ),
    ],
    ids=["ms", "mT/m", "version", "no version", "width", "count"],
)
def test_schemes_that_cannot_be(tmp_path, text, sentence):
    (tmp_path / "dwi.scheme").write_text(text)
    assert message_of(ProtocolError, opening(write(tmp_path, fsl=False))) == sentence


@pytest.fixture
def scan(tmp_path):
    opened = Scan.open(write(tmp_path), delta=10, Delta=30)
    return Scan.from_arrays(np.array(opened.data), opened.affine, opened.protocol, name="dwi")


def test_an_all_zero_voxel(scan):
    scan.data[1, 2, 0] = 0
    assert message_of(ScanError, lambda: scan.voxel(1, 2, 0)) == (
        "voxel (1, 2, 0): the signal is zero throughout (outside the tissue?); choose another voxel"
    )


def test_a_voxel_with_nan(scan):
    scan.data[1, 2, 0, 5:8] = np.nan
    assert message_of(ScanError, lambda: scan.voxel(1, 2, 0)) == (
        "voxel (1, 2, 0): 3 of 21 values are NaN or infinite; choose another voxel"
    )


def test_a_negative_signal(scan):
    scan.data[1, 2, 0, 5] *= -1
    assert message_of(ScanError, lambda: scan.voxel(1, 2, 0)) == (
        "voxel (1, 2, 0): 1 of 21 values are negative; reconstruct from the magnitude image"
    )


def test_a_voxel_without_b0_signal(scan):
    scan.data[1, 2, 0, 0] = 0
    assert message_of(ScanError, lambda: scan.voxel(1, 2, 0)) == (
        "voxel (1, 2, 0): the b=0 signal is zero; choose another voxel"
    )


@pytest.mark.parametrize("voxel", [(5, 0, 0), (0, -1, 0)])
def test_a_voxel_outside(scan, voxel):
    assert message_of(ScanError, lambda: scan.voxel(*voxel)) == (
        f"voxel {voxel} is outside dwi: indices run from (0, 0, 0) to (4, 3, 2)"
    )


def test_an_empty_mask(scan):
    assert message_of(ScanError, lambda: scan.mean(np.zeros((5, 4, 3)))) == (
        "the mask is empty: mark at least one voxel"
    )


def test_a_mask_of_another_shape(scan):
    assert message_of(ScanError, lambda: scan.mean(np.ones((2, 2, 2)))) == (
        "the mask has shape (2, 2, 2), the scan (5, 4, 3): they must be the same"
    )


def test_a_protocol_of_another_length(scan):
    assert message_of(ScanError, lambda: scan.with_protocol(scan.protocol.subset(range(5)))) == (
        "dwi: 21 volumes, but 5 measurements in the protocol"
    )


def test_no_b0_of_the_same_echo_time():
    te = np.r_[60, np.full(20, 90.0)]
    protocol = Protocol.pgse(BVALS, DIRECTIONS, 10, 30, te=te)
    assert message_of(ScanError, lambda: Scan.from_arrays(stored().data, np.eye(4), protocol)) == (
        "no b=0 volume has the echo time 90 ms of 20 measurements (the nearest has 60 ms): S/S0 would hold T2 decay; "
        "add one, or correct the echo times"
    )


def test_an_affine_that_maps_nothing():
    protocol = Protocol.pgse(BVALS, DIRECTIONS, 10, 30)
    assert message_of(ScanError, lambda: Scan.from_arrays(stored().data, np.zeros((4, 4)), protocol)) == (
        "scan: the affine does not map voxels to the world; correct the file's header"
    )


def test_complex_data():
    protocol = Protocol.pgse(BVALS, DIRECTIONS, 10, 30)
    data = np.broadcast_to(SIGNAL.astype(np.complex64), (1, 1, 1, 21))
    assert message_of(ScanError, lambda: Scan.from_arrays(data, np.eye(4), protocol)) == (
        "scan: the image holds complex numbers; give the magnitude image"
    )
