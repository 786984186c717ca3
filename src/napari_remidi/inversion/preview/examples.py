"""What a preview learns from: the prior's axons, each simulated once in its body's frame, then turned and made noisy.

On one shell a signal is an even, smooth function on the sphere, so a homogeneous polynomial holds it: one simulation
serves any orientation.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_remidi.inversion.sphere import half_sphere, monomials
from napari_remidi.inversion.template import Template
from napari_remidi.physics.encoding.pgse import pgse_signal
from napari_remidi.physics.encoding.pulses import pulse_blocks
from napari_remidi.shapes.families import closed_axon

if TYPE_CHECKING:
    from napari_remidi.scan import Protocol
    from napari_remidi.shapes import Prior

Floats = NDArray[np.float64]
DEGREE, DIRECTIONS = 12, 110  # of the polynomials, 91 coefficients; at b = 10000 s/mm² degree 8 is wrong by 0.02
MODES = 40
DRAWN = 0.2  # share of the examples that are draws of N(0, I), the others are the family's
SNR = (10.0, 100.0)


@dataclass(frozen=True, eq=False)
class Examples:
    """Axons and their signals on a protocol's shells.

    Attributes
    ----------
    latents : (E, d) float32
    polynomials : (E, 91, S) float32
    """

    latents: Tensor
    polynomials: Tensor


def simulate_examples(
    prior: "Prior", protocol: "Protocol", diffusivity: float, count: int, seed: int = 0
) -> Iterator[float | Examples]:
    """Draw and simulate axons of the prior's family; yields the share done, and the examples last."""
    from napari_remidi.scan import Protocol

    rng, device = np.random.default_rng(seed), torch.device("cpu")
    template = Template.of(prior, MODES)
    shells, directions = protocol.shells, half_sphere(DIRECTIONS)
    bvals, delta, Delta = (
        np.repeat(column, DIRECTIONS) for column in np.array([(s.bval, s.delta, s.Delta) for s in shells]).T
    )
    body = Protocol.pgse(bvals, np.tile(directions, (len(shells), 1)), delta, Delta)
    blocks = pulse_blocks(body, device)
    fit = torch.linalg.pinv(monomials(torch.as_tensor(directions), DEGREE)).float()
    latents: list[Tensor] = []
    polynomials: list[Tensor] = []
    while len(latents) < count:
        latent = _drawn(prior, rng)
        shape = template.shape(latent)
        if shape is None:
            continue
        signal = pgse_signal(shape.model, blocks, diffusivity, count=len(body)).float()
        latents.append(torch.as_tensor(latent, dtype=torch.float32))
        polynomials.append(fit @ signal.reshape(len(shells), DIRECTIONS).T)
        yield len(latents) / count
    yield Examples(torch.stack(latents), torch.stack(polynomials))


class TurnedSignals:
    """Signals of examples in any orientation, for the measurements of a protocol, with noise."""

    def __init__(self, protocol: "Protocol") -> None:
        directions, self._direction = np.unique(protocol.bvecs, axis=0, return_inverse=True)
        self._directions = torch.as_tensor(directions, dtype=torch.float32)
        self._weighted = torch.as_tensor(~protocol.is_b0)
        shell = np.zeros(len(protocol), dtype=np.int64)
        for index, one in enumerate(protocol.shells):
            shell[one.indices] = index
        self._shell = torch.as_tensor(shell)

    def __call__(self, polynomials: Tensor, rotations: Tensor) -> Tensor:
        """(B, 91, S) and body-to-world (B, 3, 3) -> (B, M); one where there is no gradient."""
        at_all = monomials(self._directions.to(rotations.dtype) @ rotations, DEGREE) @ polynomials
        signal = at_all[:, self._direction, self._shell]
        return torch.where(self._weighted, signal, 1.0)


def noisy(signal: Tensor, generator: torch.Generator) -> Tensor:
    """Rician noise of an SNR between 10 and 100, one for each signal, (B, M)."""
    low, high = np.log(SNR)
    sd = torch.exp(-(low + (high - low) * torch.rand(len(signal), 1, generator=generator)))
    first, second = torch.randn(2, *signal.shape, generator=generator)
    return torch.hypot(signal + sd * first, sd * second)


def random_rotations(count: int, generator: torch.Generator) -> Tensor:
    """Uniform, (count, 3, 3), from unit quaternions."""
    q = torch.nn.functional.normalize(torch.randn(count, 4, generator=generator), dim=1)
    w, x, y, z = q.unbind(1)
    rows = [
        1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y),
        2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x),
        2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y),
    ]  # fmt: skip
    return torch.stack(rows, dim=1).reshape(-1, 3, 3)


def _drawn(prior: "Prior", rng: np.random.Generator) -> Floats:
    if rng.random() < DRAWN:
        return rng.standard_normal(prior.latent_dim)
    axon = closed_axon(rng)
    return prior.encode_coefficients(prior.basis.coefficients(axon.fields, np.log(axon.length)))
