"""The Jacobian of every pulsed-gradient measurement, by one adjoint trajectory whatever the number of parameters.

With v the state, w the detection's, each from a(t) = e^{−(δ−t)H} a(δ) backwards,

    dS = −Re ∫ aᵀ (dΛ + i q dA_g) v dt + Re a(0)ᵀ dc + (the same from the detection) − Σ_ij Re conj(w_i) φ_ij dΛ_ij v_j

φ the divided difference of e^{−(Δ−δ)λ}. In a Strang step half · e^{−τΛ} · half the exponential has the exact derivative
−φ(τ) ∘ dΛ between the two half phases; a quadrature in time would miss rates that decay within a step. The phases'
derivative is the trapezoidal rule at the steps' ends.

For every measurement the products a vᵀ of all times add up to one r × r matrix, which is contracted with the tangents.
States are kept as real and imaginary rows, (G, T, 2, K, r), so that the sum over times and parts is one product of a
(2T, Q r) block, every readout of a gradient strength, by a (2T, r) block: forward states are stored conjugate, or with
their parts exchanged, for Re aᵀv and Im aᵀv to come out of it. The two sweeps that Richardson extrapolation combines
march side by side.
"""

import math
import threading
from dataclasses import dataclass

import torch
from torch import Tensor

from napari_remidi.physics.encoding.care import FINE, ROUGH
from napari_remidi.physics.encoding.pgse import (
    CHUNK_BYTES,
    Pulse,
    divided_difference,
    signal_of_ones,
)
from napari_remidi.physics.encoding.pulses import PulseBlock
from napari_remidi.physics.reduction.reduced import ReducedModel, ReducedTangents

PHASE_STEP = 0.62  # rad, of the finer sweep unless it is to be exact
COLUMNS = 8  # derivatives come in multiples of; a processor's products of matrices are twice as fast then
FEWEST = 14  # steps of the finer sweep
NARROWED = 5e-4  # of S0, see `Pulse.following`
ALLOWED = 0.1  # of the interpolation between strengths then: it leaves 1e-4 of the largest derivative
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
    rough: bool = False,
) -> Sensitivity:
    """Jacobian of every measurement; parameters as in `pgse_signal`. `direction` is in the world's frame.

    `exact` takes the signal's own steps and strengths instead of fewer: half as fast, and 1e-5 of the largest
    derivative from it instead of 1e-3 (diffusivity: 3e-3). `rough` takes fewer still: 4 to 9 % of the whole
    Jacobian's norm for most axons of the prior with the paper's protocol, 23 % for the worst of eight; a descent takes
    as many steps with a better one.
    """
    ones = signal_of_ones(blocks, count)
    parameters = len(tangents.start)
    result = Sensitivity(ones.new_zeros(len(ones), parameters), torch.zeros_like(ones), ones.new_zeros(len(ones), 3))
    memory = CACHED_BYTES if ones.device.type == "cpu" else CHUNK_BYTES
    for block in blocks:
        whole = Pulse(model, block, diffusivity, rotation, None if exact else ALLOWED, ROUGH if rough else FINE)
        steps = _steps(whole, exact, rough)
        for pulse in whole.parts(sum(_numbers(whole, steps)) * ones.element_size(), memory):
            shape, by_diffusivity, direction = _Sweep(pulse, tangents, steps).derivatives()
            if pulse.rotation is not None:
                direction = direction @ pulse.rotation.T
            pulse.put(result.shape, shape)
            pulse.put(result.diffusivity, by_diffusivity)
            pulse.put(result.direction, pulse.block.sign[..., None] * direction)
    return result


