"""The Jacobian of every pulsed-gradient measurement, by one adjoint trajectory whatever the number of parameters.

With v the state, w the detection's, each from a(t) = e^{−(δ−t)H} a(δ) backwards,

    dS = −Re ∫ aᵀ (dΛ + i q dA_g) v dt + Re a(0)ᵀ dc + (the same from the detection) − Σ_ij Re conj(w_i) φ_ij dΛ_ij v_j

φ the divided difference of e^{−(Δ−δ)λ}. In a Strang step half · e^{−τΛ} · half the exponential has the exact derivative
−φ(τ) ∘ dΛ between the two half phases; a quadrature in time would miss rates that decay within a step. The phases'
derivative is the trapezoidal rule at the steps' ends.

For every measurement the products a vᵀ of all times add up to one r × r matrix, which is contracted with the tangents.
States are kept as real and imaginary rows, (G, T, 2, K, r), so that the sum over times and parts is one product of a
(2T, r) block by a (2T, r) block: forward states are stored conjugate, or with their parts exchanged, for Re aᵀv and
Im aᵀv to come out of it.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from napari_remidi.physics.encoding.pgse import CHUNK_BYTES, STEPS, Pulse, divided_difference, parts_of, signal_of_ones
from napari_remidi.physics.encoding.pulses import PulseBlock
from napari_remidi.physics.reduction.reduced import ReducedModel, ReducedTangents

FEWEST = 16  # steps of the finer sweep
CACHED_BYTES = 2**26  # of working memory on a CPU; more is no faster there


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

    `exact` takes the signal's own steps, N and 2N, instead of N/2 and N: half as fast, and 1e-5 of the largest
    derivative from it instead of 2e-3.
    """
    ones = signal_of_ones(blocks, count)
    parameters = len(tangents.start)
    result = Sensitivity(ones.new_zeros(len(ones), parameters), torch.zeros_like(ones), ones.new_zeros(len(ones), 3))
    size = len(model.decay)
    for block in blocks:
        steps = block.strength.shape[1] * 16 * size * STEPS[1] // 2
        for part in parts_of(block, steps + 12 * size**2, CACHED_BYTES if ones.device.type == "cpu" else CHUNK_BYTES):
            pulse = Pulse(model, part, diffusivity, rotation)
            shape, by_diffusivity, direction = _Sweep(
                pulse, tangents, 2 * pulse.steps if exact else max(pulse.steps, FEWEST)
            ).derivatives()
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


