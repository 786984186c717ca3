"""Derivatives by autograd and by central differences, and how they are compared."""

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

STEP = 1e-3  # of central differences, in µm, or in parts of one


def jacobian(signal: Tensor, parameter: Tensor) -> Tensor:
    """(M, *parameter.shape), one backward for each measurement."""
    return torch.stack([torch.autograd.grad(value, parameter, retain_graph=True)[0] for value in signal])


def slope(function: Callable[[float], Tensor]) -> Tensor:
    with torch.no_grad():
        return (function(STEP) - function(-STEP)) / (2 * STEP)


def agree(derivative: Tensor, differences: Tensor, tolerance: float, floor: float = 1e-8) -> None:
    assert torch.isfinite(derivative).all()
    assert float((derivative - differences).abs().max()) <= tolerance * float(differences.abs().max()) + floor


def deformations(points: Tensor) -> dict[str, Tensor]:
    """Thicker, longer, and random smooth velocities."""
    x, y, z = points.T
    rng = np.random.default_rng(5)
    fields = {"radius": torch.stack([x, y, 0 * z], 1) / 3, "length": torch.stack([0 * x, 0 * y, z], 1) / 9}
    for index in range(2):
        waves = torch.tensor(rng.uniform(-0.8, 0.8, (3, 3)))
        phases = torch.tensor(rng.uniform(0, 2 * math.pi, 3))
        fields[f"wave {index}"] = torch.sin(points @ waves.T + phases)
    return fields
