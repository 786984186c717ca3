"""The signal of a latent without a simulation: a small network from the latent to the polynomials of every shell.

It is accurate to a few thousandths of S/S0, costs tenths of a millisecond, and has derivatives, so that a
hypothesis can be judged and refined by its signal.
"""

import math
from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import chi2
from torch import Tensor, nn

from napari_remidi.inversion.levenberg_marquardt import Point
from napari_remidi.inversion.preview.examples import DEGREE, Examples, TurnedSignals
from napari_remidi.inversion.preview.harmonics import monomials
from napari_remidi.inversion.rotation import turned
from napari_remidi.inversion.starts import half_sphere
from napari_remidi.inversion.template import BEYOND

if TYPE_CHECKING:
    from napari_remidi.scan import Protocol
    from napari_remidi.shapes import Prior

Floats = NDArray[np.float64]
COMPONENTS, WIDTH = 150, 384
NODES = 120  # directions at which principal components are taken
BATCH, RATE = 256, 2e-3
TURN = 1e-3  # rad, of the central difference for the orientation's derivative


class Surrogate(nn.Module):
    """Latents (..., d) -> polynomials of degree 12 on every shell in the body's frame, (..., 91, S).

    Buffers `mean` (91, S) and `components` (C, 91, S): what the network's outputs multiply.
    """

    mean: Tensor
    components: Tensor

    def __init__(self, latent: int, shells: int, components: int = COMPONENTS) -> None:
        super().__init__()
        self.latent = latent
        count = (DEGREE + 1) * (DEGREE + 2) // 2
        self.register_buffer("mean", torch.zeros(count, shells))
        self.register_buffer("components", torch.zeros(components, count, shells))
        sizes = [latent, WIDTH, WIDTH, WIDTH]
        layers = [part for pair in pairwise(sizes) for part in (nn.Linear(*pair), nn.SiLU())]
        self.weights = nn.Sequential(*layers, nn.Linear(WIDTH, components))

    def forward(self, latent: Tensor) -> Tensor:
        """Polynomials of latents."""
        return self.mean + torch.tensordot(self.weights(latent), self.components, 1)

    def slopes(self, latent: Tensor) -> Tensor:
        """Derivative of the polynomials at a latent, (d,) -> (d, 91, S)."""
        x, slopes = latent, torch.eye(self.latent)
        for layer in self.weights:
            if isinstance(layer, nn.Linear):
                x, slopes = layer(x), slopes @ layer.weight.T
            else:
                gate = torch.sigmoid(x)
                x, slopes = x * gate, slopes * (gate * (1 + x * (1 - gate)))
        return torch.tensordot(slopes, self.components, 1)


def fit_surrogate(examples: Examples, steps: int, seed: int = 0) -> Iterator[float | Surrogate]:
    """Fit a surrogate to examples; yields the share done, and the surrogate last."""
    torch.manual_seed(seed)
    latents, polynomials = examples.latents, examples.polynomials
    at_nodes = monomials(torch.as_tensor(half_sphere(NODES)), DEGREE).float()
    values = torch.einsum("nc,ecs->ens", at_nodes, polynomials)
    mean = values.mean(dim=0)
    values -= mean
    components = min(COMPONENTS, *values.flatten(1).shape)
    _, _, axes = torch.pca_lowrank(values.flatten(1), components, center=False, niter=3)
    weights = values.flatten(1) @ axes
    unit = weights[:, 0].std() / 10
    surrogate = Surrogate(latents.shape[1], polynomials.shape[2], components)
    back = torch.linalg.pinv(at_nodes)
    surrogate.mean.copy_(back @ mean)
    surrogate.components.copy_(back @ (unit * axes.T).reshape(components, NODES, -1))
    wanted = weights / unit
    optimiser = torch.optim.AdamW(surrogate.parameters(), lr=RATE, weight_decay=1e-3)
    for step in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = RATE * min(1.0, 20 * step / steps) * (1 + math.cos(math.pi * step / steps)) / 2
        rows = torch.randint(len(latents), (BATCH,))
        loss = (surrogate.weights(latents[rows]) - wanted[rows]).square().mean()
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(surrogate.parameters(), 1.0)
        optimiser.step()
        yield (step + 1) / steps
    yield surrogate.eval().requires_grad_(False)


class SurrogateProblem:
    """Latent (d) and rotation vector (3) of one cell, its signal by a surrogate; see `levenberg_marquardt.Problem`."""

    def __init__(self, surrogate: Surrogate, prior: "Prior", protocol: "Protocol") -> None:
        self.surrogate, self.prior, self.signals = surrogate, prior, TurnedSignals(protocol)
        self.size = surrogate.latent
        self.mean = np.zeros(self.size + 3)
        self.precision = np.concatenate([np.ones(self.size), np.zeros(3)])
        self.farthest = float(chi2.isf(BEYOND, self.size))

    def points(self, latents: Floats, rotations: Floats) -> list[Point]:
        """What latents, (N, d), in rotations, (N, 3, 3), predict."""
        polynomials = self.surrogate(torch.as_tensor(latents, dtype=torch.float32))
        signals = self.signals(polynomials, torch.as_tensor(rotations, dtype=torch.float32)).double().numpy()
        return [
            Point(np.append(latent, np.zeros(3)), rotation, signal, polynomial)
            for latent, rotation, signal, polynomial in zip(latents, rotations, signals, polynomials, strict=True)
        ]

    def moved(self, point: Point, step: Floats) -> Point | None:
        """The point after a step."""
        latent = self.prior.moved(point.parameters[: self.size], step[: self.size])
        if latent @ latent > self.farthest:
            return None
        return self.points(latent[None], turned(point.rotation, step[self.size :])[None])[0]

    def jacobian(self, point: Point) -> Floats:
        """Derivative of the signal, (M, d + 3)."""
        latent = torch.as_tensor(point.parameters[: self.size], dtype=torch.float32)
        at = torch.as_tensor(point.rotation, dtype=torch.float32)[None]
        columns = self.signals(self.surrogate.slopes(latent), at, still=0.0)
        turns = np.concatenate([np.eye(3), -np.eye(3)]) * TURN
        rotations = torch.as_tensor(np.array([turned(point.rotation, turn) for turn in turns]))
        ahead, behind = self.signals(point.shape.double()[None], rotations).split(3)
        return torch.cat([columns.double(), (ahead - behind) / (2 * TURN)]).T.numpy()
