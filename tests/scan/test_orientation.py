"""A direction in the world is the same however the scanner stored the image."""

import itertools

import nibabel
import numpy as np
import pytest
from dipy.core.gradients import gradient_table
from dipy.data import get_fnames
from dipy.reconst.dti import TensorModel
from tests.scan.measured import AXIS, DIRECTIONS, MARKED, SHAPE, SIGNAL, STRAIGHT, oblique, stored, write

from napari_remidi.scan import Scan, principal_direction

ORDERS = [
    (order, reverse)
    for order in itertools.permutations(range(3))
    for reverse in itertools.product([False, True], repeat=3)
]
ROUNDING = 1e-5  # of a stored float32


def angle(a, b):
    """Degrees between two axes, whatever their signs."""
    return np.degrees(np.arccos(min(abs(np.asarray(a) @ b), 1)))


def test_there_are_48_ways_to_store_an_image():
    assert len(ORDERS) == 48


@pytest.mark.parametrize("affine", [STRAIGHT, oblique()], ids=["straight", "oblique"])
def test_the_tensor_points_the_same_way_in_all_48_axis_orders(tmp_path, affine):
    for order, reverse in ORDERS:
        scan = Scan.open(write(tmp_path, stored(order, reverse, affine), name="dwi.nii"))
        assert angle(principal_direction(scan.voxel(*MARKED), scan.protocol), AXIS) < 0.05, (order, reverse)
        np.testing.assert_allclose(scan.protocol.bvecs, DIRECTIONS, atol=ROUNDING)


@pytest.mark.parametrize("affine", [STRAIGHT, oblique()], ids=["straight", "oblique"])
def test_every_axis_order_opens_as_the_same_canonical_image(tmp_path, affine):
    for order, reverse in ORDERS:
        scan = Scan.open(write(tmp_path, stored(order, reverse, affine), name="dwi.nii"))
        assert scan.shape == (*SHAPE, len(SIGNAL))
        np.testing.assert_allclose(scan.affine, affine, atol=ROUNDING * 10)
        np.testing.assert_allclose(scan.data[MARKED], 2000 * SIGNAL, rtol=ROUNDING)
        np.testing.assert_allclose(scan.world(*MARKED), (affine @ [*MARKED, 1])[:3], atol=ROUNDING * 100)


def test_camino_directions_follow_the_stored_axes(tmp_path):
    for order, reverse in ORDERS:
        image = stored(order, reverse, oblique())
        rows = np.column_stack([image.image_bvecs, np.where(SIGNAL < 1, 0.04, 0), np.tile([0.03, 0.01, 0.06], (21, 1))])
        np.savetxt(tmp_path / "dwi.scheme", rows, header="VERSION: 1", comments="", fmt="%.8f")
        scan = Scan.open(write(tmp_path, image, fsl=False))
        np.testing.assert_allclose(scan.protocol.bvecs, DIRECTIONS, atol=ROUNDING)


def test_mrtrix_directions_are_the_worlds(tmp_path):
    rows = np.column_stack([DIRECTIONS, np.where(SIGNAL < 1, 1000, 0)])
    np.savetxt(tmp_path / "dwi.b", rows, header="command_history: dwi2mask", comments="# ", fmt="%.8f")
    for order, reverse in ORDERS[::7]:
        scan = Scan.open(write(tmp_path, stored(order, reverse, oblique()), fsl=False))
        np.testing.assert_allclose(scan.protocol.bvecs, DIRECTIONS, atol=ROUNDING)


def test_arrays_in_any_order_become_canonical(tmp_path):
    protocol = Scan.open(write(tmp_path)).protocol
    image = stored((2, 0, 1), (True, False, True), oblique())
    scan = Scan.from_arrays(image.data, image.affine, protocol)
    np.testing.assert_allclose(scan.affine, oblique(), atol=1e-12)
    assert scan.metadata["stored_axes"] == "IRP"


def test_a_brains_fibres_continue_best_under_fsls_convention():
    """Of 24 ways to read the b-vectors (orders, one axis reversed), neighbours' fibres line up best in ours."""
    image, bvals, bvecs = get_fnames(name="small_64D")
    scan = Scan.open(image, bvals, bvecs)
    axes = np.asarray(nibabel.load(image).affine)[:3, :3] / 2.0
    assert np.linalg.det(axes) < 0
    raw = np.nan_to_num(np.loadtxt(bvecs))
    scores = {
        (order, signs): coherence(scan, raw[:, order] * signs @ axes.T)
        for order in itertools.permutations(range(3))
        for signs in ((1, 1, 1), (-1, 1, 1), (1, -1, 1), (1, 1, -1))
    }
    assert max(scores, key=scores.__getitem__) == ((0, 1, 2), (1, 1, 1))
    assert coherence(scan, scan.protocol.bvecs) == pytest.approx(max(scores.values()), rel=1e-5)


def coherence(scan, bvecs):
    """Share of anisotropic neighbours whose fibres point at each other, weighted by how parallel they are."""
    table = gradient_table(np.where(scan.protocol.is_b0, 0, scan.protocol.bvals), bvecs=bvecs, b0_threshold=0)
    fit = TensorModel(table).fit(np.maximum(np.asarray(scan.data, dtype=float), 1))
    anisotropy, fibre = np.nan_to_num(fit.fa), fit.evecs[..., 0]
    aligned = total = 0.0
    for step in itertools.product((-1, 0, 1), repeat=3):
        if step <= (0, 0, 0):
            continue
        towards = scan.affine[:3, :3] @ step
        towards /= np.linalg.norm(towards)
        here = tuple(slice(max(0, -s), min(n, n - s)) for s, n in zip(step, anisotropy.shape, strict=True))
        there = tuple(slice(max(0, s), min(n, n + s)) for s, n in zip(step, anisotropy.shape, strict=True))
        weight = anisotropy[here] * anisotropy[there] * ((anisotropy[here] > 0.25) & (anisotropy[there] > 0.25))
        at_each_other = np.minimum(abs(fibre[here] @ towards), abs(fibre[there] @ towards)) > np.cos(np.pi / 6)
        aligned += (weight * at_each_other * abs((fibre[here] * fibre[there]).sum(-1))).sum()
        total += weight.sum()
    return aligned / total
