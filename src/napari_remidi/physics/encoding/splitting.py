"""Time steps for gradients of any course: every factor of a step is diagonal in some fixed basis.

v' = −(Λ + i Σ_x g_x(t) A_x) v, with Λ diagonal in the modes and A_x, the position along an axis, real symmetric. A step
of τ is the symmetric product

    e^{−Λτ/2} e^{−i g_1 A_1 τ/2} … e^{−i g_X A_X τ} … e^{−i g_1 A_1 τ/2} e^{−Λτ/2}      (Strang)

with each factor a pointwise product in its eigenbasis, so that columns share the bases and each has its own τ and g;
from one basis to the next leads a fixed real r × r matrix. Its error is even in τ (Richardson from N and 2N steps
leaves τ⁴), and it is its own transpose, so that the adjoint runs through the same steps backwards. Where no gradient
acts a step is exact, however long.

The last factor of a step and the first of the next are one free decay, so that a course of N steps is

    decay s_0, turn 1, decay s_1, turn 2, …, turn N, decay s_N,        s_k = (τ_k + τ_{k+1})/2,  τ_0 = τ_{N+1} = 0,

with a turn the product of a step's phases.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import pad

from napari_remidi.physics.devices import algebra_device
from napari_remidi.physics.encoding.pgse import real_product
from napari_remidi.physics.encoding.waveform_blocks import WaveformBlock
from napari_remidi.physics.reduction.reduced import ReducedModel

PHASE_STEP = 0.5  # rad, the largest phase that a step of the coarse sweep may turn
FEWEST = 8  # steps of the coarse sweep between two rests
ACCURACY = 1e-2  # of the coarse sweep; the extrapolated one's is a hundredth of it


@dataclass(frozen=True, eq=False)
class Grid:
    """Steps of every course: τ (W, N) ms and relative gradient (W, N, X), padded with steps of no duration."""

    tau: Tensor
    rate: Tensor

    def __len__(self) -> int:
        return self.tau.shape[1]

    @cached_property
    def acting(self) -> Tensor:
        """Steps with a gradient, (W, N)."""
        return self.rate.any(-1)

    @cached_property
    def free(self) -> Tensor:
        """Duration of the decays before, between and after the turns, (W, N + 1) ms."""
        return (pad(self.tau, (1, 0)) + pad(self.tau, (0, 1))) / 2


@dataclass(frozen=True, eq=False)
class Extent:
    """What decides how long a step may be, along each of X axes.

    Attributes
    ----------
    reach : largest |position|, µm
    spread : mean square position of the start, µm²
    mobility : cᵀ A Λ A c / |c|² of the start c: the diffusivity, by a sum rule, where enough modes are kept, µm²/ms
    """

    reach: Tensor
    spread: Tensor
    mobility: Tensor

    @classmethod
    def of(cls, position: Tensor, decay: Tensor, start: Tensor) -> "Extent":
        """The largest along each axis: position (G, X, r, r), decay (r,), start (r,)."""
        weight = (position @ (start / start.norm())).square()
        return cls(*(
            values.amax(0).cpu()
            for values in (torch.linalg.matrix_norm(position, 2), weight.sum(-1), weight @ decay)
        ))  # fmt: skip


def grid_of(block: WaveformBlock, extent: Extent, refine: int, halved: bool = False) -> Grid:
    """Steps of a block's courses, `refine` times as many as needed; `halved` cuts every one under gradient in two.

    A step of τ adds about τ²/6 ∫ q² D dt to the exponent of the signal, or τ ∫ q²⟨x²⟩ dt where spins meet the walls
    several times during it: the smaller of the two may be `ACCURACY`, before Richardson's extrapolation.
    """
    strength = block.strength.abs().double().cpu()
    peak = torch.zeros(len(block.duration), dtype=torch.float64)
    peak.scatter_reduce_(0, block.which.flatten(), strength.flatten(), "amax")
    turn = peak[:, None] * block.duration * (block.course.abs() * extent.reach).sum(-1)
    energy = peak[:, None].square() * (block.course.square() * block.duration[..., None]).sum(1)  # ∫ q² dt, (W, X)
    free, bounded = (
        (energy * weight).sum(-1, keepdim=True).clamp_min(1e-300) for weight in (extent.mobility, extent.spread)
    )
    acting = (block.course != 0).any(-1) & (block.duration > 0)
    run = pad((acting[:, 1:] != acting[:, :-1]).long(), (1, 0)).cumsum(1)  # number of the rest, or of what lies between
    between = torch.zeros_like(block.duration).scatter_add_(1, run, block.duration).gather(1, run)
    longest = torch.minimum(
        between.clamp_min(1e-300) / FEWEST, torch.maximum((6 * ACCURACY / free).sqrt(), ACCURACY / bounded)
    )
    steps = torch.maximum(turn / PHASE_STEP, block.duration / longest)
    # an interval without gradient is one exact step
    whole = (refine * steps - 1e-9).ceil().clamp_min(refine) * (2 if halved else 1)
    count = torch.where(acting, whole, block.duration > 0).long()
    used = block.which.unique().tolist()
    total = int(count[used].sum(1).max())
    tau = torch.zeros(len(count), total, dtype=torch.float64)
    rate = torch.zeros(len(count), total, block.course.shape[-1], dtype=torch.float64)
    for w in used:
        interval = torch.repeat_interleave(torch.arange(count.shape[1]), count[w])
        tau[w, : len(interval)] = (block.duration[w] / count[w].clamp_min(1))[interval]
        rate[w, : len(interval)] = block.course[w, interval]
    return Grid(tau, rate)


class Turned(NamedTuple):
    """A state at a step's turn, (G, r, C)."""

    middle: Tensor  # in the eigenbasis of the last axis
    after: Tensor  # in the modes


