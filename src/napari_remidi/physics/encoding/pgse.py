"""Pulsed-gradient spin echo in a reduced model: the signal of every measurement at once.

During a pulse v' = −H v with H = D Λ + i q A_g, both parts real symmetric; between pulses only D Λ acts, and the
second pulse is the first one's conjugate. With v = e^{−δH} c (c the start) and w = e^{−δH} u (u the detection),

    S = Re Σ_j e^{−(Δ−δ) D λ_j} conj(w_j) v_j,        w ∝ v where spins start everywhere (closed ends).

The exponential acts by Strang splitting in the eigenbasis of A_g: one real r × r product per step for all columns
of a direction, then a pointwise phase; Richardson extrapolation from N and 2N steps. Where a direction has many
gradient strengths, a few are propagated and the others interpolated (`strengths`). Where a block has a lead time, start
and detection decay freely for as long, c → e^{−lead D Λ} c.
"""

import copy
import math
from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_remidi.physics.encoding.care import FINE, Care
from napari_remidi.physics.encoding.pulses import PulseBlock
from napari_remidi.physics.encoding.strengths import Strengths
from napari_remidi.physics.lazy import lazy
from napari_remidi.physics.reduction.reduced import ReducedModel

Floats = NDArray[np.float64]
LONGEST_STEP = 1.5  # ms; in a long pulse it is diffusion, not the phase, that asks for more
SLOW = 1e-2  # decay of a mode during a pulse that is next to none
MOST_STEPS = 128  # per pulse
NEGLIGIBLE = 1e-20  # of a magnetisation, what is left of it
CHUNK_BYTES = 2**28  # of working memory


def pgse_signal(
    model: ReducedModel,
    blocks: list[PulseBlock],
    diffusivity: float,
    rotation: Tensor | None = None,
    count: int = 0,
    refine: int = 1,
    care: Care = FINE,
) -> Tensor:
    """Signal of every measurement.

    Parameters
    ----------
    model : ReducedModel
    blocks : from `pulse_blocks`; their dtype and device are used
    diffusivity : µm²/ms
    rotation : (3, 3), body to world; directions are turned into the body's frame. None: body and world agree
    count : number of measurements M
    refine : times as many steps as by default
    care : which steps and gradient strengths

    Returns
    -------
    (M,) S/S0, one where no gradient acts
    """
    signal = signal_of_ones(blocks, count)
    size = model.decay.shape[-1]
    for block in blocks:
        whole = Pulse(model, block, diffusivity, rotation, care=care)
        for pulse in whole.parts(8 * size * (4 * block.strength.shape[1] + size)):
            steps = refine * pulse.steps
            found = pulse.signal(pulse.ends(steps))
            if care.extrapolated:
                found = (4 * pulse.signal(pulse.ends(2 * steps)) - found) / 3
            pulse.put(signal, pulse.strengths.measured(found))
    return signal


def signal_of_ones(blocks: list[PulseBlock], count: int) -> Tensor:
    """(M,) of ones in the blocks' dtype and on their device."""
    rows = max([count, *(int(block.measurement.max()) + 1 for block in blocks)])
    if not blocks:
        return torch.ones(rows)
    return torch.ones(rows, dtype=blocks[0].strength.dtype, device=blocks[0].strength.device)


