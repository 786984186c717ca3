"""Directions spread over the sphere, and even functions on it as homogeneous polynomials of them.

Those of degree n hold the even spherical harmonics up to n, and turning a function is evaluating its polynomial in
turned directions.
"""

from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def half_sphere(count: int) -> NDArray[np.float64]:
    """Directions spread evenly over the upper half sphere (Fibonacci), (count, 3)."""
    z = 1 - (np.arange(count) + 0.5) / count
    azimuth = np.pi * (1 + np.sqrt(5)) * np.arange(count)
    sine = np.sqrt(1 - z**2)
    return np.stack([sine * np.cos(azimuth), sine * np.sin(azimuth), z], axis=1)


def monomials(directions: Tensor, degree: int) -> Tensor:
    """Homogeneous monomials of a degree, (..., 3) -> (..., (degree + 1)(degree + 2) / 2)."""
    powers = [torch.ones_like(directions)]
    for _ in range(degree):
        powers.append(powers[-1] * directions)
    stacked = torch.stack(powers, dim=-1)
    a, b, c = _exponents(degree)
    return stacked[..., 0, a] * stacked[..., 1, b] * stacked[..., 2, c]


@lru_cache
def _exponents(degree: int) -> tuple[Tensor, Tensor, Tensor]:
    exponents = [(a, b, degree - a - b) for a in range(degree + 1) for b in range(degree + 1 - a)]
    return tuple(torch.tensor(column) for column in zip(*exponents, strict=True))  # type: ignore[return-value]
