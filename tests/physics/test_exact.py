"""The truth itself: converged, and right in the limits that have a formula."""

import exact
import numpy as np
import pytest

B = np.array([500.0, 2000.0, 10000.0])


@pytest.mark.parametrize(
    ("few", "many", "size"),
    [
        (exact.slab_modes(40), exact.slab_modes(80), 10.0),
        (exact.disk_modes(25.0), exact.disk_modes(50.0), 3.0),
        (exact.sphere_modes(25.0), exact.sphere_modes(50.0), 3.0),
    ],
)
def test_twice_the_modes_change_nothing(few: exact.Modes, many: exact.Modes, size: float) -> None:
    q = exact.strength(B, 5.0, 25.0)
    assert exact.signal(few, size, q, 5.0, 25.0, 2.0) == pytest.approx(
        exact.signal(many, size, q, 5.0, 25.0, 2.0), abs=1e-6
    )


def test_short_pulses_and_long_times_give_the_form_factor() -> None:
    """|∫ exp(i q δ x)|² over the domain: sinc², (2 J1/x)², (3 j1/x)²."""
    from scipy.special import j1, spherical_jn

    delta, Delta = 0.01, 200.0
    b = 1000 * (0.5 / 1.0) ** 2 * (Delta - delta / 3)  # qδ = 0.5 rad/µm
    assert exact.slab(6.0, [b], delta, Delta, 2.0)[0] == pytest.approx(np.sinc(0.5 * 6 / 2 / np.pi) ** 2, abs=3e-3)
    assert exact.disk(3.0, [b], delta, Delta, 2.0)[0] == pytest.approx((2 * j1(1.5) / 1.5) ** 2, abs=5e-3)
    assert exact.sphere(3.0, [b], delta, Delta, 2.0)[0] == pytest.approx(
        (3 * spherical_jn(1, 1.5) / 1.5) ** 2, abs=5e-3
    )


def test_far_walls_give_free_diffusion() -> None:
    """Only spins within a few √(Dt) of a wall, 2 % of all, know about it."""
    q = exact.strength([1000.0], 1.0, 5.0)
    assert exact.signal(exact.slab_modes(200), 200.0, q, 1.0, 5.0, 0.5)[0] == pytest.approx(np.exp(-0.5), abs=1e-2)


def test_low_b_in_a_disk_agrees_with_the_gaussian_phase_approximation() -> None:
    """van Gelderen et al. 1994, exact to second order in the gradient."""
    from scipy.special import jnp_zeros

    radius, delta, Delta, diffusivity, b = 3.0, 5.0, 25.0, 2.0, 50.0
    alpha2 = (jnp_zeros(1, 50) / radius) ** 2
    rate = diffusivity * alpha2
    bracket = 2 * rate * delta - 2 + 2 * np.exp(-rate * delta) + 2 * np.exp(-rate * Delta)
    bracket -= np.exp(-rate * (Delta - delta)) + np.exp(-rate * (Delta + delta))
    q = exact.strength(b, delta, Delta)
    log_signal = -2 * q**2 * (bracket / (diffusivity**2 * alpha2**3 * (radius**2 * alpha2 - 1))).sum()
    assert np.log(exact.disk(radius, [b], delta, Delta, diffusivity)[0]) == pytest.approx(log_signal, rel=1e-3)


def test_a_waveform_of_two_pulses_is_a_pulsed_gradient() -> None:
    rounding = 1e-10  # a matrix exponential's: eps times the norm of its argument, 4e4 here, is 1e-11
    q = float(exact.strength(4000.0, 5.0, 20.0))
    pulses = np.repeat([q, 0.0, -q], [10, 30, 10])
    pulsed = exact.slab(6.0, [4000.0], 5.0, 20.0, 2.0)[0]
    assert exact.waveform_signal(exact.slab_modes(), 6.0, pulses, 0.5, 2.0) == pytest.approx(pulsed, abs=rounding)
    along = exact.box_waveform([6.0, 2.0, 3.0], np.outer(pulses, [1, 0, 0]), 0.5, 2.0)
    assert along == pytest.approx(pulsed, abs=rounding)
    oblique = np.array([0.48, 0.6, 0.64])
    expected = exact.box([6.0, 2.0, 3.0], [4000.0], [oblique], 5.0, 20.0, 2.0)[0]
    turned = exact.box_waveform([6.0, 2.0, 3.0], np.outer(pulses, oblique), 0.5, 2.0)
    assert turned == pytest.approx(expected, abs=rounding)


def test_a_slab_far_wider_than_the_paths_gives_free_diffusion_for_any_waveform() -> None:
    """log S = −D ∫(∫q)²; of 150 µm about 6 % lies within reach of a wall."""
    q = 0.02 * np.sin(np.linspace(0, 4 * np.pi, 80, endpoint=False) + 0.3) + 0.01 * np.repeat([1, -1], 40)
    q -= q.mean()
    dt = 0.25
    turned = np.cumsum(q) * dt - q * dt / 2  # ∫q at the middle of each step; within it, quadratic
    exponent = 0.5 * dt * (turned**2 + (q * dt) ** 2 / 12).sum()
    signal = exact.waveform_signal(exact.slab_modes(120), 150.0, q, dt, 0.5)
    assert signal.real == pytest.approx(np.exp(-exponent), abs=5e-2 * exponent)
