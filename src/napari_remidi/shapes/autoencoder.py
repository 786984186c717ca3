"""The spectral auto-encoder: a linear path through principal components, a learned residual, and a Gaussian latent.

The linear path alone is PCA in coefficients weighted by how far they move vertices; the residual bends it along the
families' manifold (bead number and phase, a fan's place); `gaussian` makes what is encoded N(0, I). All are smooth,
because an optimiser walks the latent with derivatives.
"""

import torch
from torch import Tensor, nn

from napari_remidi.shapes.gaussian import Gaussianisation
from napari_remidi.shapes.spectral import limited

FARTHER = 1.2  # times as far from the mean as any coefficient of the training set


class SpectralAutoEncoder(nn.Module):
    """Coefficients (..., C) <-> latent (..., d), distributed as N(0, I) over the families.

    Buffers: `mean` (C,) and `scale` (C,), with x = (c − mean) · scale in µm; `axes` (C, d), `spread` (d,): principal
    axes of x and their standard deviations; `reach` (2, C): how far below and above the mean a decoded coefficient may
    be.
    """

    mean: Tensor
    scale: Tensor
    axes: Tensor
    spread: Tensor
    reach: Tensor

    def __init__(self, coefficients: int, latent: int, width: int = 192) -> None:
        super().__init__()
        self.latent, self.width = latent, width
        for name, size in (
            ("mean", coefficients),
            ("scale", coefficients),
            ("spread", latent),
        ):
            self.register_buffer(name, torch.zeros(size))
        self.register_buffer("reach", torch.zeros(2, coefficients))
        self.register_buffer("axes", torch.zeros(coefficients, latent))
        self.gaussian = Gaussianisation(latent)
        self.encoder = _residual(coefficients, width, latent)
        self.decoder = _residual(latent, width, coefficients)

    @torch.no_grad()
    def fit_linear(self, coefficients: Tensor, scale: Tensor) -> None:
        """Set the linear path to the principal components of a training set, (N, C)."""
        self.mean.copy_(coefficients.mean(dim=0))
        self.scale.copy_(scale)
        change = coefficients - self.mean
        self.reach.copy_(FARTHER * torch.stack([-change.amin(dim=0), change.amax(dim=0)]).clamp_min(1e-3))
        x = (coefficients - self.mean) * self.scale
        _, values, vectors = torch.linalg.svd(x, full_matrices=False)
        self.axes.copy_(vectors[: self.latent].T)
        self.spread.copy_(values[: self.latent] / len(x) ** 0.5)

    def encode(self, coefficients: Tensor) -> Tensor:
        """Coefficients (..., C) -> latent (..., d)."""
        return self.gaussian(self.raw(coefficients))

    def raw(self, coefficients: Tensor) -> Tensor:
        """The latent before it is made Gaussian."""
        x = (coefficients - self.mean) * self.scale
        return (x @ self.axes) / self.spread + self.encoder(x / self.spread[0])

    def decode(self, latent: Tensor) -> Tensor:
        """Latent (..., d) -> coefficients (..., C)."""
        return self.from_raw(self.gaussian.inverse(latent))

    def from_raw(self, raw: Tensor) -> Tensor:
        """Coefficients of a latent before it is made Gaussian."""
        x = (raw * self.spread) @ self.axes.T + self.spread[0] * self.decoder(raw)
        change = x / self.scale
        below, above = self.reach
        return change * limited(change.abs(), torch.where(change < 0, below, above)) + self.mean


class _Nothing(nn.Module):
    """No residual: the linear path alone."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.zeros((), dtype=x.dtype, device=x.device)


def _residual(inputs: int, width: int, outputs: int) -> nn.Module:
    if not width:
        return _Nothing()
    last = nn.Linear(width, outputs)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    return nn.Sequential(nn.Linear(inputs, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU(), last)
