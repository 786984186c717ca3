"""The truth about layers with permeable walls: converged, and right wherever a formula is known."""

import exact
import numpy as np
import pytest
from exact_layers import Layer, interface_defects, shells, slabs
from scipy.optimize import brentq

B = np.array([500.0, 2000.0, 10000.0])
THREE = [Layer(3.0, 1.0, 60.0, 0.7), Layer(2.0, 3.0, 30.0, 1.0), Layer(4.0, 2.0, np.inf, 1.3)]


def test_layers_without_exchange_are_slabs_and_balls() -> None:
    q = exact.strength(B, 5.0, 25.0)
    assert slabs([Layer(8.0)], []).signal(q, 5.0, 25.0) == pytest.approx(exact.slab(8.0, B, 5.0, 25.0, 2.0), abs=1e-6)
    assert shells([Layer(3.0)], [], fastest=80.0).signal(q, 5.0, 25.0) == pytest.approx(
        exact.sphere(3.0, B, 5.0, 25.0, 2.0), abs=1e-6
    )


@pytest.mark.parametrize("kind", [slabs, shells])
def test_more_terms_change_nothing(kind) -> None:
    q = exact.strength(B, 5.0, 25.0)
    few = kind(THREE, [0.02, 0.2]).signal(q, 5.0, 25.0, 50.0)
    many = kind(THREE, [0.02, 0.2], order=36, fastest=300.0 if kind is slabs else 60.0).signal(q, 5.0, 25.0, 50.0)
    assert few == pytest.approx(many, abs=1e-7)


@pytest.mark.parametrize(("power", "degree"), [(0, 0), (2, 0), (2, 1), (2, 4)])
def test_the_flux_through_a_wall_is_its_permeability_times_the_jump(power: int, degree: int) -> None:
    assert interface_defects(THREE, [0.02, 0.2], 30, power, degree, count=8).max() < 1e-6


def test_two_equal_slabs_have_the_rates_of_the_known_equation() -> None:
    """Odd modes: cos k(x + L) beside a wall, k tan kL = 2 κ / D."""
    length, kappa, diffusivity = 4.0, 0.3, 2.0
    rates = slabs([Layer(length), Layer(length)], [kappa]).rates
    roots = [
        brentq(lambda k: k * np.sin(k * length) - 2 * kappa / diffusivity * np.cos(k * length), low + 1e-9, high)
        for low, high in ((n * np.pi / length, (n + 0.5) * np.pi / length) for n in range(4))
    ]
    even = (np.arange(4) * np.pi / length) ** 2 * diffusivity
    expected = np.sort(np.concatenate([even, diffusivity * np.array(roots) ** 2]))
    assert rates[:8] == pytest.approx(expected, abs=1e-8)


def test_a_relaxing_ball_decays_at_the_rate_of_brownstein_and_tarr() -> None:
    """1 − kR cot kR = κ_s R / D."""
    radius, relaxivity, diffusivity = 3.0, 0.1, 2.0
    k = brentq(
        lambda k: 1 - k * radius / np.tan(k * radius) - relaxivity * radius / diffusivity, 1e-3, np.pi / radius - 1e-3
    )
    rates = shells([Layer(radius, diffusivity, relaxivity=relaxivity)], []).rates
    assert rates.min() == pytest.approx(diffusivity * k**2, rel=1e-9)
