"""Gradients and timing are found and read as each format writes them, and every number says where it came from."""

import json

import nibabel
import numpy as np
import pytest
from tests.scan.measured import BVALS, DIRECTIONS, SIGNAL, stored, write

from napari_remidi.scan import Scan

WRITTEN = 1e-6  # digits in the files


def scheme_text(version="STEJSKALTANNER", te=0.06):
    image = stored()
    b = BVALS * 1e6
    strength = np.sqrt(b / (0.03 - 0.01 / 3)) / (267.522e6 * 0.01)
    rows = np.column_stack([image.image_bvecs, strength, np.tile([0.03, 0.01, te], (len(b), 1))])
    return f"# made by hand\nVERSION: {version}\n" + "\n".join(" ".join(f"{x:.9f}" for x in row) for row in rows)


def check(scan, b=BVALS):
    np.testing.assert_allclose(scan.protocol.bvals, b, atol=0.01)
    np.testing.assert_allclose(scan.protocol.bvecs, DIRECTIONS, atol=10 * WRITTEN)
    np.testing.assert_allclose(scan.voxel(0, 0, 0), SIGNAL, rtol=1e-5)


@pytest.mark.parametrize("transposed", [False, True], ids=["rows", "columns"])
def test_fsl_files_with_rows_or_columns(tmp_path, transposed):
    path = write(tmp_path)
    if transposed:
        np.savetxt(tmp_path / "dwi.bvec", stored().fsl_bvecs)
        np.savetxt(tmp_path / "dwi.bval", BVALS)
    check(Scan.open(path))


def test_three_volumes_read_as_three_rows_of_components(tmp_path):
    path = tmp_path / "dwi.nii"
    nibabel.save(nibabel.Nifti1Image(np.ones((2, 2, 2, 3), np.float32), np.diag([-1.0, 1, 1, 1])), path)
    (tmp_path / "dwi.bval").write_text("0 1000 1000\n")
    (tmp_path / "dwi.bvec").write_text("0 0.6 0\n0 0.8 0\n0 0 1\n")
    np.testing.assert_allclose(Scan.open(path).protocol.bvecs[1], [-0.6, 0.8, 0])


def test_b_vectors_that_are_nan_at_b0(tmp_path):
    bvecs = stored().fsl_bvecs
    bvecs[0] = np.nan
    check(Scan.open(write(tmp_path, bvecs=bvecs)))


def test_commas_byte_order_marks_and_blank_lines(tmp_path):
    path = write(tmp_path)
    (tmp_path / "dwi.bval").write_text("\ufeff" + ", ".join(f"{b:g}" for b in BVALS) + "\n\n", encoding="utf-8")
    check(Scan.open(path))


@pytest.mark.parametrize("names", [("dwi.bvals", "dwi.bvecs"), ("bvals", "bvecs")])
def test_files_beside_the_image_are_found(tmp_path, names):
    path = write(tmp_path)
    for suffix, name in zip(("bval", "bvec"), names, strict=True):
        (tmp_path / f"dwi.{suffix}").rename(tmp_path / name)
    check(Scan.open(path))


def test_files_that_are_given_come_first(tmp_path):
    path = write(tmp_path)
    np.savetxt(tmp_path / "other.bval", [2 * BVALS])
    check(Scan.open(path, bvals=tmp_path / "other.bval"), 2 * BVALS)


@pytest.mark.parametrize("version", ["STEJSKALTANNER", "stejskaltanner", "1"])
def test_a_camino_scheme_brings_its_timing_in_ms(tmp_path, version):
    (tmp_path / "dwi.scheme").write_text(scheme_text(version))
    scan = Scan.open(write(tmp_path, fsl=False))
    check(scan)
    assert set(scan.protocol.delta) == {10}
    assert set(scan.protocol.Delta) == {30}
    np.testing.assert_allclose(scan.protocol.te, 60)
    assert scan.protocol.timing_source == "scheme file dwi.scheme"


