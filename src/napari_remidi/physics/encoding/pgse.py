"""Pulsed-gradient spin echo in a reduced model: the signal of every measurement at once.

During a pulse v' = −H v with H = D Λ + i q A_g, both parts real symmetric; between pulses only D Λ acts, and the
second pulse is the first one's conjugate. With v = e^{−δH} c (c the start) and w = e^{−δH} u (u the detection),

    S = Re Σ_j e^{−(Δ−δ) D λ_j} conj(w_j) v_j,        w ∝ v where spins start everywhere (closed ends).

The exponential acts by Strang splitting in the eigenbasis of A_g: one real r × r product per step for all columns
of a direction, then a pointwise phase; Richardson extrapolation from N and 2N steps. Where a block has a lead time,
start and detection decay freely for as long, c → e^{−lead D Λ} c.
"""

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from napari_remidi.physics.encoding.pulses import PulseBlock
from napari_remidi.physics.reduction.reduced import ReducedModel

PHASE_STEP = 0.5  # rad, the largest phase that a Strang step may turn
LONGEST_STEP = 1.5  # ms; in a long pulse it is diffusion, not the phase, that asks for more
STEPS = (8, 128)  # fewest and most steps per pulse
CHUNK_BYTES = 2**28  # of working memory


def pgse_signal(
    model: ReducedModel,
    blocks: list[PulseBlock],
    diffusivity: float,
    rotation: Tensor | None = None,
    count: int = 0,
    refine: int = 1,
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

    Returns
    -------
    (M,) S/S0, one where no gradient acts
    """
    signal = signal_of_ones(blocks, count)
    size = len(model.decay)
    for block in blocks:
        for part in parts_of(block, 8 * size * (4 * block.strength.shape[1] + 3 * size)):
            pulse = Pulse(model, part, diffusivity, rotation)
            steps = refine * pulse.steps
            coarse, fine = (pulse.signal(pulse.ends(n)) for n in (steps, 2 * steps))
            held = part.measurement >= 0
            signal[part.measurement[held]] = ((4 * fine - coarse) / 3)[held]
    return signal


def parts_of(block: PulseBlock, bytes_each: int, memory: int = CHUNK_BYTES) -> Iterator[PulseBlock]:
    """Some directions after the other, as many as fit into the working memory."""
    chunk = max(1, memory // bytes_each)
    for first in range(0, len(block.directions), chunk):
        yield block.part(slice(first, first + chunk))


def signal_of_ones(blocks: list[PulseBlock], count: int) -> Tensor:
    """(M,) of ones in the blocks' dtype and on their device."""
    rows = max([count, *(int(block.measurement.max()) + 1 for block in blocks)])
    if not blocks:
        return torch.ones(rows)
    return torch.ones(rows, dtype=blocks[0].strength.dtype, device=blocks[0].strength.device)


class Pulse:
    """One block's pulse in a reduced model, ready to propagate columns (G, r, columns)."""

    def __init__(self, model: ReducedModel, block: PulseBlock, diffusivity: float, rotation: Tensor | None) -> None:
        real, device = block.strength.dtype, block.strength.device
        self.block, self.model, self.diffusivity = block, model, diffusivity
        self.decay = (diffusivity * model.decay).to(device, real)
        self.position = model.position.to(device, real)
        self.rotation = None if rotation is None else rotation.to(device, real)
        self.directions = block.directions if self.rotation is None else block.directions @ self.rotation
        gradient = torch.einsum("gc,cij->gij", self.directions, self.position)
        self.phase, self.axes = torch.linalg.eigh(gradient)
        self.start = model.start.to(device, real)
        self.detect = model.detect.to(device, real)
        self.closed = model.density is None
        turn = float(self.phase.abs().amax() * block.strength.amax() * block.delta)
        wanted = max(turn / PHASE_STEP, block.delta / LONGEST_STEP)
        self.steps = min(max(STEPS[0], 2 * math.ceil(wanted / 2)), STEPS[1])  # even, to be halved
        self.gap = torch.exp(-block.gap[:, None, :] * self.decay[:, None])

    def ends(self, steps: int) -> tuple[Tensor, Tensor]:
        """v and w at the end of the pulse, (G, r, C) complex, in the modes."""
        *_, columns = self._march(self._columns(), steps)
        v = self._to_modes(columns)
        if self.closed:
            return v, v * self.model.amount.to(v.real)
        return v[..., : v.shape[-1] // 2], v[..., v.shape[-1] // 2 :]

    def signal(self, ends: tuple[Tensor, Tensor]) -> Tensor:
        """(G, C) from v and w at the end of the pulse."""
        v, w = ends
        return (self.gap * (w.real * v.real + w.imag * v.imag)).sum(1)

    def _columns(self) -> Tensor:
        begin = self._begin(self.start)
        if not self.closed:
            begin = torch.cat([begin, self._begin(self.detect)], dim=-1)
        return torch.complex(begin, torch.zeros_like(begin))

    def _begin(self, weights: Tensor) -> Tensor:
        """Start or detection at the pulse's beginning, in the eigenbasis of the gradient, (G, r, C)."""
        if self.block.lead is None:
            return (self.axes.transpose(1, 2) @ weights)[..., None].expand(-1, -1, self.block.strength.shape[1])
        return self.axes.transpose(1, 2) @ (self.lead_decay * weights[:, None])

    def begin_rows(self) -> Tensor:
        """Start, and with open ends detection, at the pulse's beginning, as real and imaginary rows, (G, 2, K, r)."""
        begin = self._columns().transpose(1, 2)
        return torch.stack([begin.real, begin.imag], dim=1)

    def phase_rows(self, time: float) -> tuple[Tensor, Tensor]:
        """Cosine and sine of q t p for the eigenvalues p of A_g, (G, K, r)."""
        strength = self.block.strength if self.closed else self.block.strength.repeat(1, 2)
        angle = time * strength[..., None] * self.phase[:, None]
        return torch.cos(angle), torch.sin(angle)

    @property
    def lead_decay(self) -> Tensor:
        """Decay before the first pulse, and after the second, (G, r, C)."""
        assert self.block.lead is not None
        return torch.exp(-self.block.lead[:, None, :] * self.decay[:, None])

    def _march(self, columns: Tensor, steps: int) -> Iterator[Tensor]:
        """States after each Strang step, in the eigenbasis of the gradient."""
        tau = self.block.delta / steps
        half = self._phases(tau / 2)
        diffuse = self.axes.transpose(1, 2) @ (torch.exp(-tau * self.decay)[:, None] * self.axes)
        for _ in range(steps):
            columns = real_product(diffuse, columns * half) * half
            yield columns

    def _phases(self, time: float) -> Tensor:
        """e^{−i q t p} for the eigenvalues p of A_g, (G, r, columns)."""
        strength = self.block.strength if self.closed else self.block.strength.repeat(1, 2)
        angle = -time * strength[:, None] * self.phase[..., None]
        return torch.polar(torch.ones_like(angle), angle)

    def _to_modes(self, columns: Tensor) -> Tensor:
        return real_product(self.axes, columns)

    def _from_modes(self, columns: Tensor) -> Tensor:
        return real_product(self.axes.transpose(1, 2), columns)


def real_product(matrix: Tensor, columns: Tensor) -> Tensor:
    """A real matrix times complex columns, (G, r, r) @ (G, r, C), as one real product."""
    pairs = torch.view_as_real(columns.contiguous())
    return torch.view_as_complex((matrix @ pairs.flatten(2)).reshape(pairs.shape))


def divided_difference(decay: Tensor, gap: Tensor) -> Tensor:
    """φ(λi, λj) = (e^{−Tλi} − e^{−Tλj}) / (λj − λi) for every measurement's T, (G, C, r, r), without cancellation."""
    lowest = torch.minimum(decay[:, None], decay)
    gaps, which = gap.unique(return_inverse=True)
    time = gaps[:, None, None]
    x = time * (decay[:, None] - decay).abs()
    table = time * torch.exp(-time * lowest) * torch.where(x < 1e-3, 1 - x / 2, -torch.expm1(-x) / x.clamp_min(1e-3))
    return table[which]
