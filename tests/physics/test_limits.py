"""Limits that have a formula: among themselves, and against the simulator in the regimes where they hold."""

import exact
import meshes
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from napari_remidi.errors import InputError
from napari_remidi.physics import TetMesh, simulate
from napari_remidi.physics.apparent import apparent_diffusion
from napari_remidi.physics.fields import magnetisation
from napari_remidi.physics.limits import (
    DIMENSIONS,
    gaussian_phase,
    long_time_diffusivity,
    motional_narrowing,
    projected_area,
    short_time_diffusivity,
)
from napari_remidi.scan import Protocol
from napari_remidi.scan.protocol import spread_directions

DIFFUSIVITY = 2.0


def adc(mesh: TetMesh, delta: float, Delta: float, directions: NDArray, modes: int | None = None) -> NDArray:
    """Apparent diffusivity from two weak gradients, the second cumulant fitted beside it."""
    b, which = (axis.ravel() for axis in np.meshgrid([0.0, 50.0, 100.0], range(len(directions)), indexing="ij"))
    protocol = Protocol.pgse(b, directions[which.astype(int)], delta, Delta)
    signal = simulate(mesh, protocol, DIFFUSIVITY, device="cpu", modes=modes, dtype=torch.float64)
    (found,) = apparent_diffusion(signal, protocol)
    order = [int(np.argmin(np.abs(found.directions - u).sum(axis=1))) for u in directions]
    return found.diffusivity[order]


@pytest.mark.parametrize("shape", list(DIMENSIONS))
def test_weak_gradients_agree_with_exact_modes(shape: str) -> None:
    modes, size = {
        "slab": (exact.slab_modes(), 8.0),
        "cylinder": (exact.disk_modes(), 4.0),
        "sphere": (exact.sphere_modes(), 4.0),
    }[shape]
    q, delta, Delta = 1e-3, 5.0, 25.0
    truth = -np.log(exact.signal(modes, size, [q], delta, Delta, DIFFUSIVITY)[0])
    # the next cumulant is q² R² smaller, and the exact modes stop at α = 30
    assert gaussian_phase(shape, 4.0, q, delta, Delta, DIFFUSIVITY) == pytest.approx(truth, rel=2e-5)


@pytest.mark.parametrize("shape", list(DIMENSIONS))
def test_long_pulses_forget_the_separation(shape: str) -> None:
    """What is left out is R²/D over δ: 1 in 4000 here, times a number near one."""
    for Delta in (5000.0, 9000.0):
        full = gaussian_phase(shape, 1.0, 1e-3, 4000.0, Delta, 1.0)
        assert motional_narrowing(shape, 1.0, 1e-3, 4000.0, 1.0) == pytest.approx(full, rel=1e-3)


@pytest.mark.parametrize(("delta", "Delta"), [(0.5, 1.0), (1.0, 1.0)])
def test_short_times_show_the_surface(delta: float, Delta: float) -> None:
    """A box of 16 × 12 × 8 µm: flat walls have no curvature term, and the next falls like exp(−L²/4DΔ).

    Elements of 0.8 µm take 0.5 % off a signal whose spins move 1.4 µm; the walls take 15 to 30 %.
    """
    mesh = meshes.box((18, 12, 10), (16.0, 12.0, 8.0))
    directions = np.eye(3)
    found = adc(mesh, delta, Delta, directions, modes=250)
    theory = short_time_diffusivity(3 * projected_area(mesh, directions), mesh.volume, DIFFUSIVITY, Delta, delta)
    assert found == pytest.approx(theory, rel=1e-2)


def test_finite_pulses_become_short_ones() -> None:
    instant = short_time_diffusivity(3.0, 1.0, 2.0, 0.01)
    assert short_time_diffusivity(3.0, 1.0, 2.0, 0.01, delta=1e-5) == pytest.approx(instant, rel=1e-4)
    assert short_time_diffusivity(3.0, 1.0, 2.0, 0.01, delta=0.01) < instant  # spins have up to Δ + δ to meet a wall


def test_a_ball_meets_every_direction_with_a_third_of_its_surface() -> None:
    mesh = meshes.ball(6, 3.0)
    share = projected_area(mesh, spread_directions(40)) / mesh.surface.area
    assert share == pytest.approx(1 / 3, rel=0.03)  # a faceted ball
    assert projected_area(mesh, np.eye(3)).sum() == pytest.approx(mesh.surface.area)


def test_at_long_times_a_closed_cell_has_no_diffusivity_left() -> None:
    """Δ is twenty times the slowest mode's life; moves in a pulse of 0.5 ms blur places by D δ / R² = 1.6 %."""
    mesh = meshes.cylinder(3, 8.0, 16.0)
    directions = np.array([[1.0, 0, 0], [0, 0, 1.0], [0.6, 0, 0.8]])
    for Delta in (400.0, 900.0):
        found, theory = adc(mesh, 0.5, Delta, directions), long_time_diffusivity(mesh, directions, Delta)
        assert found == pytest.approx(theory, rel=0.04)
        assert (found < 30 / Delta * DIFFUSIVITY).all()


def test_the_variance_of_a_box_is_a_twelfth_of_its_edges_squared() -> None:
    box = meshes.box((1, 1, 1), (2.0, 3.0, 4.0))
    assert long_time_diffusivity(box, np.eye(3), 1.0) == pytest.approx(np.array([4, 9, 16]) / 12)


@pytest.mark.parametrize("shape", list(DIMENSIONS))
def test_long_pulses_narrow_as_theory_says(shape: str) -> None:
    """R 1.5 µm, R²/D 1.1 ms, δ 30 ms: the limit leaves out terms of order R²/(D δ), 4 %; the meshes are good to 2 %."""
    mesh, direction = {
        "slab": (meshes.box((16, 2, 2), (3.0, 1.0, 1.0)), [1.0, 0, 0]),
        "cylinder": (meshes.cylinder(4, 1.5, 1.5), [1.0, 0, 0]),
        "sphere": (meshes.ball(10, 1.5), [0, 0, 1.0]),
    }[shape]
    protocol = Protocol.pgse([3000.0], [direction], 30.0, 40.0)
    echo = magnetisation(mesh, protocol, 0, [70.0], DIFFUSIVITY)[0]
    # linear elements: the integral over a tetrahedron is its volume times the mean of its corners
    mean = mesh.volumes @ echo[mesh.tetrahedra].mean(axis=1) / mesh.volume
    decay = -np.log(mean.real)
    assert decay == pytest.approx(gaussian_phase(shape, 1.5, protocol.q, 30.0, 40.0, DIFFUSIVITY), rel=0.02)
    assert decay == pytest.approx(motional_narrowing(shape, 1.5, protocol.q, 30.0, DIFFUSIVITY), rel=0.06)


def test_other_shapes_are_refused() -> None:
    with pytest.raises(InputError, match="shape 'cone' is unknown; choose one of slab, cylinder, sphere"):
        gaussian_phase("cone", 1.0, 1.0, 1.0, 2.0, 2.0)
