"""A smooth invertible map that makes a heavy-tailed set of latents look like N(0, I).

Whitening gives unit covariance, but a mixture of plain and intricate axons keeps heavy tails, and a Gaussian prior
would call a beaded axon all but impossible. So radii are compressed, |z| = c · asinh(|whitened|), and twice the
set is whitened, turned, and every coordinate given the Johnson SU shape that makes its quantiles normal
(Johnson, Biometrika 36:149, 1949): iterative Gaussianisation (Laparra et al., IEEE Trans. Neural Netw. 22:537, 2011)
with few smooth steps, both ways in closed form.
"""

import math

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import least_squares
from scipy.stats import norm
from torch import Tensor, nn

Floats = NDArray[np.float64]
LAYERS = 2
FEW = 1000
STEEPEST = 3.0  # asinh is straight from there on, where it is rarely needed, so that no draw lands beyond all shapes
LINEAR = 1e4
STRAIGHT_RADIAL, STRAIGHT = (
    (LINEAR, 1 / LINEAR),
    (LINEAR, 0.0, 1 / LINEAR, 0.0),
)  # leave radii and coordinates as they are
LEVELS = np.linspace(0.005, 0.995, 100)
LOWEST, HIGHEST = (-0.7, -3.0, -3.0, -3.0), (3.0, 3.0, 1.2, 3.0)  # of log δ, ξ, −log λ, γ


class Gaussianisation(nn.Module):
    """Latents (..., d) <-> latents distributed as N(0, I).

    Buffers: `shift` (L + 2, d), `whiten` and its inverse `colour` (L + 2, d, d): before the radii, before each of the L
    coordinate maps, and after them; `radial` (2,) c, e with r → c asinh(e r); `johnson` (L, 4, d) δ, ξ, 1/λ, γ with
    y = γ + δ asinh((x − ξ)/λ).
    """

    shift: Tensor
    whiten: Tensor
    colour: Tensor
    radial: Tensor
    johnson: Tensor

    def __init__(self, size: int) -> None:
        super().__init__()
        eye = torch.eye(size).repeat(LAYERS + 2, 1, 1)
        self.register_buffer("shift", torch.zeros(LAYERS + 2, size))
        self.register_buffer("whiten", eye)
        self.register_buffer("colour", eye.clone())
        self.register_buffer("radial", torch.tensor(STRAIGHT_RADIAL))
        self.register_buffer("johnson", torch.ones(LAYERS, 4, size) * torch.tensor(STRAIGHT)[:, None])

    def forward(self, x: Tensor) -> Tensor:
        """Towards N(0, I)."""
        x = (x - self.shift[0]) @ self.whiten[0]
        radius, (stretch, rate) = _norm(x), self.radial
        x = x * (stretch * _bent(radius * rate) / radius)
        for layer, (delta, xi, rate, gamma) in enumerate(self.johnson):
            x = (x - self.shift[layer + 1]) @ self.whiten[layer + 1]
            x = gamma + delta * _bent((x - xi) * rate)
        return (x - self.shift[-1]) @ self.whiten[-1]

    def inverse(self, z: Tensor) -> Tensor:
        """Back again."""
        z = z @ self.colour[-1] + self.shift[-1]
        for layer in reversed(range(LAYERS)):
            delta, xi, rate, gamma = self.johnson[layer]
            z = xi + _unbent((z - gamma) / delta) / rate
            z = z @ self.colour[layer + 1] + self.shift[layer + 1]
        radius, (stretch, rate) = _norm(z), self.radial
        return z * (_unbent(radius / stretch) / rate / radius) @ self.colour[0] + self.shift[0]

    @torch.no_grad()
    def fit(self, latents: Tensor) -> None:
        """Set everything to what a set of latents, (N, d), asks for; a small set is whitened, no more."""
        fresh = Gaussianisation(latents.shape[1])
        self.load_state_dict(fresh.state_dict())
        x = self._whitened(0, latents.double())
        if len(x) < FEW:
            return
        bent = _bent(_norm(x))
        stretch = (x.shape[1] / bent.square().mean()).sqrt()
        self.radial.copy_(torch.stack([stretch, torch.ones_like(stretch)]))
        x = x * (stretch * bent / _norm(x))
        generator = torch.Generator().manual_seed(0)
        for layer in range(LAYERS):
            mix = torch.randn(x.shape[1], x.shape[1], generator=generator, dtype=x.dtype)
            x = self._whitened(layer + 1, x, torch.linalg.qr(mix)[0] if layer else None)
            self.johnson[layer].copy_(torch.as_tensor(np.stack([_johnson(column) for column in x.T.numpy()], axis=1)))
            delta, xi, rate, gamma = self.johnson[layer].double()
            x = gamma + delta * _bent((x - xi) * rate)
        self._whitened(LAYERS + 1, x)

    @torch.no_grad()
    def turn(self, rotation: Tensor) -> None:
        """Turn the result, z -> z R, (d, d)."""
        self.whiten[-1] = self.whiten[-1] @ rotation
        self.colour[-1] = rotation.T @ self.colour[-1]

    def _whitened(self, layer: int, x: Tensor, rotation: Tensor | None = None) -> Tensor:
        self.shift[layer] = x.mean(dim=0)
        values, vectors = torch.linalg.eigh(torch.cov(x.T))
        turn = torch.eye(len(values), dtype=x.dtype) if rotation is None else rotation
        self.whiten[layer] = vectors / values.sqrt() @ turn
        self.colour[layer] = (turn.T * values.sqrt()) @ vectors.T
        return (x - self.shift[layer].double()) @ self.whiten[layer].double()


def _johnson(values: Floats) -> Floats:
    """δ, ξ, 1/λ, γ that bring the quantiles of values nearest to N(0, 1)'s."""
    quantiles, wanted = np.quantile(values, LEVELS), norm.ppf(LEVELS)

    def misfit(p: Floats) -> Floats:
        return np.asarray(
            np.exp(p[0]) * _bent(torch.as_tensor((quantiles - p[1]) * np.exp(p[2]))).numpy() + p[3] - wanted
        )

    delta, xi, rate, gamma = least_squares(misfit, np.zeros(4), loss="soft_l1", bounds=(LOWEST, HIGHEST)).x
    return np.array([np.exp(delta), xi, np.exp(rate), gamma])


def _bent(x: Tensor) -> Tensor:
    """asinh, and its tangent beyond `STEEPEST`."""
    edge, slope = math.sinh(STEEPEST), 1 / math.cosh(STEEPEST)
    inner = x.clamp(-edge, edge)
    return torch.asinh(inner) + (x - inner) * slope


def _unbent(y: Tensor) -> Tensor:
    """The inverse of `_bent`."""
    inner = y.clamp(-STEEPEST, STEEPEST)
    return torch.sinh(inner) + (y - inner) * math.cosh(STEEPEST)


def _norm(latent: Tensor) -> Tensor:
    """Length of latents, (..., 1), smooth and never zero."""
    return (latent.square().sum(dim=-1, keepdim=True) + 1e-6).sqrt()
