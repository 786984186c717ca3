"""The phantom: known shapes, known noise, the same every time."""

import numpy as np
import pytest
import trimesh

from napari_remidi.errors import InputError
from napari_remidi.inversion.noise import rician_mean, rician_sd
from napari_remidi.physics import simulate
from napari_remidi.shapes import Prior, make_phantom
from napari_remidi.shapes.families import closed_axon
from napari_remidi.shapes.phantom import AXONS


@pytest.fixture(scope="module")
def phantom():
    return make_phantom(snr=50, seed=0, voxels=2)


def test_it_lists_the_truth_of_every_voxel(phantom) -> None:
    truths = phantom.metadata["truth"]
    assert [truth["voxel"] for truth in truths] == [(0, 0, 0), (1, 0, 0)]
    for truth in truths:
        assert trimesh.Trimesh(truth["points"], truth["faces"], process=False).is_watertight


def test_the_template_s_signal_of_the_truth_differs_by_noise_alone(phantom) -> None:
    """Simulated on another, coarser mesh, the true shape leaves residuals of the noise's size."""
    truth, (kind, fixed) = phantom.metadata["truth"][1], AXONS[1]
    axon = closed_axon(np.random.default_rng([0, 1]), kind, **fixed)
    prior = Prior.load("axon")
    latent = prior.encode_coefficients(prior.basis.coefficients(axon.fields, np.log(axon.length)))
    mesh = prior.decode(latent)
    turned = type(mesh)(mesh.points @ truth["rotation"].T, mesh.tetrahedra)
    expected = simulate(turned, phantom.protocol, phantom.metadata["diffusivity"], device="cpu")
    noise_sd = phantom.metadata["noise_sd"]
    misfit = (phantom.voxel(1, 0, 0) - rician_mean(expected, noise_sd)) / rician_sd(expected, noise_sd)
    weighted = ~phantom.protocol.is_b0
    # 1800 measurements: 1 ± 4 · √(2/1800), and what the mean of 30 b=0 values adds
    assert (misfit[weighted] ** 2).mean() == pytest.approx(1.0, abs=0.2)


def test_the_same_seed_makes_the_same_scan(phantom) -> None:
    again, other = make_phantom(seed=0, voxels=1), make_phantom(seed=1, voxels=1)
    np.testing.assert_array_equal(again.data[0, 0, 0], phantom.data[0, 0, 0])
    assert not np.array_equal(other.data[0, 0, 0], phantom.data[0, 0, 0])


def test_the_noise_is_as_said(phantom) -> None:
    assert phantom.noise_sd(1, 0, 0) == pytest.approx(0.02, rel=0.3)


def test_an_snr_that_is_not_positive_is_refused() -> None:
    with pytest.raises(InputError, match=r"^snr is 0; it must be positive$"):
        make_phantom(snr=0)
