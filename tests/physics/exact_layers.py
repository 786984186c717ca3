"""Exact pulsed-gradient signals of layers with permeable walls: a stack of slabs, and concentric shells.

Each layer has its own D, T2 and spin density, each wall its κ and relaxivity. In a layer the radial part of the
magnetisation is a Legendre series of high order, which converges faster than any power, so that these are exact to
1e-8; `interface_defects` measures how well the strong conditions hold at the walls, which enter in weak form only. The
angular part of shells is P_l(cos θ), the gradient along z couples l and l + 1. Nothing is shared with the package.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.polynomial import legendre
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import block_diag, eigh, expm

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Layer:
    """Thickness µm, diffusivity µm²/ms, T2 ms, spin density, and relaxivity of its two walls µm/ms."""

    thickness: float
    diffusivity: float = 2.0
    t2: float = np.inf
    density: float = 1.0
    relaxivity: float = 0.0


@dataclass(frozen=True)
class Modes:
    """Rates (r,) 1/ms; positions (r, r) µm; start (r,), Φᵀ M 1 / √(1ᵀ M 1)."""

    rates: Floats
    position: Floats
    start: Floats

    def signal(self, q: ArrayLike, delta: ArrayLike, Delta: ArrayLike, te: ArrayLike | None = None) -> Floats:
        """Share left at the echo after two pulses; the time that they leave is split before and after them."""
        lead = 0.0 if te is None else (np.asarray(te) - np.asarray(delta) - np.asarray(Delta)) / 2
        result = []
        for strength, pulse, separation, free in zip(*np.broadcast_arrays(q, delta, Delta, lead), strict=True):
            flow = expm(-pulse * (np.diag(self.rates) + 1j * strength * self.position))
            v = flow @ (np.exp(-free * self.rates) * self.start)
            result.append((np.exp(-(separation - pulse) * self.rates) * np.abs(v) ** 2).sum())
        return np.array(result)


def slabs(layers: Sequence[Layer], walls: Sequence[float], order: int = 30, fastest: float = 200.0) -> Modes:
    """Modes of a stack of slabs with a wall of permeability κ, µm/ms, between each two."""
    mass, generator, position, _ = _radial(layers, walls, order, power=0)
    rates, vectors = eigh(generator, mass)
    kept = vectors[:, rates < fastest]
    start = kept.T @ mass @ _ones(layers, order)
    return Modes(rates[rates < fastest], kept.T @ position @ kept, start / _root_amount(mass, layers, order))


def shells(layers: Sequence[Layer], walls: Sequence[float], order: int = 24, fastest: float = 40.0) -> Modes:
    """Modes of a ball and the shells around it, from the centre outwards."""
    bases, rates = [], []
    for degree in range(100):
        mass, generator, position, _ = _radial(layers, walls, order, power=2, degree=degree)
        values, vectors = eigh(generator, mass)
        if not (values < fastest).any():
            break
        rates.append(values[values < fastest])
        bases.append(vectors[:, values < fastest])
    total = block_diag(*(np.zeros((len(r), len(r))) for r in rates))
    begin = np.cumsum([0, *map(len, rates)])
    for l, (lower, upper) in enumerate(pairwise(bases)):  # noqa: E741
        rows, columns = slice(begin[l], begin[l + 1]), slice(begin[l + 1], begin[l + 2])
        # ∫ x Y_l Y_{l+1} over (−1, 1) for Y_l = √((2l + 1)/2) P_l
        total[rows, columns] = (l + 1) / np.sqrt((2 * l + 1) * (2 * l + 3)) * lower.T @ position @ upper
        total[columns, rows] = total[rows, columns].T
    start = np.zeros(len(total))
    start[: begin[1]] = bases[0].T @ mass @ _ones(layers, order) / _root_amount(mass, layers, order)
    return Modes(np.concatenate(rates), total, start)


def interface_defects(
    layers: Sequence[Layer], walls: Sequence[float], order: int, power: int, degree: int, count: int
) -> Floats:
    """How far the first modes are from ρ_a D_a m_a' = ρ_b D_b m_b' = κ √(ρ_a ρ_b) (m_b − m_a), relative to κ m."""
    mass, generator, *_ = _radial(layers, walls, order, power, degree)
    vectors = eigh(generator, mass)[1][:, :count].reshape(len(layers), order, count)
    high, low = np.ones(order), (-1.0) ** np.arange(order)
    rise = np.arange(order) * (np.arange(order) + 1) / 2  # P_n'(1); P_n'(−1) is (−1)^(n+1) of it
    defects = []
    for k, kappa in enumerate(walls):
        a, b = layers[k], layers[k + 1]
        out = a.density * a.diffusivity * 2 / a.thickness * rise @ vectors[k]
        into = b.density * b.diffusivity * 2 / b.thickness * (-low * rise) @ vectors[k + 1]
        conductance = kappa * np.sqrt(a.density * b.density)
        flux = conductance * (low @ vectors[k + 1] - high @ vectors[k])
        scale = conductance * np.abs(vectors).max()
        defects += [np.abs(out - flux) / scale, np.abs(into - flux) / scale]
    return np.array(defects)


def _radial(
    layers: Sequence[Layer], walls: Sequence[float], order: int, power: int, degree: int = 0
) -> tuple[Floats, Floats, Floats, Floats]:
    """Mass, generator and position in Legendre series of each layer, and the layers' edges; measure x^power dx."""
    edges = np.cumsum([0.0, *(layer.thickness for layer in layers)])
    x, weight = legendre.leggauss(order + 4)
    values = legendre.legvander(x, order - 1)
    slopes = np.stack([legendre.legval(x, legendre.legder(row)) for row in np.eye(order)], axis=1)
    parts: dict[str, list[Floats]] = {"mass": [], "generator": [], "position": []}
    for layer, left in zip(layers, edges, strict=False):
        half = layer.thickness / 2
        place = left + half * (x + 1)
        measure = layer.density * weight * half * place**power
        mass = values.T * measure @ values
        flux = slopes.T * (measure / half**2) @ slopes
        if degree:
            flux = flux + degree * (degree + 1) * values.T * (measure / place**2) @ values
        parts["mass"].append(mass)
        parts["generator"].append(layer.diffusivity * flux + mass / layer.t2)
        parts["position"].append(values.T * (measure * place) @ values)
    mass, generator, position = (block_diag(*part) for part in parts.values())
    for k, layer in enumerate(layers):
        for edge, trace in ((edges[k], (-1.0) ** np.arange(order)), (edges[k + 1], np.ones(order))):
            full = np.zeros(len(mass))
            full[k * order : (k + 1) * order] = trace
            generator += layer.density * layer.relaxivity * edge**power * np.outer(full, full)
    for k, kappa in enumerate(walls):
        jump = np.zeros(len(mass))
        jump[k * order : (k + 1) * order] = -1
        jump[(k + 1) * order : (k + 2) * order] = (-1.0) ** np.arange(order)
        between = np.sqrt(layers[k].density * layers[k + 1].density)
        generator += kappa * between * edges[k + 1] ** power * np.outer(jump, jump)
    return mass, generator, position, edges


def _ones(layers: Sequence[Layer], order: int) -> Floats:
    return np.tile(np.eye(order)[0], len(layers))


def _root_amount(mass: Floats, layers: Sequence[Layer], order: int) -> float:
    return float(np.sqrt(_ones(layers, order) @ mass @ _ones(layers, order)))
