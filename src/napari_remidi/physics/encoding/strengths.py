"""Fewer gradient strengths than a direction has: the signal is a smooth function of them.

A signal at gradient strength q is ∫ cos(q δ X) p(X) dX over the distances X between a spin's mean positions during
the two pulses (Mitra & Halperin, J. Magn. Reson. A 113:94, 1995). No X exceeds the extent of the cell, so that the
signal's even continuation to [−q_max, q_max] has a band of 2·turn, the turn being q_max δ times the largest |position|.
Chebyshev interpolation in n points is then within 4 Σ_{k ≥ n} |J_k(2 turn)| of it
(Trefethen, Approximation Theory and Approximation Practice, 2013, theorem 4.2, where twice J_k are a wave's Chebyshev
coefficients): a number of points a little above the band, however many strengths were measured. Derivatives follow
likewise.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import jv
from torch import Tensor

from napari_remidi.physics.encoding.pulses import PulseBlock

# what the bound may amount to. It holds for spins that all go from one end to the other: those of an axon leave a
# thousandth of it, those between two plates a fiftieth
ALLOWED = {torch.float32: 1e-3, torch.float64: 1e-11}


@dataclass(frozen=True, eq=False)
class Strengths:
    """Gradient strengths to propagate for a block, G directions with C each, and how its measurements follow.

    Every strength is read out after Q times between the pulses.

    Attributes
    ----------
    strength : (G, C) q in rad/(µm ms)
    gap : (G, C, Q) Δ − δ in ms
    lead : (G, C) ms of free decay before the first pulse; None for none
    weights : (G, M, C·Q) of the readouts in each of the block's M measurements; None where they are the measurements
    """

    strength: Tensor
    gap: Tensor
    lead: Tensor | None = None
    weights: Tensor | None = None

    @classmethod
    def of(cls, block: PulseBlock, turn: float, allowed: float | None = None) -> "Strengths":
        """A block's own strengths, or interpolation points where those are fewer.

        Parameters
        ----------
        block : PulseBlock
        turn : rad, the largest phase that its strongest gradient turns in one pulse
        allowed : what the bound may amount to; None: `ALLOWED`
        """
        measured = block.strength.shape[1]
        allowed = ALLOWED.get(block.strength.dtype, ALLOWED[torch.float64]) if allowed is None else allowed
        return _propagated(block, points_needed(turn, allowed, measured))

    @property
    def times(self) -> Tensor | None:
        """(Q,) times between the pulses where every strength of every direction has the same ones."""
        return self.gap[0, 0] if self.gap.stride()[:2] == (0, 0) else None

    def part(self, which: slice) -> "Strengths":
        """Of some of the directions."""
        lead, weights = (None if x is None else x[which] for x in (self.lead, self.weights))
        return Strengths(self.strength[which], self.gap[which], lead, weights)

    def measured(self, values: Tensor) -> Tensor:
        """Of the block's measurements, from those of the readouts: (G, C·Q, ...) -> (G, M, ...)."""
        return values if self.weights is None else torch.einsum("gmc,gc...->gm...", self.weights, values)

    def shares(self, weight: Tensor) -> Tensor:
        """The readouts' weights in a weighted sum of the measurements: (G, M) -> (G, C·Q)."""
        return weight if self.weights is None else (weight[:, None] @ self.weights)[:, 0]


@lru_cache(maxsize=32)  # a protocol's blocks are evaluated again and again, for one shape after the other
def _propagated(block: PulseBlock, count: int) -> Strengths:
    """`count` interpolation points for every readout, or the block's own strengths where those are fewer."""
    held = (block.measurement >= 0).cpu().numpy()
    times = np.stack([x.cpu().numpy() for x in (block.gap, block.lead) if x is not None], axis=-1)
    readouts = np.unique(times[held], axis=0)  # (Q, 1 or 2)
    if count * len(readouts) >= block.strength.shape[1]:
        return Strengths(block.strength, block.gap[..., None], block.lead)
    largest = block.strength.amax(dim=1, keepdim=True)
    points, shares = even_interpolation((block.strength / largest).double().cpu().numpy(), count)
    chosen = (times[:, :, None] == readouts).all(axis=-1) & held[..., None]  # (G, M, Q)
    weights = torch.as_tensor((shares[..., None] * chosen[:, :, None]).reshape(*held.shape, -1)).to(largest)
    strength = largest * torch.as_tensor(points).to(largest)
    gap, *lead = torch.as_tensor(readouts.T.copy()).to(largest)
    groups, many = len(strength), len(readouts)
    if not lead:
        return Strengths(strength, gap.expand(groups, count, many), None, weights)
    # what starts otherwise is propagated on its own
    gap, lead_in = (x.repeat(groups, count) for x in (gap, lead[0]))
    return Strengths(strength.repeat_interleave(many, dim=1), gap[..., None], lead_in, weights)


def points_needed(turn: float, allowed: float, most: int) -> int:
    """How many of an even interpolation's points are positive, for an error of `allowed`; at most `most`."""
    orders = np.arange(0, 2 * most + 100, 2)
    left = 4 * np.abs(jv(orders, 2 * turn))[::-1].cumsum()[::-1]  # from each order on
    enough = np.flatnonzero((left <= allowed) & (orders > 2 * turn))  # J_k falls from the order that is its argument
    return min(int(enough[0]), most) if len(enough) else most


def even_interpolation(positions: NDArray[np.float64], count: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Points in (0, 1) and the weights of an even function's values there in its values at some positions.

    Parameters
    ----------
    positions : (...) between 0 and 1
    count : number of points

    Returns
    -------
    points : (count,) the positive ones of 2·count Chebyshev points
    weights : (..., count)
    """
    angles = (2 * np.arange(count) + 1) * np.pi / (4 * count)
    orders = 2 * np.arange(count)
    share = np.where(orders == 0, 1, 2) / count
    to_coefficients = share[:, None] * np.cos(orders[:, None] * angles)  # a_k = share_k Σ_j T_k(x_j) f(x_j)
    waves = np.cos(np.arccos(np.clip(positions, 0, 1))[..., None] * orders)
    return np.cos(angles), waves @ to_coefficients
