"""Gradients of any course in a reduced model: signal, Jacobian, and the derivative of one number.

With the state v of `splitting`, S = uᵀ v(T), u the detection; S is complex, and its real part is the mean of the cell
and its mirror image. The adjoint a, which ends as u and runs backwards through the same steps, gives every derivative
in one sweep:

    dS = −∫ a(t)ᵀ (dΛ + i Σ_x g_x dA_x) v(t) dt + a(0)ᵀ dc + v(T)ᵀ du,        c the start.

In the steps of `splitting` the decays' part of the integral is exact and the gradient's is a midpoint rule. Signal and
integral are extrapolated from steps and half steps (Richardson).
"""

from collections import deque
from collections.abc import Iterator
from typing import Literal, overload

import torch
from torch import Tensor

from napari_remidi.physics.encoding.pgse_jacobian import Sensitivity
from napari_remidi.physics.encoding.splitting import Extent, Grid, Splitting, grid_of
from napari_remidi.physics.encoding.waveform_adjoint import TIMES, Change, swept
from napari_remidi.physics.encoding.waveform_blocks import WaveformBlock, waveform_blocks
from napari_remidi.physics.reduction.reduced import ModelGradient, ReducedModel, ReducedTangents

__all__ = ["waveform_blocks", "waveform_gradient", "waveform_sensitivity", "waveform_signal"]

CHUNK_BYTES = 2**28  # of working memory


@overload
def waveform_signal(
    model: ReducedModel,
    blocks: list[WaveformBlock],
    diffusivity: float = ...,
    rotation: Tensor | None = ...,
    count: int = ...,
    *,
    refine: int = ...,
    with_error: Literal[False] = ...,
) -> Tensor: ...


@overload
def waveform_signal(
    model: ReducedModel,
    blocks: list[WaveformBlock],
    diffusivity: float = ...,
    rotation: Tensor | None = ...,
    count: int = ...,
    *,
    refine: int = ...,
    with_error: Literal[True],
) -> tuple[Tensor, Tensor]: ...


def waveform_signal(
    model: ReducedModel,
    blocks: list[WaveformBlock],
    diffusivity: float = 1.0,
    rotation: Tensor | None = None,
    count: int = 0,
    *,
    refine: int = 1,
    with_error: bool = False,
) -> Tensor | tuple[Tensor, Tensor]:
    """Complex signal of every measurement.

    Parameters
    ----------
    model : ReducedModel
    blocks : from `waveform_blocks`; their dtype and device are used
    diffusivity : factor of the model's decay rates; µm²/ms where these are for unit diffusivity
    rotation : (3, 3), body to world; gradients are turned into the body's frame. None: body and world agree
    count : number of measurements M
    refine : times as many steps as by default
    with_error : return the error of the time steps too

    Returns
    -------
    (M,) complex S/S0, one where no waveform acts; with the error, (M,) real: |S(half steps) − extrapolated S|
    """
    signal = _filled(blocks, count, 1.0).to(_complex(blocks))
    error = _filled(blocks, count, 0.0)
    size = len(model.decay)
    for block in blocks:
        for part in _parts(block, size, 16 * size):
            splitting = Splitting(model, part, diffusivity, rotation)
            coarse, fine = (_signal(splitting, grid) for grid in _grids(splitting, refine))
            held = part.measurement >= 0
            rows = part.measurement[held]
            signal[rows] = ((4 * fine - coarse) / 3)[held]
            error[rows] = ((fine - coarse).abs() / 3)[held]
    return (signal, error) if with_error else signal


def waveform_sensitivity(
    model: ReducedModel,
    tangents: ReducedTangents,
    blocks: list[WaveformBlock],
    diffusivity: float = 1.0,
    rotation: Tensor | None = None,
    count: int = 0,
    *,
    refine: int = 1,
) -> Sensitivity:
    """Jacobian of the real part of every measurement; parameters as in `waveform_signal`.

    `direction` holds the derivative with respect to a rotation vector of the body, (M, 3) per rad about the world's
    axes (the body turned by ω, so every gradient by −ω against it): a waveform has no one direction.
    """
    real = _filled(blocks, count, 0.0)
    result = Sensitivity(real.new_zeros(len(real), len(tangents.start)), real, real.new_zeros(len(real), 3))
    size = len(model.decay)
    for block in blocks:
        for part in _parts(block, size, _trajectory_size(model, block, diffusivity, refine)):
            splitting = Splitting(model, part, diffusivity, rotation)
            change = _adjoint(splitting, refine, torch.ones_like(part.strength), summed=False)
            held = part.measurement >= 0
            rows = part.measurement[held]
            on_axes = change.axes.flatten(3)
            body = torch.einsum("gcxk,pyk,gxy->gcp", on_axes, _flat(tangents.position, on_axes), splitting.axes)
            shape = change.decay.flatten(2) @ _flat(diffusivity * tangents.decay, on_axes).T + body
            shape += change.start @ tangents.start.to(real).T + change.detect @ tangents.detect.to(real).T
            result.shape[rows] = shape[held]
            result.diffusivity[rows] = (change.decay.diagonal(dim1=-2, dim2=-1) @ model.decay.to(real))[held]
            by_axis = torch.einsum("gcxk,yk->gcxy", on_axes, _flat(model.position, on_axes))
            if rotation is not None:
                by_axis = by_axis @ rotation.to(real).T
            turn = torch.linalg.cross(by_axis, part.axes[:, None].expand_as(by_axis)).sum(2)
            result.direction[rows] = turn[held]
    return result


