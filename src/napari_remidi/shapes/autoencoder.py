"""The spectral auto-encoder: a linear path through whitened principal components, and a learned residual.

The linear path alone is PCA in coefficients weighted by how far they move vertices; the residual bends it along the
families' manifold (bead number and phase, a fan's place). Both are smooth, because an optimiser walks the latent
with derivatives.

Whitening gives the encoded set unit covariance, but not the radii of N(0, I): a mixture of plain and intricate axons
has a heavy tail, and a Gaussian prior would call a beaded axon all but impossible. So radii are compressed,
|z| = stretch · asinh(|whitened|).
"""

import torch
from torch import Tensor, nn


class SpectralAutoEncoder(nn.Module):
    """Coefficients (..., C) <-> latent (..., d), distributed as N(0, I) over the families.

    Buffers: `mean` (C,) and `scale` (C,), with x = (c − mean) · scale in µm; `axes` (C, d), `spread` (d,): principal
    axes of x and their standard deviations; `shift` (d,), `whiten` (d, d) and `stretch` (): what makes the encoded set
    N(0, I).
    """

    mean: Tensor
    scale: Tensor
    axes: Tensor
    spread: Tensor
    shift: Tensor
    whiten: Tensor
    stretch: Tensor

    def __init__(self, coefficients: int, latent: int, width: int = 192) -> None:
        super().__init__()
        self.latent = latent
        for name, size in (("mean", coefficients), ("scale", coefficients), ("spread", latent), ("shift", latent)):
            self.register_buffer(name, torch.zeros(size))
        self.register_buffer("axes", torch.zeros(coefficients, latent))
        self.register_buffer("whiten", torch.eye(latent))
        self.register_buffer("stretch", torch.ones(()))
        self.encoder = _residual(coefficients, width, latent)
        self.decoder = _residual(latent, width, coefficients)

    @torch.no_grad()
    def fit_linear(self, coefficients: Tensor, scale: Tensor) -> None:
        """Set the linear path to the principal components of a training set, (N, C)."""
        self.mean.copy_(coefficients.mean(dim=0))
        self.scale.copy_(scale)
        x = (coefficients - self.mean) * self.scale
        _, values, vectors = torch.linalg.svd(x, full_matrices=False)
        self.axes.copy_(vectors[: self.latent].T)
        self.spread.copy_(values[: self.latent] / len(x) ** 0.5)

    def encode(self, coefficients: Tensor) -> Tensor:
        """Coefficients (..., C) -> latent (..., d)."""
        white = (self.raw(coefficients) - self.shift) @ self.whiten
        radius = _norm(white)
        return white * (self.stretch * torch.asinh(radius) / radius)

    def raw(self, coefficients: Tensor) -> Tensor:
        """The latent before whitening."""
        x = (coefficients - self.mean) * self.scale
        return (x @ self.axes) / self.spread + self.encoder(x / self.spread[0])

    def decode(self, latent: Tensor) -> Tensor:
        """Latent (..., d) -> coefficients (..., C)."""
        radius = _norm(latent)
        white = latent * (torch.sinh(radius / self.stretch) / radius)
        return self.from_raw(torch.linalg.solve(self.whiten.T, white[..., None])[..., 0] + self.shift)

    def from_raw(self, raw: Tensor) -> Tensor:
        """Coefficients of a latent before whitening."""
        x = (raw * self.spread) @ self.axes.T + self.spread[0] * self.decoder(raw)
        return x / self.scale + self.mean


def _norm(latent: Tensor) -> Tensor:
    """Length of latents, (..., 1), smooth and never zero."""
    return (latent.square().sum(dim=-1, keepdim=True) + 1e-6).sqrt()


def _residual(inputs: int, width: int, outputs: int) -> nn.Sequential:
    last = nn.Linear(width, outputs)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    return nn.Sequential(nn.Linear(inputs, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU(), last)
