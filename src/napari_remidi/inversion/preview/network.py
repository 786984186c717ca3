"""The network: harmonics of a signal in its own frame -> a few hypotheses of latent, rotation and expected error."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

HYPOTHESES = 4
WIDTH = 512


class Hypotheses(NamedTuple):
    """What the network thinks of signals.

    latent : (B, K, d)
    rotation : (B, K, 3, 3), body to the signal's frame
    log_error : (B, K), of the expected distance from the truth, µm
    """

    latent: Tensor
    rotation: Tensor
    log_error: Tensor


class PreviewNetwork(nn.Module):
    """A residual multilayer perceptron.

    Parameters
    ----------
    inputs : number of harmonics F
    latent : dimensions d of the prior's latent
    width : of the hidden layers

    Buffers `mean`, `scale` (F,) standardise the input.
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, inputs: int, latent: int, width: int = WIDTH) -> None:
        super().__init__()
        self.latent = latent
        self.register_buffer("mean", torch.zeros(inputs))
        self.register_buffer("scale", torch.ones(inputs))
        self.first = nn.Linear(inputs, width)
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width))
            for _ in range(3)
        )
        last = nn.Linear(width, HYPOTHESES * (latent + 7))
        turns = torch.arange(HYPOTHESES) * torch.pi / 2  # at first the hypotheses are turned about z by quarters
        zero = torch.zeros(HYPOTHESES)
        six = torch.stack([turns.cos(), turns.sin(), zero, -turns.sin(), turns.cos(), zero], dim=1)
        with torch.no_grad():
            last.bias.copy_(torch.cat([torch.zeros(HYPOTHESES, latent), six, zero[:, None]], dim=1).flatten())
        self.last = nn.Sequential(nn.LayerNorm(width), last)

    def forward(self, harmonics: Tensor) -> Hypotheses:
        """Harmonics, (B, F)."""
        x = self.first((harmonics - self.mean) * self.scale)
        for block in self.blocks:
            x = x + block(x)
        out = self.last(x).unflatten(1, (HYPOTHESES, -1))
        latent, six, log_error = out.split([self.latent, 6, 1], dim=2)
        return Hypotheses(latent, rotation_of(six), log_error[..., 0])


def rotation_of(six: Tensor) -> Tensor:
    """Rotations from two vectors, the images of x and y up to Gram-Schmidt, (..., 6) -> (..., 3, 3).

    Continuous, unlike angles or quaternions (Zhou et al., CVPR 2019).
    """
    first, second = six.unflatten(-1, (2, 3)).unbind(-2)
    x = nn.functional.normalize(first, dim=-1)
    y = nn.functional.normalize(second - (x * second).sum(dim=-1, keepdim=True) * x, dim=-1)
    return torch.stack([x, y, torch.linalg.cross(x, y)], dim=-1)
