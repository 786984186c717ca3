"""The Jacobian of every pulsed-gradient measurement, by one adjoint trajectory whatever the number of parameters.

With v the state, w the detection's, each from a(t) = e^{−(δ−t)H} a(δ) backwards,

    dS = −Re ∫ aᵀ (dΛ + i q dA_g) v dt + Re a(0)ᵀ dc + (the same from the detection) − Σ_ij Re conj(w_i) φ_ij dΛ_ij v_j

φ the divided difference of e^{−(Δ−δ)λ}. In a Strang step half · e^{−τΛ} · half the exponential has the exact derivative
−φ(τ) ∘ dΛ between the two half phases; a quadrature in time would miss rates that decay within a step. The phases'
derivative is the trapezoidal rule at the steps' ends.

For every measurement the products a vᵀ of all times add up to one r × r matrix, which is contracted with the tangents.
States are kept as real and imaginary rows, (G, T, 2, K, r), so that the sum over times and parts is one product of a
(2T, Q r) block, every readout of a gradient strength, by a (2T, r) block: forward states are stored conjugate, or with
their parts exchanged, for Re aᵀv and Im aᵀv to come out of it.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from napari_remidi.physics.encoding.pgse import CHUNK_BYTES, STEPS, Pulse, divided_difference, parts_of, signal_of_ones
from napari_remidi.physics.encoding.pulses import PulseBlock
from napari_remidi.physics.reduction.reduced import ReducedModel, ReducedTangents

PHASE_STEP = 0.55  # rad, of the finer sweep unless it is to be exact
FEWEST = 12  # steps of the finer sweep
CACHED_BYTES = 2**27  # of working memory on a CPU; more is no faster there


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

    `exact` takes the signal's own steps instead of fewer: a third as fast, and 1e-5 of the largest derivative from it
    instead of 2e-3.
    """
    ones = signal_of_ones(blocks, count)
    parameters = len(tangents.start)
    result = Sensitivity(ones.new_zeros(len(ones), parameters), torch.zeros_like(ones), ones.new_zeros(len(ones), 3))
    size = len(model.decay)
    for block in blocks:
        states = block.strength.shape[1] * 16 * size * STEPS[1] // 2
        for part in parts_of(block, states + 12 * size**2, CACHED_BYTES if ones.device.type == "cpu" else CHUNK_BYTES):
            pulse = Pulse(model, part, diffusivity, rotation)
            steps = 2 * pulse.steps if exact else pulse.steps_of(PHASE_STEP, FEWEST)
            shape, by_diffusivity, direction = _Sweep(pulse, tangents, steps).derivatives()
            if pulse.rotation is not None:
                direction = direction @ pulse.rotation.T
            held = part.measurement >= 0
            rows = part.measurement[held]
            result.shape[rows] = shape[held]
            result.diffusivity[rows] = by_diffusivity[held]
            result.direction[rows] = (part.sign[..., None] * direction)[held]
    return result


@dataclass(frozen=True, eq=False)
class _Way:
    """One trajectory, (G, T, 2, K, r): at the ends of the steps (T = N + 1), and between their two half phases (N)."""

    ends: Tensor
    within: Tensor


@dataclass(frozen=True, eq=False)
class _Products:
    """Derivatives of every readout's signal with respect to the reduced model: sums of a vᵀ, and a(0).

    Attributes
    ----------
    decay : (G, C·Q, r, r), with respect to DΛ
    position : (G, C·Q, r, r), with respect to q A_g
    first : (G, halves, C·Q, r), a(0) of start and, with open ends, of detection
    """

    decay: Tensor
    position: Tensor
    first: Tensor


