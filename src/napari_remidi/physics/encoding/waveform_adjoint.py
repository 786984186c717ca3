"""One adjoint sweep: what every matrix of a reduced model does to a signal uᵀ v(T).

The adjoint a ends as u and runs backwards through the steps that took the state v from the start c. A course is a row
of free decays s_k and turns (see `splitting`). With v and a on either side of what is differentiated,

    −Σ_k φ(s_k) ∘ a vᵀ for Λ,      −i Σ_n τ_n g_x a vᵀ for A_x,      a(0) for c,      v(T) for u,

φ the divided difference of e^{−sλ}, which makes the derivative of a decay exact: a quadrature in time would miss rates
that decay within a step. The derivative of a turn is taken in its middle, which leaves an error even in τ, as the step
does (Richardson).
"""

from typing import NamedTuple

import torch
from torch import Tensor

from napari_remidi.physics.encoding.pgse import divided_difference
from napari_remidi.physics.encoding.splitting import Grid, Splitting

TIMES = 16  # states whose outer products are formed at once
DIGITS = 9  # of ms, to which durations must agree to share φ


class Change(NamedTuple):
    """Derivatives of columns, or of their sum (C = 1)."""

    decay: Tensor  # (G, C, r, r)
    axes: Tensor  # (G, C, X, r, r), with respect to the position along every axis
    start: Tensor  # (G, C, r)
    detect: Tensor  # (G, C, r)


def swept(splitting: Splitting, grid: Grid, weights: Tensor, summed: bool) -> Change:
    """Derivatives of the real signal of every column times its weight, (G, C), or of their sum."""
    begin, end = splitting.columns(splitting.start), splitting.columns(splitting.detect) * weights[:, None]
    forward = list(splitting.march(begin, grid))
    before = [begin, *(turned.after for turned in forward)]  # the decays
    which = splitting.block.which
    free = grid.free.round(decimals=DIGITS)[which]  # (G, C, N + 1)
    kicks = (grid.tau[..., None] * grid.rate)[which].to(weights) * splitting.block.strength[..., None, None]
    groups, size, columns = begin.shape
    on_decay = weights.new_zeros(groups, 1 if summed else columns, size, size)
    on_axes = weights.new_zeros(*on_decay.shape[:2], kicks.shape[-1], size, size)
    after, middles = [end], []  # the adjoint's states, the latest first
    for n, turned in zip(reversed(range(len(grid))), splitting.march(end, grid, backward=True), strict=True):
        after.append(turned.after)
        middles.append(turned.middle)
        if len(middles) == TIMES or n == 0:
            decays, turns = slice(n, n + len(after)), slice(n, n + len(middles))
            on_decay -= _over_decays(splitting, after[::-1], before[decays], free[..., decays], summed)
            on_axes += _over_turns(middles[::-1], [t.middle for t in forward[turns]], kicks[:, :, turns], summed)
            after, middles = [], []
    on_start = splitting.decayed(turned.after, grid.free[:, 0]).real.mT
    on_detect = (splitting.decayed(before[-1], grid.free[:, -1]).real * weights[:, None]).mT
    if summed:
        on_start, on_detect = on_start.sum(1, keepdim=True), on_detect.sum(1, keepdim=True)
    last = splitting.last[:, None, None]
    return Change(on_decay, last @ on_axes @ last.mT, on_start, on_detect)


def _over_decays(
    splitting: Splitting, adjoint: list[Tensor], forward: list[Tensor], free: Tensor, summed: bool
) -> Tensor:
    """Re Σ_t φ(s_t) ∘ a vᵀ for durations s, (G, C, T): (G, C, r, r), or (G, 1, r, r)."""
    total = torch.zeros((), dtype=splitting.decay.dtype, device=splitting.decay.device)
    for time in free[free > 0].unique():
        shared = free == time
        times = shared.any(0).any(0).nonzero()[:, 0].tolist()
        a, v = (_rows([states[t] for t in times], summed) for states in (adjoint, forward))
        if not (chosen := shared[..., times]).all():
            a = a * _shares(chosen.to(splitting.decay), summed)
        product = torch.cat([a.real, a.imag], dim=-1) @ torch.cat([v.real, -v.imag], dim=-1).mT
        total = total + divided_difference(splitting.decay, time.to(splitting.decay).reshape(1, 1))[0, 0] * product
    return total


def _over_turns(adjoint: list[Tensor], forward: list[Tensor], kicks: Tensor, summed: bool) -> Tensor:
    """Im Σ_t k_t a vᵀ for every axis's kicks k, (G, C, T, X): (G, C, X, r, r), or (G, 1, X, r, r)."""
    a, v = _rows(adjoint, summed), _rows(forward, summed)
    parts, weighted = torch.cat([v.imag, v.real], dim=-1).mT, []
    for x in range(kicks.shape[-1]):
        scaled = a * _shares(kicks[..., x], summed)
        weighted.append(torch.cat([scaled.real, scaled.imag], dim=-1) @ parts)
    return torch.stack(weighted, dim=2)


def _rows(states: list[Tensor], summed: bool) -> Tensor:
    """T states (G, r, C) as (G, C, r, T), or (G, 1, r, C T)."""
    stacked = torch.stack(states, dim=-1)
    return stacked.flatten(2)[:, None] if summed else stacked.transpose(1, 2)


def _shares(values: Tensor, summed: bool) -> Tensor:
    """One number for each column and time, (G, C, T), laid out as `_rows`."""
    return values.flatten(1)[:, None, None] if summed else values[:, :, None]
