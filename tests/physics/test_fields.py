"""Fields on a mesh: modes and magnetisation are those of the signal."""

import meshes
import numpy as np
import pytest
import torch

from napari_remidi.errors import InputError
from napari_remidi.physics import TetMesh, simulate
from napari_remidi.physics.fields import eigenfunctions, magnetisation, surface_values
from napari_remidi.physics.matrices.assembly import Topology
from napari_remidi.physics.reduction.modes import MASS
from napari_remidi.scan import Protocol

PROTOCOL = Protocol.pgse([0.0, 1000.0, 6000.0], [[0, 0, 0], [0.6, 0, 0.8], [0.6, 0, 0.8]], 5.0, 20.0)


@pytest.fixture(scope="module")
def mesh() -> TetMesh:
    straight = meshes.cylinder(3, 2.0, 8.0)
    x, y, z = straight.points.T
    return TetMesh(np.stack([x + 0.04 * (z - 4) ** 2, y, z + 30], axis=1), straight.tetrahedra)


def mean_over_volume(mesh: TetMesh, values: np.ndarray) -> np.ndarray:
    """(1/V) ∫ of fields given at the nodes, (..., n)."""
    return values[..., mesh.tetrahedra].mean(axis=-1) @ mesh.volumes / mesh.volume


def test_modes_are_orthonormal_and_the_first_is_one(mesh: TetMesh) -> None:
    rates, values = eigenfunctions(mesh, 12)
    topology = Topology.of(mesh.tetrahedra)
    mass = topology.scipy(topology.entries(torch.tensor(mesh.points))[MASS])
    assert values.T @ (mass @ values) / mesh.volume == pytest.approx(np.eye(12), abs=1e-9)
    assert rates[0] == pytest.approx(0, abs=1e-9)
    assert values[:, 0] == pytest.approx(1)
    assert (np.diff(rates) >= 0).all()
    # along 8 µm the slowest mode is half a wave, a little longer for the bend; linear elements come out stiffer
    assert rates[1] == pytest.approx((np.pi / 8) ** 2, rel=0.05)


def test_the_magnetisation_is_one_at_the_start_and_without_gradient(mesh: TetMesh) -> None:
    assert magnetisation(mesh, PROTOCOL, 2, [0.0])[0] == pytest.approx(1)
    assert magnetisation(mesh, PROTOCOL, 0, [0.0, 12.0]) == pytest.approx(1)


@pytest.mark.parametrize("measurement", [1, 2])
def test_the_echo_is_the_magnetisations_mean(mesh: TetMesh, measurement: int) -> None:
    """Exponentials here, Strang steps there: they agree to the steps' 5e-5, beyond float32's 1e-6."""
    signal = simulate(mesh, PROTOCOL, device="cpu", modes=80, dtype=torch.float64)
    field = magnetisation(mesh, PROTOCOL, measurement, [25.0], modes=80)
    mean = mean_over_volume(mesh, field)[0]
    assert mean.real == pytest.approx(signal[measurement], abs=1e-4)
    assert mean.imag == pytest.approx(0, abs=1e-9)


def test_a_pulse_winds_the_phase_along_the_gradient(mesh: TetMesh) -> None:
    """Before spins have moved far the phase is −q t g·(x − centroid), to √(D t) = 0.2 µm times q t: 1e-3 rad."""
    t = 0.02
    field = magnetisation(mesh, PROTOCOL, 2, [t], modes=150)[0]
    centroid = mean_over_volume(mesh, mesh.points.T)
    phase = -PROTOCOL.q[2] * t * (mesh.points - centroid) @ PROTOCOL.bvecs[2]
    assert np.angle(field) == pytest.approx(phase, abs=1e-3)


def test_times_may_come_in_any_order(mesh: TetMesh) -> None:
    times = np.array([25.0, 3.0, 20.0, 0.0, 12.0])
    together = magnetisation(mesh, PROTOCOL, 2, times, modes=40)
    for row, time in zip(together, times, strict=True):
        assert row == pytest.approx(magnetisation(mesh, PROTOCOL, 2, [time], modes=40)[0], abs=1e-9)


def test_a_surface_keeps_its_own_nodes_and_their_values(mesh: TetMesh) -> None:
    vertices, faces, values = surface_values(mesh, np.stack([mesh.points[:, 2], -mesh.points[:, 2]]))
    assert values.shape == (2, len(vertices))
    assert values[0] == pytest.approx(vertices[:, 2])
    assert faces.max() == len(vertices) - 1
    assert vertices[faces] == pytest.approx(mesh.points[mesh.boundary])


def test_impossible_fields_are_refused(mesh: TetMesh) -> None:
    with pytest.raises(InputError, match="1 of 2 times are outside the measurement: it lasts from 0 to 25 ms"):
        magnetisation(mesh, PROTOCOL, 1, [3.0, 26.0])
    with pytest.raises(InputError, match="measurement 3 of 3: count from 0"):
        magnetisation(mesh, PROTOCOL, 3, [0.0])
    with pytest.raises(InputError, match="0 modes of a mesh with"):
        eigenfunctions(mesh, 0)
    with pytest.raises(InputError, match=r"values have shape \(3,\); the last axis must be the mesh's"):
        surface_values(mesh, [1.0, 2.0, 3.0])