class Splitting:
    """A part of a block in a reduced model, ready to propagate columns, (G, r, C) complex, in the modes."""

    def __init__(self, model: ReducedModel, block: WaveformBlock, diffusivity: float, rotation: Tensor | None) -> None:
        real, device = block.strength.dtype, block.strength.device
        self.block, self.which = block, block.which.to(device)
        self.decay = (diffusivity * model.decay).to(device, real)
        self.position = model.position.to(device, real)
        self.start, self.detect = (vector.to(device, real) for vector in (model.start, model.detect))
        self.axes = block.axes if rotation is None else block.axes @ rotation.to(block.axes)
        # float64: over thousands of steps float32 eigenvectors, orthogonal to 1e-6, would lose a part in a thousand
        algebra = algebra_device(device)
        along = torch.einsum("gxc,cij->gxij", self.axes.to(algebra, torch.float64), model.position.to(algebra).double())
        values, bases = torch.linalg.eigh(along)
        rates, start = (diffusivity * model.decay).to(algebra).double(), model.start.to(algebra).double()
        self.extent = Extent.of(along, rates, start)
        self.phase = values.to(device, real)
        across = [bases[:, 0].mT, *(bases[:, x].mT @ bases[:, x - 1] for x in range(1, bases.shape[1]))]
        self.across = [matrix.to(device, real) for matrix in across]
        self.back = bases[:, 0].to(device, real)
        self.last = bases[:, -1].to(device, real)

    def columns(self, vector: Tensor) -> Tensor:
        """One real vector, (r,), in every column."""
        groups, count = self.block.which.shape
        wide = vector[None, :, None].expand(groups, -1, count)
        return torch.complex(wide, torch.zeros_like(wide)).contiguous()

    def march(self, state: Tensor, grid: Grid, backward: bool = False) -> Iterator[Turned]:
        """States at every turn, forwards from the beginning or backwards from the end."""
        free, acting = grid.free.to(self.phase), grid.acting.any(0).tolist()
        kicks = (grid.tau[..., None] * grid.rate).to(self.phase)
        steps = range(len(grid))
        for n in reversed(steps) if backward else steps:
            state = self.decayed(state, free[:, n + 1 if backward else n])
            found = Turned(state, state)
            if acting[n]:
                found = self._turned(state, kicks[:, n][self.which] * self.block.strength[..., None])
            yield found
            state = found.after

    def decayed(self, state: Tensor, times: Tensor) -> Tensor:
        """A state after free decay for the times of every course, (W,) ms."""
        return state * torch.exp(-times.to(self.phase)[self.which][:, None] * self.decay[:, None])

    def _turned(self, state: Tensor, angle: Tensor) -> Turned:
        """A turn by angles (G, C, X) about the axes, symmetric: half, half, ..., half and half, ..., half, half."""
        halves = []
        for x, matrix in enumerate(self.across):
            half = -angle[..., x][:, None] / 2 * self.phase[:, x, :, None]
            halves.append(torch.polar(torch.ones_like(half), half))
            state = real_product(matrix, state) * halves[-1]
        middle, state = state, state * halves[-1]
        for x in range(len(self.across) - 1, 0, -1):
            state = real_product(self.across[x].mT, state) * halves[x - 1]
        return Turned(middle, real_product(self.back, state))
