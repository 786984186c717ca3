"""The b-tensor of a gradient that is constant on equal steps, and what it says about the encoding.

With the moment k(t) = γ ∫ g dt, linear on every step, B = ∫ k kᵀ dt has the closed form
Σ dt (k₀k₀ᵀ + k₁k₁ᵀ + (k₀ + k₁)(k₀ + k₁)ᵀ)/6. Its trace is b; its shape b_Δ = (b∥ − b⊥)/b, with b∥ the eigenvalue that
differs most from the others, is 1 for linear, −1/2 for planar and 0 for spherical encoding (Eriksson et al., J. Chem.
Phys. 142, 104201, 2015).
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
GAMMA = 2.67522e-4  # rad/(µm ms) for 1 mT/m
KINDS = {"LTE": 1.0, "PTE": -0.5, "STE": 0.0}  # linear, planar, spherical tensor encoding
SAME_SHAPE = 0.05  # how far from a pure encoding's b_delta one still has its name


def moment_of(gradient: Floats, dt: float) -> Floats:
    """k = γ ∫ g dt at the edges of T steps: (T, 3) mT/m, ms -> (T + 1, 3) rad/µm."""
    return GAMMA * dt * np.concatenate([np.zeros((1, 3)), np.cumsum(gradient, axis=0)])


def b_tensor_of(moment: Floats, dt: float) -> Floats:
    """B, (3, 3) s/mm², from the moment at the edges of T steps, (T + 1, 3) rad/µm."""
    before, after = moment[:-1], moment[1:]
    both = before + after
    return 1000 * dt / 6 * (before.T @ before + after.T @ after + both.T @ both)


def shape_of(tensor: Floats) -> tuple[float, Floats]:
    """b_Δ, and the axis of symmetry, (3,) unit or zero: a line's direction, a plane's normal, none for a sphere."""
    values, vectors = np.linalg.eigh(tensor)
    total = values.sum()
    if total <= 0:
        return float("nan"), np.zeros(3)
    lone = int(np.argmax(np.abs(values - total / 3)))
    b_delta = float((3 * values[lone] - total) / (2 * total))
    return b_delta, vectors[:, lone] if abs(b_delta) > SAME_SHAPE else np.zeros(3)


def encoding_name(b_delta: float) -> str:
    """LTE, PTE or STE, or the number itself where it is none of them."""
    for name, pure in KINDS.items():
        if abs(b_delta - pure) < SAME_SHAPE:
            return name
    return "none" if np.isnan(b_delta) else f"b_delta {b_delta:.2f}"
