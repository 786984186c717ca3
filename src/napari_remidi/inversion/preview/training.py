"""Training a preview: signals turned and made noisy on the fly, the nearest hypothesis pulled to the truth."""

import copy
import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from napari_remidi.inversion.preview.examples import Examples, TurnedSignals, noisy, random_rotations
from napari_remidi.inversion.preview.harmonics import Harmonics
from napari_remidi.inversion.preview.network import PreviewNetwork
from napari_remidi.shapes.tube import Tube

if TYPE_CHECKING:
    from napari_remidi.scan import Protocol
    from napari_remidi.shapes import Prior

BATCH, RATE = 128, 1e-3
LAYERS, RIM = 21, 8  # sections on which shapes are compared, nodes around each
LOSERS = 0.05  # weight of the hypotheses that are not the nearest
TIMID = 0.1  # weight of the error the network expects of itself
STANDARDISED_BY = 2048  # examples


class Outline:
    """Shapes as sections, which do not depend on how nodes are labelled around them."""

    def __init__(self, prior: "Prior") -> None:
        self.basis, self.tube = prior.basis, Tube(1, LAYERS, RIM)
        self.network = copy.deepcopy(prior.network).float().requires_grad_(False)

    def __call__(self, latents: Tensor) -> tuple[Tensor, Tensor]:
        """Latents (..., d) -> centres (..., 21, 3) µm and second moments of their outline (..., 21, 3, 3) µm²."""
        nodes = self.basis.vertices(self.network.decode(latents), self.tube).unflatten(-2, (LAYERS, 1 + RIM))
        offsets = nodes[..., 1:, :] - nodes[..., :1, :]
        return nodes[..., 0, :], torch.einsum("...ni,...nj->...ij", offsets, offsets) / RIM


def distance(centres: Tensor, moments: Tensor, true_centres: Tensor, true_moments: Tensor) -> Tensor:
    """About the mean distance of surfaces, µm, the smallest over a shape's four descriptions: from either end, and its
    twin. Shapes (..., L, 3) and (..., L, 3, 3) -> (...).
    """
    radius = true_moments.diagonal(dim1=-2, dim2=-1).sum(-1).sqrt()
    found = []
    for order in (slice(None), torch.arange(LAYERS - 1, -1, -1)):
        c, m, r = true_centres[..., order, :], true_moments[..., order, :, :], radius[..., order]
        wall = (_size(moments - m, (-2, -1)) / r).mean(-1)
        found += [_size(centres - c, -1).mean(-1) + wall, _size(centres + c, -1).mean(-1) + wall]
    return torch.stack(found).amin(dim=0)


def train_network(
    examples: Examples, prior: "Prior", protocol: "Protocol", steps: int, seed: int = 0
) -> Iterator[float | PreviewNetwork]:
    """Fit a network to examples; yields the share done, and the network last."""
    generator = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)
    harmonics, signals, outline = Harmonics(protocol), TurnedSignals(protocol), Outline(prior)
    with torch.no_grad():
        centres, moments = outline(examples.latents)
    network = PreviewNetwork(harmonics.size, prior.latent_dim)

    def batch(size: int) -> tuple[Tensor, Tensor, Tensor]:
        rows = torch.randint(len(examples.latents), (size,), generator=generator)
        rotations = random_rotations(size, generator)
        signal = noisy(signals(examples.polynomials[rows], rotations), generator)
        polynomials = harmonics.polynomials(signal)
        frames = harmonics.frames(polynomials)
        return harmonics.turned(polynomials, frames), rows, frames.transpose(1, 2) @ rotations

    with torch.no_grad():
        inputs = torch.cat([batch(BATCH)[0] for _ in range(STANDARDISED_BY // BATCH)])
        network.mean.copy_(inputs.mean(dim=0))
        network.scale.copy_(1 / inputs.std(dim=0).clamp_min(1e-6))
    optimiser = torch.optim.AdamW(network.parameters(), lr=RATE, weight_decay=1e-2)
    for step in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = RATE * min(1.0, 20 * step / steps) * (1 + math.cos(math.pi * step / steps)) / 2
        with torch.no_grad():
            inputs, rows, rotations = batch(BATCH)
            true_centres = centres[rows] @ rotations.transpose(1, 2)
            true_moments = rotations[:, None] @ moments[rows] @ rotations[:, None].transpose(2, 3)
        guess = network(inputs)
        guessed_centres, guessed_moments = outline(guess.latent)
        turn = guess.rotation[:, :, None]
        errors = distance(
            guessed_centres @ guess.rotation.transpose(2, 3),
            turn @ guessed_moments @ turn.transpose(3, 4),
            true_centres[:, None],
            true_moments[:, None],
        )
        nearest = errors.amin(dim=1)
        expected = errors.detach() * torch.exp(-guess.log_error) + guess.log_error
        loss = (1 - LOSERS) * nearest.mean() + LOSERS * errors.mean() + TIMID * expected.mean()
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        yield (step + 1) / steps
    yield network.eval().requires_grad_(False)


def _size(x: Tensor, dim: int | tuple[int, int]) -> Tensor:
    return torch.sqrt(x.square().sum(dim=dim) + 1e-6)
