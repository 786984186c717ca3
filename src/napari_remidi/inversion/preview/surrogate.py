"""The signal of a latent without a simulation: a small network from the latent to the polynomials of every shell.

It is accurate to about 0.03 of S/S0 and costs tenths of a millisecond: enough to judge a hypothesis by its signal, not
to refine it.
"""

import math
from collections.abc import Iterator
from itertools import pairwise

import torch
from torch import Tensor, nn

from napari_remidi.inversion.preview.examples import DEGREE, Examples
from napari_remidi.inversion.sphere import half_sphere, monomials

COMPONENTS, WIDTH = 150, 384
NODES = 120  # directions at which principal components are taken
BATCH, RATE = 256, 2e-3


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
