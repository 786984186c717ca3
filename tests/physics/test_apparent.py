"""Apparent diffusivity and kurtosis: what went in comes out."""

import meshes
import numpy as np
import pytest
from numpy.typing import NDArray

from napari_remidi.errors import InputError, ProtocolError
from napari_remidi.physics import simulate
from napari_remidi.physics.apparent import apparent_diffusion, tensor_diffusion
from napari_remidi.physics.limits import gaussian_phase
from napari_remidi.scan import Protocol
from napari_remidi.scan.protocol import spread_directions

TENSOR = np.array([[1.7, 0.2, 0.1], [0.2, 0.6, 0.0], [0.1, 0.0, 0.4]])


def shells(bvals: list[float], directions: NDArray, Delta: tuple[float, ...] = (20.0,)) -> Protocol:
    b, D, which = (
        axis.ravel() for axis in np.meshgrid([0.0, *bvals], Delta, np.arange(len(directions)), indexing="ij")
    )
    return Protocol.pgse(b, directions[which.astype(int)], 5.0, D)


@pytest.fixture
def protocol() -> Protocol:
    return shells([500.0, 1000.0, 2000.0, 9000.0], spread_directions(30), (20.0, 40.0))


def quadratic(protocol: Protocol, kurtosis: float = 0.8) -> NDArray:
    b, along = protocol.bvals / 1000, np.einsum("mi,ij,mj->m", protocol.bvecs, TENSOR, protocol.bvecs)
    return np.exp(-b * along + (b * along) ** 2 * kurtosis / 6)


def test_a_known_tensor_and_kurtosis_come_back(protocol: Protocol) -> None:
    """The series in b that the signal is made of is the one that is fitted, so only rounding is between."""
    short, long = apparent_diffusion(quadratic(protocol), protocol)
    assert (short.delta, short.Delta, long.Delta) == (5.0, 20.0, 40.0)
    expected = np.einsum("ki,ij,kj->k", short.directions, TENSOR, short.directions)
    assert short.diffusivity == pytest.approx(expected)
    assert short.kurtosis == pytest.approx(0.8)
    assert short.mean_kurtosis == pytest.approx(0.8)
    assert long.mean_diffusivity == pytest.approx(expected.mean())


def test_the_tensor_is_dipys(protocol: Protocol) -> None:
    found, _ = tensor_diffusion(quadratic(protocol, 0.0), protocol)
    assert found.tensor == pytest.approx(TENSOR, abs=1e-5)
    assert found.mean_diffusivity == pytest.approx(np.trace(TENSOR) / 3, rel=1e-4)
    assert found.mean_kurtosis == pytest.approx(0, abs=1e-3)
    with_kurtosis, _ = tensor_diffusion(quadratic(protocol), protocol)
    by_direction, _ = apparent_diffusion(quadratic(protocol), protocol)
    # K is 0.8 in every direction, though no kurtosis tensor of rank four is quite so: 2 %
    assert with_kurtosis.mean_kurtosis == pytest.approx(by_direction.mean_kurtosis, rel=0.02)


def test_one_shell_gives_a_diffusivity_and_no_kurtosis() -> None:
    protocol = shells([1000.0], spread_directions(10))
    (found,) = apparent_diffusion(quadratic(protocol, 0.0), protocol)
    assert np.isnan(found.kurtosis).all()
    assert np.isnan(found.mean_kurtosis)
    assert found.diffusivity == pytest.approx(np.einsum("ki,ij,kj->k", found.directions, TENSOR, found.directions))
    assert np.isnan(tensor_diffusion(quadratic(protocol, 0.0), protocol)[0].mean_kurtosis)


def test_opposite_directions_are_one() -> None:
    directions = np.vstack([spread_directions(6), -spread_directions(6)])
    protocol = shells([500.0, 1000.0], directions)
    (found,) = apparent_diffusion(quadratic(protocol), protocol)
    assert len(found.directions) == 6


def test_a_ball_has_the_diffusivity_of_theory_and_negative_kurtosis() -> None:
    """Restricted diffusion: the cumulant series of a closed cell turns down, and to first order in b it is known.

    The coarse ball's surface is 1 % off in size.
    """
    protocol = shells([200.0, 400.0, 800.0], np.array([[0, 0, 1.0]]))
    (found,) = apparent_diffusion(simulate(meshes.ball(8, 4.0), protocol, device="cpu"), protocol)
    theory = gaussian_phase("sphere", 4.0, 1.0, 5.0, 20.0, 2.0) / (25 * (20 - 5 / 3))
    assert found.diffusivity[0] == pytest.approx(float(theory), rel=0.02)
    assert found.kurtosis[0] < 0


def test_what_cannot_be_fitted_is_refused() -> None:
    protocol = shells([3000.0, 5000.0], spread_directions(5))
    signal = quadratic(protocol)
    with pytest.raises(ProtocolError, match=r"no pulsed-gradient measurement lies between b = 0 and 2500 s/mm² \(the "):
        apparent_diffusion(signal, protocol)
    with pytest.raises(ProtocolError, match="has 5 directions with b up to 5000 s/mm²; a tensor needs 6"):
        tensor_diffusion(signal, protocol, highest_b=5000)
    with pytest.raises(InputError, match=r"the signal has shape \(3,\), the protocol 15 measurements"):
        apparent_diffusion(signal[:3], protocol)
    signal[7] = 0
    with pytest.raises(InputError, match="1 of 10 signals are not positive \\(the first is measurement 7\\)"):
        apparent_diffusion(signal, protocol, highest_b=5000)