class _Sweep:
    """Derivatives of one block's signals: shape (G, M, P), diffusivity (G, M), direction (G, M, 3) in the body's frame.

    Parameters
    ----------
    pulse : Pulse
    tangents : ReducedTangents of P parameters
    steps : time steps of the finer of the two sweeps that are extrapolated; even
    """

    def __init__(self, pulse: Pulse, tangents: ReducedTangents, steps: int) -> None:
        self.pulse, self.steps = pulse, steps
        self.groups, self.wide, self.readouts = pulse.strengths.gap.shape  # G, C, Q
        self.halves = 1 if pulse.closed else 2  # v alone, or v and w
        decay, like = pulse.decay, pulse.position
        by_diffusivity = torch.diag(decay / pulse.diffusivity)[None]
        self.d_decay = torch.cat([(pulse.diffusivity * tangents.decay).to(like), by_diffusivity])
        self.d_position = tangents.position.to(like)
        self.d_start, self.d_detect = tangents.start.to(like), tangents.detect.to(like)

    def derivatives(self) -> tuple[Tensor, Tensor, Tensor]:
        """Shape (G, M, P), diffusivity (G, M) and direction (G, M, 3)."""
        many, size = self.wide * self.readouts, len(self.pulse.decay)
        like = self.pulse.position
        sums = _Products(
            like.new_zeros(self.groups, many, size, size),
            like.new_zeros(self.groups, many, size, size),
            like.new_zeros(self.groups, self.halves, many, size),
        )
        for steps, share in ((self.steps, 4 / 3), (self.steps // 2, -1 / 3)):
            self._add_level(sums, steps, share)
        on_decay = sums.decay.flatten(2) @ self.d_decay.flatten(1).T + self._before(sums.first)
        on_position = self._contracted(sums.position)
        measured = self.pulse.strengths.measured
        count = len(self.d_start)
        shape = measured(on_decay[..., :count] + on_position[..., :count])
        return shape, measured(on_decay[..., count]), measured(on_position[..., count:])

    def _add_level(self, sums: _Products, steps: int, share: float) -> None:
        """Add one sweep's share of the derivatives."""
        pulse = self.pulse
        forward = self._march(self._begin_rows(), steps, forward=True)
        last = forward.ends[:, -1].flip(1)  # (G, 2, K, r), parts in order again
        v, w = last[:, :, : self.wide], last[:, :, self.wide :]
        damping = pulse.damping[:, None]  # (G, 1, C, Q, r)
        if pulse.closed:
            w = v * pulse.model.amount.to(v)
            back = damping * _conjugate(w)[:, :, :, None]
        else:
            back = torch.cat([damping * _conjugate(w)[:, :, :, None], damping * _conjugate(v)[:, :, :, None]], dim=2)
        adjoint = self._march(_rotated(back.flatten(2, 3), pulse.axes.transpose(1, 2)), steps, forward=False)
        sums.first.add_(adjoint.ends[:, 0, 0].unflatten(1, (self.halves, -1)), alpha=share)
        for edge in (0, -1):  # the trapezoidal rule's
            adjoint.ends[:, edge] *= 0.5
        tau = pulse.block.delta / steps
        factor = share * (2 if pulse.closed else 1)  # v stands for w, too
        phi, within = self._overlap(tau), torch.empty_like(sums.decay[0])  # one direction's stays in the cache
        for group in range(self.groups):
            self._add_products(sums.position[group], adjoint.ends[group], forward.ends[group], factor * tau)
            self._add_products(within.zero_(), adjoint.within[group], forward.within[group], factor)
            sums.decay[group].addcmul_(within, phi, value=-1)
        between = w.permute(0, 2, 3, 1) @ v.transpose(1, 2)  # Re conj(w) vᵀ, (G, C, r, r)
        for readout, gap in enumerate(pulse.strengths.gap.unbind(2)):
            phi = divided_difference(pulse.decay, gap)
            sums.decay[:, readout :: self.readouts].addcmul_(between, phi, value=-share)

    def _before(self, first: Tensor) -> Tensor:
        """What start, detection and their lead give, (G, C·Q, P + 1), from a(0)."""
        pulse = self.pulse
        at_start = first[:, 0]
        at_detect = at_start / pulse.model.amount.to(first) if pulse.closed else first[:, 1]
        change = at_start.new_zeros(*at_start.shape[:2], len(self.d_decay))
        on_start, on_detect = at_start, at_detect
        if pulse.strengths.lead is not None:
            # before the pulse start and detection decay as e^{−lead Λ}, whose derivative is −φ(λi, λj) dΛ_ij
            lead = pulse.strengths.lead.repeat_interleave(self.readouts, dim=1)
            for side, weights in ((at_start, pulse.start), (at_detect, pulse.detect)):
                change -= self._quadratic(lead, side, weights)
            faded = torch.exp(-lead[..., None] * pulse.decay)
            on_start, on_detect = faded * at_start, faded * at_detect
        change[..., :-1] += on_start @ self.d_start.T + on_detect @ self.d_detect.T
        return change

    def _begin_rows(self) -> Tensor:
        """Start, and with open ends detection, at the pulse's beginning, as real and imaginary rows, (G, 2, K, r)."""
        begin = self.pulse.begin().transpose(1, 2)
        return torch.stack([begin.real, begin.imag], dim=1)

    def _march(self, begin: Tensor, steps: int, forward: bool) -> _Way:
        """States (G, 2, K, r) in the eigenbasis of A_g through all steps; kept in the modes, by time whichever way.

        Forward ends are kept with their parts exchanged, forward states between the half phases conjugate.
        """
        pulse = self.pulse
        groups, _, wide, size = begin.shape
        tau = pulse.block.delta / steps
        angles = pulse.angles(tau / 2).transpose(1, 2)
        if not forward:
            angles = angles.repeat_interleave(self.readouts, dim=1)
        cosine, sine = torch.cos(angles), torch.sin(angles)
        diffuse = pulse.diffusion(tau)
        ends = begin.new_empty(groups, steps + 1, 2, wide, size)
        within = begin.new_empty(groups, steps, 2, wide, size)
        real, imag, sign = (1, 0, -1.0) if forward else (0, 1, 1.0)
        order = range(steps) if forward else range(steps - 1, -1, -1)
        now = 0 if forward else steps
        ends[:, now, real], ends[:, now, imag] = begin[:, 0], begin[:, 1]
        for step in order:
            here, there = (step, step + 1) if forward else (step + 1, step)
            inside = within[:, step]
            _turn(ends[:, here, real], ends[:, here, imag], cosine, sine, inside[:, 0], inside[:, 1], 1.0, sign)
            spread = torch.bmm(inside.reshape(groups, 2 * wide, size), diffuse).reshape(inside.shape)
            _turn(spread[:, 0], spread[:, 1], cosine, sine, ends[:, there, real], ends[:, there, imag], sign, 1.0)
        return _Way(_rotated(ends, pulse.axes), _rotated(within, pulse.axes))

    def _add_products(self, total: Tensor, adjoint: Tensor, forward: Tensor, factor: float) -> None:
        """Add factor · Σ a vᵀ of one direction to (C·Q, r, r): (T, 2, halves·C·Q, r), (T, 2, halves·C, r)."""
        size = total.shape[-1]
        into = total.view(self.wide, self.readouts * size, size)
        a = adjoint.view(-1, self.halves, self.wide, self.readouts * size)
        v = forward.view(-1, self.halves, self.wide, size)
        for half in range(self.halves):
            into.baddbmm_(a[:, half].permute(1, 2, 0), v[:, half].transpose(0, 1), alpha=factor)

    def _contracted(self, on_position: Tensor) -> Tensor:
        """The derivatives by q A_g with the tangents of A and with A's own parts, (G, C·Q, P + 3)."""
        strength = self.pulse.strengths.strength.repeat_interleave(self.readouts, dim=1)
        axes = self.pulse.position.flatten(1)
        parts = []
        for products, direction in zip(on_position.flatten(2), self.pulse.directions, strict=True):
            along = torch.einsum("x,pxij->pij", direction, self.d_position).flatten(1)
            parts.append(products @ torch.cat([along, axes]).T)
        return strength[..., None] * torch.stack(parts)

    def _overlap(self, time: float) -> Tensor:
        """φ(λi, λj) of one time, (r, r)."""
        return divided_difference(self.pulse.decay, self.pulse.decay.new_full((1, 1), time))[0, 0]

    def _quadratic(self, times: Tensor, left: Tensor, right: Tensor) -> Tensor:
        """Σ_ij left_i φ_ij dΛ_ij right_j, times (G, C), left (G, C, r) and right (r,) -> (G, C, P + 1)."""
        result = left.new_empty(*times.shape, len(self.d_decay))
        for time in times.unique():
            chosen = times == time
            result[chosen] = left[chosen] @ (self._overlap(float(time)) * self.d_decay @ right).T
        return result


def _turn(
    real: Tensor,
    imag: Tensor,
    cosine: Tensor,
    sine: Tensor,
    to_real: Tensor,
    to_imag: Tensor,
    given: float,
    wanted: float,
) -> None:
    """(real + i given imag) (cosine − i sine), written as real and wanted · imaginary part."""
    torch.mul(real, cosine, out=to_real).addcmul_(imag, sine, value=given)
    torch.mul(imag, cosine if given == wanted else -cosine, out=to_imag).addcmul_(real, sine, value=-wanted)


def _rotated(rows: Tensor, axes: Tensor) -> Tensor:
    """Rows of states from the eigenbasis to the modes, (G, ..., r) with axes (G, r, r)."""
    return torch.bmm(rows.flatten(1, -2), axes.transpose(1, 2)).reshape(rows.shape)


def _conjugate(rows: Tensor) -> Tensor:
    """(G, 2, K, r) with the imaginary part's sign changed."""
    return torch.stack([rows[:, 0], -rows[:, 1]], dim=1)