class _Sweep:
    """Derivatives of one block's signals: shape (G, C, P), diffusivity (G, C), direction (G, C, 3) in the body's frame.

    Parameters
    ----------
    pulse : Pulse
    tangents : ReducedTangents of P parameters
    steps : time steps of the finer of the two sweeps that are extrapolated; even
    """

    def __init__(self, pulse: Pulse, tangents: ReducedTangents, steps: int) -> None:
        self.pulse, self.steps = pulse, steps
        self.columns = pulse.block.strength.shape[1]
        self.halves = 1 if pulse.closed else 2  # v alone, or v and w
        decay, like = pulse.decay, pulse.position
        by_diffusivity = torch.diag(decay / pulse.diffusivity)[None]
        self.d_decay = torch.cat([(pulse.diffusivity * tangents.decay).to(like), by_diffusivity])
        self.d_position = tangents.position.to(like)
        self.d_start, self.d_detect = tangents.start.to(like), tangents.detect.to(like)

    def derivatives(self) -> tuple[Tensor, Tensor, Tensor]:
        """Shape (G, C, P), diffusivity (G, C) and direction (G, C, 3)."""
        levels = ((self.steps, 4 / 3), (self.steps // 2, -1 / 3))
        parts = [self._level(steps, share) for steps, share in levels]
        on_decay, on_position = (sum(column) for column in zip(*parts, strict=True))
        count = self.d_start.shape[0]
        return on_decay[..., :count] + on_position[..., :count], on_decay[..., count], on_position[..., count:]

    def _level(self, steps: int, share: float) -> tuple[Tensor, Tensor]:
        """One sweep's share of the derivatives: by dΛ, start and detection (G, C, P + 1); by dA (G, C, P + 3)."""
        pulse = self.pulse
        forward = self._march(pulse.begin_rows(), steps, forward=True)
        last = _rotated(_true_ends(forward.ends[:, -1]), pulse.axes)  # (G, 2, K, r)
        v, w = last[:, :, : self.columns], last[:, :, self.columns :]
        gap = pulse.gap.transpose(1, 2)[:, None]
        if pulse.closed:
            w = v * pulse.model.amount.to(v)
            back = gap * _conjugate(w)
        else:
            back = torch.cat([gap * _conjugate(w), gap * _conjugate(v)], dim=2)
        adjoint = self._march(_rotated(back, pulse.axes.transpose(1, 2)), steps, forward=False)
        first = _rotated(adjoint.ends[:, 0], pulse.axes)[:, 0]
        for edge in (0, -1):  # the trapezoidal rule's
            adjoint.ends[:, edge] *= 0.5
        twice = 2 if pulse.closed else 1  # v stands for w, too
        on_decay, on_position = self._contracted(adjoint, forward, pulse.block.delta / steps, share * twice)
        return on_decay + share * self._between_and_before(v, w, first), on_position

    def _between_and_before(self, v: Tensor, w: Tensor, first: Tensor) -> Tensor:
        """What the time between the pulses, the lead, start and detection give, (G, C, P + 1), from v and w at the
        pulse's end, (G, 2, C, r), and a(0), (G, K, r).
        """
        pulse = self.pulse
        at_start = first[:, : self.columns]
        at_detect = at_start / pulse.model.amount.to(v) if pulse.closed else first[:, self.columns :]
        change = -self._quadratic(pulse.block.gap, w, v)
        on_start, on_detect = at_start, at_detect
        if pulse.block.lead is not None:
            # before the pulse start and detection decay as e^{−lead Λ}, whose derivative is −φ(λi, λj) dΛ_ij
            for side, weights in ((at_start, pulse.start), (at_detect, pulse.detect)):
                change -= self._quadratic(pulse.block.lead, side[:, None], weights.expand_as(side)[:, None])
            faded = pulse.lead_decay.transpose(1, 2)
            on_start, on_detect = faded * at_start, faded * at_detect
        change[..., :-1] += on_start @ self.d_start.T + on_detect @ self.d_detect.T
        return change

    def _march(self, begin: Tensor, steps: int, forward: bool) -> _Way:
        """States (G, 2, K, r) in the eigenbasis of A_g through all steps; kept in the modes, by time whichever way.

        Forward ends are kept with their parts exchanged, forward states between the half phases conjugate.
        """
        pulse = self.pulse
        groups, _, wide, size = begin.shape
        tau = pulse.block.delta / steps
        cosine, sine = pulse.phase_rows(tau / 2)
        diffuse = pulse.axes.transpose(1, 2) @ (torch.exp(-tau * pulse.decay)[:, None] * pulse.axes)
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
        return _Way(ends, within)

    def _contracted(self, adjoint: _Way, forward: _Way, tau: float, factor: float) -> tuple[Tensor, Tensor]:
        """Σ_t a vᵀ of every measurement, contracted: by dΛ (G, C, P + 1), by dA (G, C, P + 3)."""
        pulse, strength = self.pulse, self.pulse.block.strength
        phi = divided_difference(pulse.decay, strength.new_full((1, 1), tau))[0, 0]
        on_rates = (-factor * phi * self.d_decay).flatten(1).T
        ways = [_rotated(x, pulse.axes) for x in (adjoint.within, forward.within, adjoint.ends, forward.ends)]
        by_decay, by_position = [], []
        for group, direction in enumerate(pulse.directions):
            within, ends = (self._products(a[group], v[group]) for a, v in (ways[:2], ways[2:]))
            along = (factor * tau * torch.einsum("x,pxij->pij", direction, self.d_position)).flatten(1)
            axes = (factor * tau * pulse.position).flatten(1)
            by_decay.append(within @ on_rates)
            by_position.append(strength[group, :, None] * (ends @ torch.cat([along, axes]).T))
        return torch.stack(by_decay), torch.stack(by_position)

    def _products(self, adjoint: Tensor, forward: Tensor) -> Tensor:
        """Σ over times and parts of a vᵀ, (T, 2, K, r) twice -> (C, r²)."""
        total: Tensor | None = None
        for half in range(self.halves):
            chosen = slice(half * self.columns, (half + 1) * self.columns)
            a, v = (x[:, :, chosen].flatten(0, 1).transpose(0, 1) for x in (adjoint, forward))  # (C, 2T, r)
            total = a.transpose(1, 2) @ v if total is None else total.baddbmm_(a.transpose(1, 2), v)
        assert total is not None
        return total.flatten(1)

    def _quadratic(self, times: Tensor, left: Tensor, right: Tensor) -> Tensor:
        """Σ_ij left_i φ_ij dΛ_ij right_j over real and imaginary parts, (G, 2 or 1, C, r) twice -> (G, C, P + 1)."""
        result = left.new_empty(*times.shape, len(self.d_decay))
        left, right = left.transpose(1, 2), right.transpose(1, 2)  # (G, C, parts, r)
        for time in times.unique():
            rows = times == time
            phi = divided_difference(self.pulse.decay, time.reshape(1, 1))[0, 0]
            spread = torch.einsum("pij,ncj->pnci", phi * self.d_decay, right[rows])
            result[rows] = torch.einsum("pnci,nci->np", spread, left[rows])
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


def _true_ends(rows: Tensor) -> Tensor:
    """Forward ends with their parts in order again."""
    return rows.flip(1)