class Pulse:
    """One block's pulse in a reduced model, ready to propagate columns (G, r, K).

    The K columns are those of `strengths`: its C, or 2 C where start and detection differ.
    """

    def __init__(
        self,
        model: ReducedModel,
        block: PulseBlock,
        diffusivity: float,
        rotation: Tensor | None,
        allowed: float | None = None,
        care: Care = FINE,
    ) -> None:
        real, device = block.strength.dtype, block.strength.device
        self.block, self.model, self.diffusivity = block, model, diffusivity
        decay = (diffusivity * model.decay).to(device, real)
        # of every direction, (G, r), where directions are those of several cells
        self.decay = decay.repeat_interleave(len(block.strength) // len(decay), 0) if decay.ndim == 2 else decay
        self.position = model.position.to(device, real)
        self.rotation = None if rotation is None else rotation.to(device, real)
        self.directions = block.directions if self.rotation is None else block.directions @ self.rotation
        self.phase, self.axes = model.turning(self.directions)
        self.start = model.start.to(device, real)
        self.detect = model.detect.to(device, real)
        self.closed = model.density is None
        self.strongest = float(block.strength.amax())
        self.turn = float(self.phase.abs().amax()) * self.strongest * block.delta
        self.care = care
        self.strengths = Strengths.of(block, care.band * self.turn, allowed)

    @property
    def steps(self) -> int:
        """Number of the signal's coarser steps."""
        steps, allowed = self.steps_of(self.care.phase, self.care.fewest), self.care.narrowed
        return steps if allowed is None else self.following(steps, allowed)

    def following(self, steps: int, allowed: float) -> int:
        """So many coarser steps, or as many more as keep to an error of S0 where spins cross the cell in less."""
        while steps < MOST_STEPS and self._narrowed(steps) > allowed:
            steps += 2
        return steps

    @lazy
    def columns(self) -> Tensor:
        """q of the propagated columns, (G, K)."""
        return self.strengths.strength if self.closed else self.strengths.strength.repeat(1, 2)

    def parts(self, bytes_each: int, memory: int = CHUNK_BYTES) -> Iterator["Pulse"]:
        """Some directions after the other, as many as fit into the working memory, `bytes_each` for each of them."""
        groups = len(self.directions)
        if groups * bytes_each <= memory:
            yield self
            return
        chunk = max(1, memory // bytes_each)
        for first in range(0, groups, chunk):
            which, part = slice(first, first + chunk), copy.copy(self)
            for known in ("columns", "damping"):
                part.__dict__.pop(known, None)
            part.block, part.strengths = self.block.part(which), self.strengths.part(which)
            part.directions, part.phase, part.axes = self.directions[which], self.phase[which], self.axes[which]
            part.decay = self.decay[which] if self.decay.ndim == 2 else self.decay
            yield part

    def put(self, result: Tensor, values: Tensor) -> None:
        """Write the measurements' values, (G, M, ...), into their rows of (M, ...)."""
        held = self.block.measurement >= 0
        result[self.block.measurement[held]] = values[held]

    def steps_of(self, phase: float, fewest: int) -> int:
        """Number of steps, even to be halved, none of which turns by more than `phase` rad."""
        wanted = max(self.turn / phase, self.block.delta / LONGEST_STEP)
        return min(max(fewest, 2 * math.ceil(wanted / 2)), MOST_STEPS)

    def _narrowed(self, steps: int) -> float:
        """Error, of S0, where spins cross the cell many times in a step (motional narrowing).

        Modes of rates D λ take E = 2δ q² |A_0n|² / D λ from the logarithm of the signal. Steps of τ, which turn all
        their phase at once, take y coth y times as much, y = D λ τ / 2, and Richardson's extrapolation leaves some of
        that. It is the error of E e^{−E}, which is never more than 1 / e.
        """
        taken, rates = self._narrowing
        y = rates * (self.block.delta / (4 * steps))
        fine, coarse = y / np.tanh(y), 2 * y / np.tanh(2 * y)
        wrong = np.minimum(taken, np.exp(-1)) * ((4 * fine - coarse) / 3 - 1)
        return float(wrong.sum(-1).max(initial=0.0))

    @lazy
    def _narrowing(self) -> tuple[Floats, Floats]:
        """E and D λ, (..., r), of all modes but those too slow to matter."""
        model = self.model
        even = model.detect / model.detect.norm()  # whatever the start, so that signals add up as starts do
        from_start = (model.position @ even).square().sum(-2).double().cpu().numpy()
        rates = np.maximum(self.diffusivity * model.decay.double().cpu().numpy(), SLOW / self.block.delta)
        return 2 * self.block.delta * self.strongest**2 * from_start / rates, rates

    def ends(self, steps: int) -> tuple[Tensor, Tensor]:
        """v and w at the end of the pulse, (G, r, C) complex, in the modes."""
        tau = self.block.delta / steps
        half, diffuse = turned_by(self.angles(tau / 2)), self.diffusion(tau)
        whole = half * half  # of two steps, where they meet
        state = self.begin() * half
        for step in range(steps):
            state = real_product(diffuse, state) * (whole if step + 1 < steps else half)
        v = self.to_modes(state)
        if self.closed:
            return v, v * self.model.amount.to(v.real)
        return v[..., : v.shape[-1] // 2], v[..., v.shape[-1] // 2 :]

    def signal(self, ends: tuple[Tensor, Tensor]) -> Tensor:
        """(G, C·Q) from v and w at the end of the pulse."""
        v, w = ends
        left = (w.real * v.real + w.imag * v.imag).transpose(1, 2)
        return (self.damping @ left[..., None]).flatten(1)

    @lazy
    def damping(self) -> Tensor:
        """e^{−(Δ−δ) D λ} between the pulses, (G, C, Q, r)."""
        gap, times = self.strengths.gap, self.strengths.times
        some = gap if times is None else times
        decay = self.decay[:, None, None] if self.decay.ndim == 2 else self.decay
        return nothing_tiny(torch.exp(-some[..., None] * decay)).expand(*gap.shape, -1)

    def begin(self) -> Tensor:
        """Start, and with open ends detection, at the pulse's beginning, in the eigenbasis of A_g, (G, r, K)."""
        sides = [self.start] if self.closed else [self.start, self.detect]
        begin = torch.cat([self._begin(weights) for weights in sides], dim=-1)
        return torch.complex(begin, torch.zeros_like(begin))

    def lead_decay(self) -> Tensor:
        """Decay before the first pulse, and after the second, (G, r, C)."""
        assert self.strengths.lead is not None
        return torch.exp(-self.strengths.lead[:, None, :] * self.decay[:, None])

    def angles(self, time: float) -> Tensor:
        """q t p for the eigenvalues p of A_g, (G, r, K)."""
        return time * self.columns[:, None] * self.phase[..., None]

    def diffusion(self, time: float) -> Tensor:
        """e^{−t D Λ} in the eigenbasis of A_g, (G, r, r)."""
        return self.axes.transpose(1, 2) @ (torch.exp(-time * self.decay)[..., None] * self.axes)

    def march(self, state: Tensor, steps: int) -> Iterator[Tensor]:
        """States after each Strang step, in the eigenbasis of the gradient."""
        tau = self.block.delta / steps
        half, diffuse = turned_by(self.angles(tau / 2)), self.diffusion(tau)
        for _ in range(steps):
            state = real_product(diffuse, state * half) * half
            yield state

    def to_modes(self, columns: Tensor) -> Tensor:
        """From the eigenbasis of A_g."""
        return real_product(self.axes, columns)

    def from_modes(self, columns: Tensor) -> Tensor:
        """To the eigenbasis of A_g."""
        return real_product(self.axes.transpose(1, 2), columns)

    def _begin(self, weights: Tensor) -> Tensor:
        """Start or detection at the pulse's beginning, in the eigenbasis of the gradient, (G, r, C)."""
        if self.strengths.lead is None:
            return (self.axes.transpose(1, 2) @ weights)[..., None].expand(-1, -1, self.strengths.strength.shape[1])
        return self.axes.transpose(1, 2) @ (self.lead_decay() * weights[:, None])


def turned_by(angles: Tensor) -> Tensor:
    """e^{−i angle}."""
    return torch.polar(torch.ones_like(angles), -angles)


def real_product(matrix: Tensor, columns: Tensor) -> Tensor:
    """A real matrix times complex columns, (G, r, r) @ (G, r, C), as one real product."""
    pairs = torch.view_as_real(columns.contiguous())
    return torch.view_as_complex((matrix @ pairs.flatten(2)).reshape(pairs.shape))


def nothing_tiny(decayed: Tensor) -> Tensor:
    """What is left of one, zero where that is next to nothing: a processor takes ten times as long over 1e-40."""
    return decayed.masked_fill(decayed < NEGLIGIBLE, 0)


def divided_difference(decay: Tensor, gap: Tensor) -> Tensor:
    """φ(λi, λj) = (e^{−Tλi} − e^{−Tλj}) / (λj − λi) for every T, (G, C) -> (G, C, r, r), without cancellation."""
    lowest = torch.minimum(decay[:, None], decay)
    gaps, which = gap.unique(return_inverse=True)
    time = gaps[:, None, None]
    x = time * (decay[:, None] - decay).abs()
    faded = nothing_tiny(torch.exp(-time * lowest))
    table = time * faded * torch.where(x < 1e-3, 1 - x / 2, -torch.expm1(-x) / x.clamp_min(1e-3))
    return table.expand(*gap.shape, *table.shape[1:]) if len(gaps) == 1 else table[which]