def _steps(pulse: Pulse, exact: bool, rough: bool) -> int:
    """Of the finer sweep; even."""
    if exact:
        return 2 * pulse.steps
    if rough:
        return pulse.steps_of(ROUGH.phase, 2 * ROUGH.fewest)
    return 2 * pulse.following(pulse.steps_of(PHASE_STEP, FEWEST) // 2, NARROWED)


class _Kept(threading.local):
    """A thread's memory for states, kept for its next sweep: asking the system for it takes as long as the work."""

    memory = torch.empty(0)

    def empty(self, count: int, like: Tensor) -> Tensor:
        """So many numbers, whatever they are. The last caller's are overwritten."""
        if like.device.type != "cpu":
            return like.new_empty(count)
        if self.memory.dtype != like.dtype or len(self.memory) < count:
            self.memory = like.new_empty(count)
        return self.memory[:count]


_kept = _Kept()


@dataclass(frozen=True, eq=False)
class _Way:
    """A trajectory through N fine steps and, behind it, one through N/2 coarse ones, (G, T, 2, K, r) by time.

    Attributes
    ----------
    ends : at the ends of the steps, T = (N + 1) + (N/2 + 1)
    within : between their two half phases, T = N + N/2
    """

    ends: Tensor
    within: Tensor


class _Sweep:
    """Derivatives of one block's signals: shape (G, M, P), diffusivity (G, M), direction (G, M, 3) in the body's frame.

    Parameters
    ----------
    pulse : Pulse
    tangents : ReducedTangents of P parameters
    steps : time steps N of the finer of the two sweeps that are extrapolated; even
    """

    def __init__(self, pulse: Pulse, tangents: ReducedTangents, steps: int) -> None:
        self.pulse, self.steps = pulse, steps
        self.tau = pulse.block.delta / steps
        self.groups, self.wide, self.readouts = pulse.strengths.gap.shape  # G, C, Q
        self.halves = 1 if pulse.closed else 2  # v alone, or v and w
        decay, like, count = pulse.decay, pulse.position, len(tangents.start)
        # what is differentiated by: the tangents' parameters, the diffusivity and the three parts of the direction
        self.d_decay = like.new_zeros(COLUMNS * math.ceil((count + 4) / COLUMNS), len(decay), len(decay))
        self.d_decay[:count] = pulse.diffusivity * tangents.decay
        self.d_decay[count] = torch.diag(decay / pulse.diffusivity)
        self.d_position = tangents.position.to(like).transpose(0, 1).flatten(1)  # (3, P·r·r)
        self.d_start, self.d_detect = tangents.start.to(like), tangents.detect.to(like)
        self.share = like.new_tensor([4 / 3, -1 / 3])  # of the levels, fine and coarse
        self.forward, self.adjoint, self.raw = self._memory()

    def derivatives(self) -> tuple[Tensor, Tensor, Tensor]:
        """Shape (G, M, P), diffusivity (G, M) and direction (G, M, 3)."""
        pulse, last = self.pulse, slice(self.steps, None, self.steps // 2 + 1)
        begin = pulse.begin().transpose(1, 2)
        forward = self._march(torch.stack([begin.real, begin.imag], dim=1)[:, None].expand(-1, 2, -1, -1, -1), True)
        arrived = forward.ends[:, last].flip(2)  # (G, 2, 2, K, r), parts in order again
        v, w = arrived[..., : self.wide, :], arrived[..., self.wide :, :]
        if pulse.closed:
            w = v * pulse.model.amount.to(v)
        sides = [w] if pulse.closed else [w, v]
        back = torch.cat([(pulse.damping[:, None, None] * x[..., None, :]).flatten(3, 4) for x in sides], dim=3)
        back[:, :, 1].neg_()  # conjugate
        adjoint = self._march(torch.bmm(back.flatten(1, -2), pulse.axes).reshape(back.shape), False)
        first = torch.tensordot(self.share, adjoint.ends[:, :: self.steps + 1, 0], dims=([0], [1]))
        left = (self.share[:, None, None, None] * w).flatten(1, 2).permute(0, 2, 3, 1)
        between = left @ v.flatten(1, 2).transpose(1, 2)  # Re conj(w) vᵀ
        readouts = self._within_pulses(forward, adjoint)
        readouts += self._between(between)
        readouts += self._before(first.unflatten(1, (self.halves, -1)))
        found = pulse.strengths.measured(readouts)
        count = len(self.d_start)
        return found[..., :count], found[..., count], found[..., count + 1 : count + 4]

    def _memory(self) -> tuple[_Way, _Way, _Way]:
        """Room for the forward, the adjoint and either trajectory before it is rotated to the modes."""
        counts = [self.groups * count for count in _numbers(self.pulse, self.steps)]
        memory = _kept.empty(sum(counts), self.pulse.position).split(counts)
        columns, size = self.halves * self.wide, len(self.pulse.decay)
        widths = (columns, columns * self.readouts, columns * self.readouts)
        ways = [
            _Way(*(states.view(self.groups, -1, 2, wide, size) for states in memory[2 * way : 2 * way + 2]))
            for way, wide in enumerate(widths)
        ]
        return ways[0], ways[1], ways[2]

    def _march(self, begin: Tensor, forward: bool) -> _Way:
        """States (G, 2, 2, K, r) in the eigenbasis of A_g through all steps of both levels; kept in the modes.

        Forward ends are kept with their parts exchanged, forward states between the half phases conjugate.
        """
        pulse, fine, coarse = self.pulse, self.steps, self.steps // 2
        groups, _, _, wide, size = begin.shape
        steps = (self.tau, 2 * self.tau)
        angles = torch.stack([pulse.angles(tau / 2).transpose(1, 2) for tau in steps])  # (2, G, K, r)
        if not forward:
            angles = angles.repeat_interleave(self.readouts, dim=2)
        real, imag, sign = (1, 0, -1.0) if forward else (0, 1, 1.0)
        cosine = torch.cos(angles)
        phase = (cosine, sign * cosine, torch.sin(angles))
        diffuse = [pulse.diffusion(tau) for tau in steps]
        result = self.forward if forward else self.adjoint
        ends, within = (
            raw.flatten()[: x.numel()].view_as(x)
            for raw, x in ((self.raw.ends, result.ends), (self.raw.within, result.within))
        )
        spread = begin.new_empty(2, groups, 2 * wide, size)

        def end(step: int, levels: int) -> Tensor:
            """Both levels' states after so many steps, or the finer's, (levels, G, 2, K, r)."""
            return _slots(
                ends, *((step, fine + 1 + step) if forward else (fine - step, fine + 1 + coarse - step)), levels
            )

        def between(step: int, levels: int) -> Tensor:
            back = (fine - 1 - step, fine + coarse - 1 - step)
            return _slots(within, *((step, fine + step) if forward else back), levels)

        at = end(0, 2)
        at[:, :, real], at[:, :, imag] = begin[:, :, 0].transpose(0, 1), begin[:, :, 1].transpose(0, 1)
        for step in range(fine):
            levels = 2 if step < coarse else 1
            now = tuple(part[:levels] for part in phase)
            here, inside, there = end(step, levels), between(step, levels), end(step + 1, levels)
            _turn(here[:, :, real], here[:, :, imag], now, inside[:, :, 0], inside[:, :, 1], 1.0, sign)
            for level in range(levels):
                torch.bmm(inside[level].flatten(1, 2), diffuse[level], out=spread[level])
            parts = spread[:levels].unflatten(2, (2, wide))
            _turn(parts[:, :, 0], parts[:, :, 1], now, there[:, :, real], there[:, :, imag], sign, 1.0)
        for states, to in ((ends, result.ends), (within, result.within)):
            torch.bmm(states.flatten(1, -2), pulse.axes.transpose(1, 2), out=to.flatten(1, -2))
        return result

    def _within_pulses(self, forward: _Way, adjoint: _Way) -> Tensor:
        """What Λ and q A_g give during the pulses, (G, C·Q, columns)."""
        pulse, fine, count = self.pulse, self.steps, len(self.d_start)
        like, size = pulse.position, len(pulse.decay)
        factor = self.share * (2 if pulse.closed else 1)  # v stands for w, too
        rules = [_trapezoid(like, steps, pulse.block.delta / steps) for steps in (fine, fine // 2)]
        trapezoids = torch.cat([share * rule for share, rule in zip(factor, rules, strict=True)])
        forward.ends.mul_((trapezoids[:, None, None] * pulse.columns[:, None, None])[..., None])
        levels = (slice(0, fine), slice(fine, None))
        changes = [
            (-share * self._overlap(tau) * self.d_decay).flatten(1)
            for share, tau in zip(factor, (self.tau, 2 * self.tau), strict=True)
        ]
        d_gradient = torch.zeros_like(self.d_decay).flatten(1)
        d_gradient[count + 1 : count + 4] = like.flatten(1)
        result = like.new_empty(self.groups, self.wide * self.readouts, len(self.d_decay))
        products = like.new_empty(self.wide, self.readouts * size, size)  # one direction's stay in the cache
        by_readout, by_shape = products.view(-1, size * size), d_gradient[:count].view(1, -1)
        changes, d_gradient = [change.T for change in changes], d_gradient.T
        at_ends = self._factors(adjoint.ends, forward.ends)
        within = [self._factors(adjoint.within[:, level], forward.within[:, level]) for level in levels]
        parts = zip(pulse.directions[:, None], result, at_ends, *within, strict=True)
        for direction, found, ends, *inside in parts:
            torch.mm(direction, self.d_position, out=by_shape)
            _add_up(products, ends)
            torch.mm(by_readout, d_gradient, out=found)
            for factors, change in zip(inside, changes, strict=True):
                _add_up(products, factors)
                found.addmm_(by_readout, change)
        return result

    def _before(self, first: Tensor) -> Tensor:
        """What start, detection and their lead give, (G, C·Q, columns), from a(0)."""
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
        change[..., : len(self.d_start)] += on_start @ self.d_start.T + on_detect @ self.d_detect.T
        return change

    def _between(self, products: Tensor) -> Tensor:
        """What the decay between the pulses gives, (G, C·Q, columns), from Re conj(w) vᵀ, (G, C, r, r)."""
        gaps, alike = self.pulse.strengths.gap, self.pulse.strengths.times
        if alike is not None:
            phi = divided_difference(self.pulse.decay, alike[None])[0]
            changes = (phi[:, None] * self.d_decay).flatten(2).flatten(0, 1)
            return -(products.flatten(2) @ changes.T).view(self.groups, -1, len(self.d_decay))
        result = products.new_empty(*gaps.shape, len(self.d_decay))
        times = gaps.unique()
        for gap, phi in zip(times, divided_difference(self.pulse.decay, times[None])[0], strict=True):
            change = (phi * self.d_decay).flatten(1).T
            chosen = gaps == gap
            for readout, wanted in enumerate(chosen.unbind(2)):
                if wanted.all():
                    result[:, :, readout] = -(products.flatten(2) @ change)
                elif wanted.any():
                    result[:, :, readout][wanted] = -(products[wanted].flatten(1) @ change)
        return result.flatten(1, 2)

    def _factors(self, adjoint: Tensor, forward: Tensor) -> list[list[tuple[Tensor, Tensor]]]:
        """For every direction, and for v and w, what multiplies to Σ a vᵀ: (C, Q·r, 2T) and (C, 2T, r)."""
        size = forward.shape[-1]
        a = adjoint.reshape(self.groups, -1, self.halves, self.wide, self.readouts * size).permute(0, 2, 3, 4, 1)
        v = forward.reshape(self.groups, -1, self.halves, self.wide, size).permute(0, 2, 3, 1, 4)
        return [list(zip(x, y, strict=True)) for x, y in zip(a, v, strict=True)]

    def _overlap(self, time: float) -> Tensor:
        """φ(λi, λj) of one time, (r, r)."""
        return divided_difference(self.pulse.decay, self.pulse.decay.new_full((1, 1), time))[0, 0]

    def _quadratic(self, times: Tensor, left: Tensor, right: Tensor) -> Tensor:
        """Σ_ij left_i φ_ij dΛ_ij right_j, times (G, C), left (G, C, r) and right (r,) -> (G, C, columns)."""
        result = left.new_empty(*times.shape, len(self.d_decay))
        for time in times.unique():
            chosen = times == time
            result[chosen] = left[chosen] @ (self._overlap(float(time)) * self.d_decay @ right).T
        return result


def _numbers(pulse: Pulse, steps: int) -> list[int]:
    """Of one direction's states: ends and within of forward, adjoint and either trajectory, see `_Sweep`."""
    _, wide, readouts = pulse.strengths.gap.shape
    forward = (1 if pulse.closed else 2) * wide * 2 * len(pulse.decay)
    levels = steps + steps // 2
    return [times * columns for columns in (forward, *[forward * readouts] * 2) for times in (levels + 2, levels)]


def _add_up(products: Tensor, factors: list[tuple[Tensor, Tensor]]) -> None:
    """Replace the products by those of one direction, (C, Q·r, r)."""
    for half, (a, v) in enumerate(factors):
        products.baddbmm_(a, v, beta=float(half))


def _slots(states: Tensor, fine: int, coarse: int, levels: int) -> Tensor:
    """The states at a fine and a coarse time, or only the former, (levels, G, 2, K, r), from (G, T, 2, K, r)."""
    return states[:, fine : coarse + 1 if levels == 2 else fine + 1 : coarse - fine].transpose(0, 1)


def _trapezoid(like: Tensor, steps: int, tau: float) -> Tensor:
    """The trapezoidal rule's weights at the ends of the steps, (N + 1,), in a tensor's dtype and on its device."""
    weights = like.new_full((steps + 1,), tau)
    weights[[0, -1]] /= 2
    return weights


def _turn(
    real: Tensor,
    imag: Tensor,
    phase: tuple[Tensor, ...],
    to_real: Tensor,
    to_imag: Tensor,
    given: float,
    wanted: float,
) -> None:
    """(real + i given imag) (cosine − i sine), written as real and wanted · imaginary part.

    `phase` holds the cosine, given · wanted times it, and the sine.
    """
    cosine, signed, sine = phase
    torch.mul(real, cosine, out=to_real).addcmul_(imag, sine, value=given)
    torch.mul(imag, signed, out=to_imag).addcmul_(real, sine, value=-wanted)
