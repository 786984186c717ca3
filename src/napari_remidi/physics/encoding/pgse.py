"""Pulsed-gradient spin echo in a reduced model: the signal of every measurement at once, and its Jacobian.

During a pulse v' = −H v with H = D Λ + i q A_g, both parts real symmetric; between pulses only D Λ acts, and the
second pulse is the first one's conjugate. With v = e^{−δH} c (c the start) and w = e^{−δH} u (u the detection),

    S = Re Σ_j e^{−(Δ−δ) D λ_j} conj(w_j) v_j,        w ∝ v where spins start everywhere (closed ends).

The exponential acts by Strang splitting in the eigenbasis of A_g: one real r × r product per step for all columns
of a direction, then a pointwise phase; Richardson extrapolation from N and 2N steps. Its derivative with respect to
any number of parameters needs only the adjoint trajectory a(t) = e^{−(δ−t)H} a(δ):

    dS = −Re ∫ a(t)ᵀ (dΛ + i q dA_g) v(t) dt + Re a(0)ᵀ dc + (the same from the detection)
         − Σ_ij Re conj(w_i) φ_ij dΛ_ij v_j,

φ the divided difference of e^{−(Δ−δ)λ}: one r × r matrix per measurement, contracted with the tangents of
`reduced_tangents`. Where a block has a lead time, start and detection decay freely for as long, c → e^{−lead D Λ} c.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from napari_remidi.physics.encoding.pulses import PulseBlock
from napari_remidi.physics.reduction.reduced import ReducedModel, ReducedTangents

PHASE_STEP = 0.5  # rad, the largest phase that a Strang step may turn
LONGEST_STEP = 1.5  # ms; in a long pulse it is diffusion, not the phase, that asks for more
STEPS = (8, 128)  # fewest and most steps per pulse
CHUNK_BYTES = 2**28  # of working memory


@dataclass(frozen=True, eq=False)
class Sensitivity:
    """Derivative of every measurement.

    Attributes
    ----------
    shape : (M, P) with respect to the parameters of the tangents
    diffusivity : (M,) per µm²/ms
    direction : (M, 3) with respect to the gradient direction
    """

    shape: Tensor
    diffusivity: Tensor
    direction: Tensor


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
    signal = _ones(blocks, count)
    size = len(model.decay)
    for block in blocks:
        for part in _parts(block, 8 * size * (4 * block.strength.shape[1] + 3 * size)):
            pulse = Pulse(model, part, diffusivity, rotation)
            steps = refine * pulse.steps
            coarse, fine = (pulse.signal(pulse.ends(n)) for n in (steps, 2 * steps))
            held = part.measurement >= 0
            signal[part.measurement[held]] = ((4 * fine - coarse) / 3)[held]
    return signal


def pgse_sensitivity(
    model: ReducedModel,
    tangents: ReducedTangents,
    blocks: list[PulseBlock],
    diffusivity: float,
    rotation: Tensor | None = None,
    count: int = 0,
    exact: bool = False,
) -> Sensitivity:
    """Jacobian of every measurement; parameters as in `pgse_signal`. `direction` is in the world's frame.

    `exact` takes the signal's own steps, N and 2N, instead of N/2 and N: half as fast, and 1e-5 of the largest
    derivative from it instead of 2e-3.
    """
    ones = _ones(blocks, count)
    parameters = len(tangents.start)
    result = Sensitivity(ones.new_zeros(len(ones), parameters), torch.zeros_like(ones), ones.new_zeros(len(ones), 3))
    for block in blocks:
        size = len(model.decay)
        for part in _parts(block, block.strength.shape[1] * 8 * size * (4 * (STEPS[1] // 8) + 2 * size)):
            pulse = Pulse(model, part, diffusivity, rotation)
            shape, diffusion, direction = pulse.sensitivity(tangents, exact)
            held = part.measurement >= 0
            rows = part.measurement[held]
            result.shape[rows] = shape[held]
            result.diffusivity[rows] = diffusion[held]
            result.direction[rows] = (part.sign[..., None] * direction)[held]
    return result


def _parts(block: PulseBlock, bytes_each: int) -> Iterator[PulseBlock]:
    """Some directions after the other, as many as fit into the working memory."""
    chunk = max(1, CHUNK_BYTES // bytes_each)
    for first in range(0, len(block.directions), chunk):
        yield block.part(slice(first, first + chunk))


def _ones(blocks: list[PulseBlock], count: int) -> Tensor:
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

    def sensitivity(self, tangents: ReducedTangents, exact: bool) -> tuple[Tensor, Tensor, Tensor]:
        """Derivatives of the block's signal: shape (G, C, P), diffusivity (G, C), direction (G, C, 3)."""
        real, device = self.decay.dtype, self.decay.device
        steps = 2 * self.steps if exact else self.steps
        fine, coarse = self._adjoint(steps), self._adjoint(steps // 2)
        on_decay, on_position, on_start, on_detect = ((4 * f - c) / 3 for f, c in zip(fine, coarse, strict=True))
        on_decay, on_position = on_decay.flatten(2), on_position.flatten(2)

        d_decay = (self.diffusivity * tangents.decay).to(device, real).flatten(1)
        d_position = tangents.position.to(device, real).flatten(2)
        turned = (on_position @ d_position.flatten(0, 1).T).unflatten(-1, d_position.shape[:2])
        shape = on_decay @ d_decay.T + torch.einsum("gcpx,gx->gcp", turned, self.directions)
        shape = shape + on_start @ tangents.start.to(device, real).T + on_detect @ tangents.detect.to(device, real).T
        diffusion = on_decay @ torch.diag(self.decay / self.diffusivity).flatten()
        direction = on_position @ self.position.flatten(1).T
        if self.rotation is not None:
            direction = direction @ self.rotation.T
        return shape, diffusion, direction

    def _adjoint(self, steps: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Derivative of every measurement with respect to dΛ and dA_g, (G, C, r, r), and to the start and detection,
        (G, C, r).
        """
        columns, closed = self.block.strength.shape[1], self.closed
        tau = self.block.delta / steps
        forward = self._trajectory(self._columns(), steps)  # (G, r, T, C), or 2 C with open ends
        last = self._to_modes(forward[:, :, -1])
        v, w = last[..., :columns], last[..., columns:]
        if closed:
            w = v * self.model.amount.to(v.real)
            backward = self.gap * w.conj()
        else:
            backward = torch.cat([self.gap * w.conj(), self.gap * v.conj()], dim=-1)
        adjoint = self._trajectory(self._from_modes(backward), steps).flip(2)
        weights = torch.full((steps + 1, 1), tau, dtype=self.decay.dtype, device=self.decay.device)
        weights[0] /= 2
        weights[-1] /= 2
        on_gradient = self._outer(-1j * weights * adjoint, forward)
        # e^{−τΛ} between a step's half phases has the derivative −φ ∘ dΛ: a quadrature in time would miss stiff rates
        half = self._phases(tau / 2)[:, :, None]
        within = self._outer(half * adjoint[:, :, 1:], half * forward[:, :, :-1])
        on_decay = -divided_difference(self.decay, torch.full_like(self.block.gap[:1, :1], tau)) * within
        if closed:  # v stands for w, too
            on_decay, on_gradient = 2 * on_decay, 2 * on_gradient
        middle = _outer(w[:, :, None].conj(), v[:, :, None], columns)
        on_decay = on_decay - divided_difference(self.decay, self.block.gap) * middle
        begin = self._to_modes(adjoint[:, :, 0]).real.transpose(1, 2)
        on_start = begin[:, :columns]
        on_detect = begin / self.model.amount.to(begin) if closed else begin[:, columns:]
        if self.block.lead is not None:
            # before the pulse start and detection decay as e^{−lead Λ}, whose derivative is −φ(λi, λj) dΛ_ij
            pairs = on_start[..., None] * self.start + on_detect[..., None] * self.detect
            on_decay = on_decay - divided_difference(self.decay, self.block.lead) * pairs
            on_start, on_detect = (self._lead.transpose(1, 2) * side for side in (on_start, on_detect))
        return on_decay, self.block.strength[..., None, None] * on_gradient, on_start, on_detect

    def _columns(self) -> Tensor:
        begin = self._begin(self.start)
        if not self.closed:
            begin = torch.cat([begin, self._begin(self.detect)], dim=-1)
        return torch.complex(begin, torch.zeros_like(begin))

    def _begin(self, weights: Tensor) -> Tensor:
        """Start or detection at the pulse's beginning, in the eigenbasis of the gradient, (G, r, C)."""
        if self.block.lead is None:
            return (self.axes.transpose(1, 2) @ weights)[..., None].expand(-1, -1, self.block.strength.shape[1])
        return self.axes.transpose(1, 2) @ (self._lead * weights[:, None])

    @property
    def _lead(self) -> Tensor:
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

    def _outer(self, adjoint: Tensor, forward: Tensor) -> Tensor:
        """Re Σ_t a vᵀ of every measurement in the modes, (G, C, r, r), from states in the eigenbasis of A_g."""
        a, v = (self._to_modes(x.flatten(2)).reshape(x.shape) for x in (adjoint, forward))
        return _outer(a, v, self.block.strength.shape[1])

    def _to_modes(self, columns: Tensor) -> Tensor:
        return real_product(self.axes, columns)

    def _from_modes(self, columns: Tensor) -> Tensor:
        return real_product(self.axes.transpose(1, 2), columns)

    def _trajectory(self, begin: Tensor, steps: int) -> Tensor:
        """States before the first and after each step, in the eigenbasis of the gradient, (G, r, T, columns)."""
        return torch.stack([begin, *self._march(begin, steps)], dim=2)


def real_product(matrix: Tensor, columns: Tensor) -> Tensor:
    """A real matrix times complex columns, (G, r, r) @ (G, r, C), as one real product."""
    pairs = torch.view_as_real(columns.contiguous())
    return torch.view_as_complex((matrix @ pairs.flatten(2)).reshape(pairs.shape))


def _outer(adjoint: Tensor, forward: Tensor, columns: int) -> Tensor:
    """Re Σ_t a vᵀ for every measurement, (G, C, r, r)."""

    def rows(x: Tensor) -> Tensor:  # (G, r, T, kC) -> (G, C, r, 2 kT)
        groups, size, times, wide = x.shape
        states = x.reshape(groups, size, times, wide // columns, columns).permute(0, 4, 1, 3, 2).flatten(3)
        return torch.cat([states.real, states.imag], dim=-1)

    return rows(adjoint) @ rows(forward.conj()).transpose(-1, -2)


def divided_difference(decay: Tensor, gap: Tensor) -> Tensor:
    """φ(λi, λj) = (e^{−Tλi} − e^{−Tλj}) / (λj − λi) for every measurement's T, (G, C, r, r), without cancellation."""
    lowest = torch.minimum(decay[:, None], decay)
    gaps, which = gap.unique(return_inverse=True)
    time = gaps[:, None, None]
    x = time * (decay[:, None] - decay).abs()
    table = time * torch.exp(-time * lowest) * torch.where(x < 1e-3, 1 - x / 2, -torch.expm1(-x) / x.clamp_min(1e-3))
    return table[which]