def waveform_gradient(
    model: ReducedModel,
    blocks: list[WaveformBlock],
    cotangent: Tensor,
    diffusivity: float = 1.0,
    rotation: Tensor | None = None,
    *,
    refine: int = 1,
) -> ModelGradient:
    """Derivative of Σ_m w_m Re S_m with respect to a model's matrices, by one adjoint sweep.

    Parameters
    ----------
    model, blocks, diffusivity, rotation, refine : as in `waveform_signal`
    cotangent : (M,) w; entries of measurements without a waveform are not used

    Returns
    -------
    ModelGradient, in the blocks' dtype; `decay` is the derivative with respect to diffusivity times Λ
    """
    weight = cotangent.to(_filled(blocks, 0, 0.0))
    size = len(model.decay)
    decay, position = weight.new_zeros(size, size), weight.new_zeros(3, size, size)
    start, detect = weight.new_zeros(size), weight.new_zeros(size)
    for block in blocks:
        for part in _parts(block, size, _trajectory_size(model, block, diffusivity, refine)):
            splitting = Splitting(model, part, diffusivity, rotation)
            held = part.measurement >= 0
            weights = torch.where(held, weight[part.measurement.clamp_min(0)], 0.0)
            change = _adjoint(splitting, refine, weights, summed=True)
            decay += change.decay.sum((0, 1))
            position += torch.einsum("gcxij,gxy->yij", change.axes, splitting.axes)
            start += change.start.sum((0, 1))
            detect += change.detect.sum((0, 1))
    return ModelGradient((decay + decay.mT) / 2, (position + position.mT) / 2, start, detect)


def _signal(splitting: Splitting, grid: Grid) -> Tensor:
    """S of every column, (G, C)."""
    (last,) = deque(splitting.march(splitting.columns(splitting.start), grid), maxlen=1)
    end = splitting.decayed(last.after, grid.free[:, -1])
    return (end * splitting.detect[:, None]).sum(1)


def _adjoint(splitting: Splitting, refine: int, weights: Tensor, summed: bool) -> Change:
    """Derivatives of every column times its weight, (G, C), or of their sum."""
    coarse, fine = (swept(splitting, grid, weights, summed) for grid in _grids(splitting, refine))
    return Change(*((4 * f - c) / 3 for f, c in zip(fine, coarse, strict=True)))


def _grids(splitting: Splitting, refine: int) -> tuple[Grid, Grid]:
    """Steps and half steps."""
    block, extent = splitting.block, splitting.extent
    return grid_of(block, extent, refine), grid_of(block, extent, refine, halved=True)


def _parts(block: WaveformBlock, size: int, numbers: int) -> Iterator[WaveformBlock]:
    """A block cut so that `numbers` per column and the bases of its groups stay within `CHUNK_BYTES`."""
    width = block.strength.element_size()
    groups, columns = block.strength.shape
    bases = 8 * 3 * (block.axes.shape[1] + 1) * size**2
    most = max(1, (CHUNK_BYTES - bases) // (width * numbers))
    wide = min(columns, most)
    high = max(1, min(CHUNK_BYTES // (bases + width * numbers * wide), groups)) if wide == columns else 1
    for g in range(0, groups, high):
        for c in range(0, columns, wide):
            yield block.part(slice(g, g + high), slice(c, c + wide))


def _trajectory_size(model: ReducedModel, block: WaveformBlock, diffusivity: float, refine: int) -> int:
    """Numbers per column that an adjoint sweep holds: its forward states, and its r × r products."""
    position, decay, start = (tensor.double() for tensor in (model.position, diffusivity * model.decay, model.start))
    widest = Extent.of(position[None], decay, start)
    # along any axis no more than the three together
    bound = Extent(*(v.sum().expand(block.course.shape[-1]) for v in (widest.reach, widest.spread, widest.mobility)))
    size = len(model.decay)
    steps = len(grid_of(block, bound, refine, halved=True))
    return 2 * size * (2 * steps + 6 * TIMES) + 6 * (1 + block.course.shape[-1]) * size**2


def _flat(matrices: Tensor, like: Tensor) -> Tensor:
    return matrices.to(like).flatten(-2)


def _filled(blocks: list[WaveformBlock], count: int, value: float) -> Tensor:
    rows = max([count, *(int(block.measurement.max()) + 1 for block in blocks)])
    if not blocks:
        return torch.full((rows,), value)
    return torch.full((rows,), value, dtype=blocks[0].strength.dtype, device=blocks[0].strength.device)


def _complex(blocks: list[WaveformBlock]) -> torch.dtype:
    return torch.complex128 if blocks and blocks[0].strength.dtype == torch.float64 else torch.complex64
