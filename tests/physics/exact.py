"""Exact signals of a slab, a box, a disk, a sphere and a finite cylinder with reflecting walls.

Matrix formalism (Callaghan 1997, Barzykin 1999, Grebenkov 2007) in analytic Laplace eigenfunctions: with u_k
normalised, λ_k their eigenvalues and A_kl = ∫ x u_k u_l, S = Σ_k exp(−(Δ−δ) D λ_k) |[exp(−δ (D Λ + i q A))
e_0]_k|²; a waveform is one exponential for every step of it. Nothing here is shared with the package.
"""

from collections.abc import Callable

import numpy as np
from numpy.polynomial.legendre import leggauss
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import expm
from scipy.special import jnp_zeros, jv, spherical_jn

Floats = NDArray[np.float64]
Modes = tuple[Floats, Floats]  # eigenvalues (r,), coordinate matrix (r, r), for unit size


def slab_modes(count: int = 40) -> Modes:
    """cos(kπx) on (0, 1)."""
    k = np.arange(count)
    eigenvalues = (k * np.pi) ** 2
    norm = np.where(k == 0, 1.0, np.sqrt(2.0))
    total, difference = np.add.outer(k, k), np.subtract.outer(k, k)

    def integral(n: NDArray[np.int64]) -> Floats:  # ∫ x cos(nπx)
        safe = np.where(n == 0, 1, n)
        return np.where(n == 0, 0.5, ((-1.0) ** n - 1) / (safe * np.pi) ** 2)

    return eigenvalues, np.outer(norm, norm) * (integral(total) + integral(difference)) / 2


def disk_modes(limit: float = 30.0) -> Modes:
    """J_m(αr) cos(mθ) on the unit disk with J_m'(α) = 0, for all α below a limit."""
    radial: list[tuple[int, float]] = [(0, 0.0)]
    for order in range(int(limit)):
        radial += [(order, a) for a in jnp_zeros(order, int(limit / 3) + 3) if a < limit]
    r, weight = _radial_nodes(limit)
    angle = [2 * np.pi if order == 0 else np.pi for order, _ in radial]
    values = np.stack([jv(order, a * r) for order, a in radial])
    values /= np.sqrt((values**2 * r * weight).sum(axis=1) * angle)[:, None]
    orders = np.array([order for order, _ in radial])
    # ∫ cos θ cos(mθ) cos(nθ) = π/2, or π where one of them is 0
    pairs = np.abs(np.subtract.outer(orders, orders)) == 1
    turns = np.where(np.minimum.outer(orders, orders) == 0, np.pi, np.pi / 2) * pairs
    return np.array([a**2 for _, a in radial]), turns * ((values * r**2 * weight) @ values.T)


def sphere_modes(limit: float = 30.0) -> Modes:
    """j_l(αr) P_l(cos θ) on the unit ball with j_l'(α) = 0, for all α below a limit."""
    radial: list[tuple[int, float]] = [(0, 0.0)]
    for order in range(int(limit)):
        radial += [(order, a) for a in _spherical_zeros(order, limit)]
    r, weight = _radial_nodes(limit)
    orders = np.array([order for order, _ in radial])
    values = np.stack([spherical_jn(order, a * r) for order, a in radial])
    values /= np.sqrt((values**2 * r**2 * weight).sum(axis=1) * 2 / (2 * orders + 1))[:, None]
    low = np.minimum.outer(orders, orders)
    pairs = np.abs(np.subtract.outer(orders, orders)) == 1
    turns = 2 * (low + 1) / ((2 * low + 1) * (2 * low + 3)) * pairs  # ∫ x P_l P_{l+1} over (−1, 1)
    return np.array([a**2 for _, a in radial]), turns * ((values * r**3 * weight) @ values.T)


def signal(modes: Modes, size: float, q: ArrayLike, delta: ArrayLike, Delta: ArrayLike, diffusivity: float) -> Floats:
    """PGSE signal along the modes' coordinate: q rad/(µm ms), δ and Δ ms, size µm, diffusivity µm²/ms."""
    eigenvalues, position = modes
    decay, position = diffusivity * eigenvalues / size**2, position * size
    result = []
    for strength, pulse, separation in zip(*np.broadcast_arrays(q, delta, Delta), strict=True):
        v = expm(-pulse * (np.diag(decay) + 1j * strength * position))[:, 0]
        result.append((np.exp(-(separation - pulse) * decay) * np.abs(v) ** 2).sum())
    return np.array(result)