def test_a_scheme_of_any_name_can_be_given(tmp_path):
    (tmp_path / "protocol.txt").write_text(scheme_text())
    check(Scan.open(write(tmp_path), scheme=tmp_path / "protocol.txt"))


@pytest.mark.parametrize("unit", [1.0, 1e6], ids=["s/mm²", "s/m²"])
def test_a_camino_b_vector_scheme(tmp_path, unit):
    rows = np.column_stack([stored().image_bvecs, BVALS * unit])
    np.savetxt(tmp_path / "dwi.scheme", rows, header="VERSION: BVECTOR", comments="")
    scan = Scan.open(write(tmp_path, fsl=False))
    check(scan)
    assert not scan.protocol.has_timing


@pytest.mark.parametrize("name", ["dwi.b", "grad.txt"])
def test_an_mrtrix_table(tmp_path, name):
    np.savetxt(tmp_path / name, np.column_stack([DIRECTIONS, BVALS]))
    check(Scan.open(write(tmp_path, fsl=False), scheme=tmp_path / name))


@pytest.mark.parametrize(
    "keys", [("SmallDelta", "BigDelta"), ("DiffusionGradientDuration", "DiffusionGradientSeparation")]
)
def test_bids_timing_is_in_seconds(tmp_path, keys):
    path = write(tmp_path)
    (tmp_path / "dwi.json").write_text(json.dumps({keys[0]: 0.0106, keys[1]: 0.0431, "EchoTime": 0.0895}))
    protocol = Scan.open(path).protocol
    np.testing.assert_allclose(protocol.delta, 10.6)
    np.testing.assert_allclose(protocol.Delta, 43.1)
    assert protocol.timing_source == f"{keys[0]} and {keys[1]} in dwi.json"


def test_bids_timing_of_every_volume_with_none_at_b0(tmp_path):
    path = write(tmp_path)
    record = {"SmallDelta": [0, *[0.01] * 20], "BigDelta": [None, *[0.02] * 10, *[0.04] * 10]}
    (tmp_path / "dwi.json").write_text(json.dumps(record))
    protocol = Scan.open(path).protocol
    assert protocol.has_timing
    assert [shell.Delta for shell in protocol.shells] == [20, 40]


def test_a_sidecar_without_timing_leaves_it_unknown(tmp_path):
    path = write(tmp_path)
    (tmp_path / "dwi.json").write_text('{"EchoTime": 0.09}')
    assert not Scan.open(path).protocol.has_timing


def test_one_recorded_time_is_completed_by_a_typed_one(tmp_path):
    path = write(tmp_path)
    (tmp_path / "dwi.json").write_text('{"SmallDelta": 0.0106}')
    protocol = Scan.open(path, Delta=43.1).protocol
    assert protocol.has_timing
    assert protocol.timing_source == "SmallDelta in dwi.json; Delta typed"


def test_typed_timing_overrules_recorded_timing(tmp_path):
    (tmp_path / "dwi.scheme").write_text(scheme_text())
    protocol = Scan.open(write(tmp_path, fsl=False), delta=3, Delta=20).protocol
    assert set(protocol.delta) == {3}
    assert protocol.timing_source == "typed"


def test_scaled_integers_are_read_as_scaled(tmp_path):
    path = write(tmp_path)
    image = stored()
    nibabel.save(nibabel.Nifti1Image(image.data, image.affine, dtype=np.int16), path)
    scan = Scan.open(path)
    assert scan.data.dtype == np.float32
    np.testing.assert_allclose(scan.voxel(0, 0, 0), SIGNAL, atol=1e-4)  # 16 bits over a range of 2000


def test_an_uncompressed_file_is_mapped_and_not_read(tmp_path):
    write(tmp_path, stored((1, 0, 2), (True, False, False)), name="dwi.nii")
    data = Scan.open(tmp_path / "dwi.nii").data
    while isinstance(data, np.ndarray) and not isinstance(data, np.memmap):
        data = data.base
    assert isinstance(data, np.memmap)
