"""Derivative of one number, a weighted sum of all pulsed-gradient signals, with respect to the whole reduced model.

The adjoint sweep of `pgse`, for Σ_m w_m S_m instead of every S_m: with v the forward and a the adjoint trajectory of
each measurement, from a(δ) = w_m e^{−(Δ−δ)Λ} conj(w(δ)),

    ∂/∂Λ = −Re ∫ a vᵀ dt − Σ_m w_m φ ∘ Re conj(w) vᵀ,        ∂/∂A_c = Σ_m g_c q Im ∫ a vᵀ dt.

The products a vᵀ of all times and measurements of a direction add up while the adjoint marches back, in the
eigenbasis of A_g: two more sweeps in all, and one r × r matrix per direction instead of one per measurement.
"""

import torch
from torch import Tensor

from napari_remidi.physics.encoding.pgse import MOST_STEPS, Pulse, divided_difference, real_product, turned_by
from napari_remidi.physics.encoding.pulses import PulseBlock
from napari_remidi.physics.reduction.reduced import ModelGradient, ReducedModel

Parts = tuple[Tensor, Tensor, Tensor, Tensor]


def pgse_gradient(
    model: ReducedModel,
    blocks: list[PulseBlock],
    cotangent: Tensor,
    diffusivity: float,
    rotation: Tensor | None = None,
) -> ModelGradient:
    """Derivative of Σ_m w_m S_m.

    Parameters
    ----------
    model : ReducedModel
    blocks : from `pulse_blocks`; their dtype and device are used
    cotangent : (M,) w
    diffusivity : µm²/ms
    rotation : (3, 3), body to world, as in `pgse_signal`

    Returns
    -------
    ModelGradient in the model's dtype and on its device
    """
    like, size = model.position, model.position.shape[-1]
    sums = [like.new_zeros(shape) for shape in ((size, size), (3, size, size), (size,), (size,))]
    for block in blocks:
        real, device = block.strength.dtype, block.strength.device
        per_direction = (2 * MOST_STEPS + 1) * size * block.strength.shape[1] * 4 * real.itemsize
        for pulse in Pulse(model, block, diffusivity, rotation).parts(per_direction):
            rows = pulse.block.measurement
            weight = torch.where(rows >= 0, cotangent.to(device, real)[rows], 0.0)
            shares = pulse.strengths.shares(weight).unflatten(1, pulse.strengths.gap.shape[1:])
            coarse, fine = (_gradient(pulse, shares, steps) for steps in (pulse.steps, 2 * pulse.steps))
            for total, f, c in zip(sums, fine, coarse, strict=True):
                total += ((4 * f - c) / 3).to(like)
    decay, position, start, detect = sums
    return ModelGradient((decay + decay.T) / 2, (position + position.transpose(1, 2)) / 2, start, detect)


def _gradient(pulse: Pulse, weight: Tensor, steps: int) -> Parts:
    """Derivative of the block's Σ w S, w of the readouts (G, C, Q): decay, position, start, detect in the modes."""
    columns, closed = weight.shape[1], pulse.closed
    tau = pulse.block.delta / steps
    half, diffuse = turned_by(pulse.angles(tau / 2)), pulse.diffusion(tau)
    begin = pulse.begin()
    forward = [begin, *pulse.march(begin, steps)]
    last = pulse.to_modes(forward[-1])
    v, w = last[..., :columns], last[..., columns:]
    damped = (pulse.damping * weight[..., None]).sum(2).transpose(1, 2)
    if closed:  # w = amount v: one trajectory stands for both, and counts twice
        w = v * pulse.model.amount.to(v.real)
        adjoint = pulse.from_modes(2 * damped * w.conj())
    else:
        adjoint = pulse.from_modes(torch.cat([damped * w.conj(), damped * v.conj()], dim=-1))

    size = adjoint.shape[1]
    on_diffuse, on_phase = weight.new_zeros(2, len(adjoint), size, size)
    turning = -1j * pulse.columns[:, None]
    _add_product(on_phase, adjoint, turning * forward[-1], tau / 2)
    for index in reversed(range(steps)):
        ahead = half * adjoint
        _add_product(on_diffuse, ahead, half * forward[index], 1.0)
        adjoint = half * real_product(diffuse, ahead)
        _add_product(on_phase, adjoint, turning * forward[index], tau if index else tau / 2)

    both = pulse.axes @ torch.stack([on_diffuse, on_phase]) @ pulse.axes.transpose(1, 2)
    on_decay = -divided_difference(pulse.decay, weight.new_tensor([[tau]]))[0, 0] * both[0].sum(0)
    for gap, share in zip(pulse.strengths.gap.unbind(2), weight.unbind(2), strict=True):
        on_decay = on_decay - _free_decay(pulse.decay, gap, share[:, None] * w, v)
    on_position = torch.einsum("gc,gij->cij", pulse.directions, both[1])
    ends = pulse.to_modes(adjoint).real
    on_start, on_detect = ends[..., :columns], ends[..., columns:]
    if closed:
        on_start, on_detect = on_start / 2, on_start / 2 / pulse.model.amount.to(on_start)
    if pulse.strengths.lead is not None:
        for side, begin in ((on_start, pulse.start), (on_detect, pulse.detect)):
            on_decay = on_decay - _free_decay(pulse.decay, pulse.strengths.lead, side, begin[:, None].expand_as(side))
        on_start, on_detect = pulse.lead_decay() * on_start, pulse.lead_decay() * on_detect
    return on_decay, on_position, on_start.sum((0, 2)), on_detect.sum((0, 2))


def _add_product(total: Tensor, left: Tensor, right: Tensor, factor: float) -> None:
    """Add factor · Re Σ left rightᵀ over the columns to the (G, r, r) total."""
    a, b = (torch.view_as_real(x.resolve_conj().contiguous()).flatten(2) for x in (left, right.conj()))
    total.baddbmm_(a, b.transpose(1, 2), alpha=factor)


def _free_decay(decay: Tensor, times: Tensor, left: Tensor, right: Tensor) -> Tensor:
    """Σ_m φ ∘ Re conj(left) rightᵀ, (r, r), φ of each measurement's time, one product for all that share it."""
    some, which = times.unique(return_inverse=True)
    phi = divided_difference(decay, some[None])[0]
    a, b = (x.transpose(1, 2) for x in (left.conj(), right))
    total = torch.zeros_like(phi[0])
    for index in range(len(some)):
        chosen = which == index
        total += phi[index] * (a[chosen].T @ b[chosen]).real
    return total