def waveform_signal(modes: Modes, size: float, q: ArrayLike, dt: float, diffusivity: float) -> complex:
    """Signal along the modes' coordinate of an effective gradient that is constant for dt ms at a time.

    q is γ times the gradient, (T,) rad/(µm ms), with the sign of refocusing pulses in it.
    """
    eigenvalues, position = modes
    decay, position = diffusivity * eigenvalues / size**2, position * size
    values, step = np.unique(np.asarray(q, dtype=float), return_inverse=True)
    propagators = [expm(-dt * (np.diag(decay) + 1j * value * position)) for value in values]
    state = np.eye(len(decay), dtype=complex)[0]
    for index in step:
        state = propagators[index] @ state
    return complex(state[0])


def strength(bvals: ArrayLike, delta: ArrayLike, Delta: ArrayLike) -> Floats:
    """q in rad/(µm ms) for b in s/mm²."""
    delta = np.asarray(delta, dtype=float)
    return np.sqrt(np.asarray(bvals) / 1000 / (delta**2 * (np.asarray(Delta) - delta / 3)))


def slab(length: float, bvals: ArrayLike, delta: ArrayLike, Delta: ArrayLike, diffusivity: float) -> Floats:
    """Between two walls, gradient across."""
    return signal(slab_modes(), length, strength(bvals, delta, Delta), delta, Delta, diffusivity)


def box(
    lengths: ArrayLike, bvals: ArrayLike, bvecs: ArrayLike, delta: ArrayLike, Delta: ArrayLike, diffusivity: float
) -> Floats:
    """Between three pairs of walls, gradients in any direction: the product of three slabs."""
    q = strength(bvals, delta, Delta)
    parts = [
        signal(slab_modes(), length, q * np.abs(part), delta, Delta, diffusivity)
        for length, part in zip(np.asarray(lengths, dtype=float), np.asarray(bvecs).T, strict=True)
    ]
    return np.prod(parts, axis=0)


def box_waveform(lengths: ArrayLike, q: ArrayLike, dt: float, diffusivity: float) -> complex:
    """A box and any waveform, (T, 3) rad/(µm ms): the product of three slabs, exact for turning gradients too."""
    parts = zip(np.asarray(lengths, dtype=float), np.asarray(q).T, strict=True)
    return complex(np.prod([waveform_signal(slab_modes(), size, part, dt, diffusivity) for size, part in parts]))


def disk(radius: float, bvals: ArrayLike, delta: ArrayLike, Delta: ArrayLike, diffusivity: float) -> Floats:
    """In a circle, gradient in its plane."""
    return signal(disk_modes(), radius, strength(bvals, delta, Delta), delta, Delta, diffusivity)


def sphere(radius: float, bvals: ArrayLike, delta: ArrayLike, Delta: ArrayLike, diffusivity: float) -> Floats:
    """In a ball."""
    return signal(sphere_modes(), radius, strength(bvals, delta, Delta), delta, Delta, diffusivity)


def cylinder(
    radius: float,
    height: float,
    axis: ArrayLike,
    bvals: ArrayLike,
    bvecs: ArrayLike,
    delta: ArrayLike,
    Delta: ArrayLike,
    diffusivity: float,
) -> Floats:
    """In a closed cylinder: the product of disk and slab, the gradient split along and across the axis."""
    q = strength(bvals, delta, Delta)
    along = np.clip(np.abs(np.asarray(bvecs) @ np.asarray(axis)), 0, 1)
    across = signal(disk_modes(), radius, q * np.sqrt(1 - along**2), delta, Delta, diffusivity)
    return across * signal(slab_modes(), height, q * along, delta, Delta, diffusivity)


def _radial_nodes(limit: float) -> tuple[Floats, Floats]:
    x, weight = leggauss(int(2 * limit) + 40)
    return (x + 1) / 2, weight / 2


def _spherical_zeros(order: int, limit: float) -> list[float]:
    def slope(x: Floats) -> Floats:
        return spherical_jn(order, x, derivative=True)

    grid = np.linspace(1e-3, limit, int(40 * limit))
    sign = np.sign(slope(grid))
    brackets = np.flatnonzero(sign[1:] * sign[:-1] < 0)
    return [_bisected(slope, grid[i], grid[i + 1]) for i in brackets]


def _bisected(function: Callable[[Floats], Floats], low: float, high: float) -> float:
    from scipy.optimize import brentq

    return float(brentq(lambda x: float(function(np.array(x))), low, high, xtol=1e-13))
