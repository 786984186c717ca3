"""One adjoint sweep: what every matrix of a reduced model does to a signal uᵀ v(T).

The adjoint a ends as u and runs backwards through the steps that took the state v from the start c. The derivatives

    −∫ a vᵀ dt for Λ,        −i ∫ g_x a vᵀ dt for A_x,        a(0) for c,        v(T) for u

are sums over the steps: trapezoidal under gradient, exact where none acts, however long that lasts.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from napari_remidi.physics.encoding.splitting import Grid, Splitting, overlap

TIMES = 16  # states whose outer products are formed at once


class Change(NamedTuple):
    """Derivatives of columns, or of their sum (C = 1)."""

    decay: Tensor  # (G, C, r, r)
    axes: Tensor  # (G, C, X, r, r), with respect to the position along every axis
    start: Tensor  # (G, C, r)
    detect: Tensor  # (G, C, r)


def swept(splitting: Splitting, grid: Grid, weights: Tensor, summed: bool) -> Change:
    """Derivatives of the real signal of every column times its weight, (G, C), or of their sum."""
    begin = splitting.columns(splitting.start)
    forward = [begin, *splitting.march(begin, grid)]
    later = splitting.columns(splitting.detect) * weights[:, None]
    share = grid.weights[splitting.block.which].to(weights)
    share[..., 1:] *= splitting.block.strength[..., None, None]
    groups, size, columns = begin.shape
    integral = weights.new_zeros(groups, 1 if summed else columns, share.shape[-1], size, size)
    recent = [later]
    for n, state in zip(reversed(range(len(grid))), splitting.march(later, grid, backward=True), strict=True):
        if grid.resting[:, n].any():
            integral[:, :, 0] += _at_rest(splitting, grid, n, later, forward[n], summed)
        recent.append(state)
        later = state
        if len(recent) == TIMES or n == 0:
            times = slice(n, n + len(recent))
            integral += _products(recent[::-1], forward[times], share[:, :, times], summed)
            recent = []
    on_start = later.real.mT
    on_detect = (forward[-1].real * weights[:, None]).mT
    if summed:
        on_start, on_detect = on_start.sum(1, keepdim=True), on_detect.sum(1, keepdim=True)
    return Change(-integral[:, :, 0], integral[:, :, 1:], on_start, on_detect)


def _products(adjoint: list[Tensor], forward: list[Tensor], share: Tensor, summed: bool) -> Tensor:
    """Re Σ_t s_t a vᵀ for the first of the shares, (G, C, T, 1 + X), and Im for the others: (G, C, 1 + X, r, r)."""

    def rows(states: list[Tensor]) -> Tensor:  # T × (G, r, C) -> (G, C, r, T), or (G, 1, r, C T)
        stacked = torch.stack(states, dim=-1)
        return stacked.flatten(2)[:, None] if summed else stacked.transpose(1, 2)

    a, v = rows(adjoint), rows(forward)
    s = share.flatten(1, 2)[:, None] if summed else share
    real = torch.cat([v.real, -v.imag], dim=-1).mT
    imaginary = torch.cat([v.imag, v.real], dim=-1).mT
    products = []
    for k in range(s.shape[-1]):
        weighted = a * s[..., None, :, k]
        products.append(torch.cat([weighted.real, weighted.imag], dim=-1) @ (imaginary if k else real))
    return torch.stack(products, dim=2)


def _at_rest(splitting: Splitting, grid: Grid, n: int, later: Tensor, earlier: Tensor, summed: bool) -> Tensor:
    """Re ∫ a vᵀ dt over step n of the columns without gradient there, (G, C, r, r) or (G, 1, r, r)."""
    resting = grid.resting[:, n][splitting.block.which].to(later.device)
    tau = grid.tau[:, n][splitting.block.which].to(later.real)[resting]
    a, v = later.mT[resting], earlier.mT[resting]
    values = (a.real[:, :, None] * v.real[:, None] - a.imag[:, :, None] * v.imag[:, None]) * overlap(
        splitting.decay, tau
    )
    if not summed:
        return later.real.new_zeros(*resting.shape, *values.shape[1:]).index_put((resting,), values)
    group = resting.nonzero()[:, 0]
    return later.real.new_zeros(len(resting), *values.shape[1:]).index_add(0, group, values)[:, None]
