"""The reduced model with its modes frozen: differentiable, and exact to first order, where its modes are not.

Eigenvectors of a round section are degenerate and have no derivative, so none is taken. Φ stays at the current
shape; what changes is Φᵀ A(p) Φ, and with E = Φᵀ M(p) Φ − I, zero at the current p,

    A → A − (E A + A E) / 2,        c → c − E c / 2

restore orthonormality to first order (`reduced` has the same as tangents). torch then carries the gradient of any
number back to the entries of the matrices, and from there to nodes, diffusivities, relaxation times and
permeabilities. Modes are frozen once: derivatives of the second order would be wrong and are refused.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from napari_remidi.physics.matrices.assembly import Topology
from napari_remidi.physics.reduction.modes import MASS
from napari_remidi.physics.reduction.reduced import MOMENTS, ReducedModel

CHUNK = 2**16  # entries at a time: bounds the memory of large meshes


@dataclass(frozen=True, eq=False)
class FrozenModel:
    """A reduced model that torch can differentiate.

    Attributes
    ----------
    decay : (r, r), diagonal at the current parameters
    position : (3, r, r)
    start, detect : (r,)
    amount : () ∫ρ0
    reduced : ReducedModel, the same without gradients, ready to propagate
    """

    decay: Tensor
    position: Tensor
    start: Tensor
    detect: Tensor
    amount: Tensor
    reduced: ReducedModel


def frozen_model(
    topology: Topology, entries: Tensor, decay: Tensor, modes: Tensor, density: Tensor | None = None
) -> FrozenModel:
    """Project a mesh's matrices onto its modes, differentiably.

    Parameters
    ----------
    topology : Topology
    entries : (5, e), differentiable
    decay, modes : (r,), (n, r), eigenpairs of the entries at their current values; constants
    density : (n,) ρ0 at the nodes, differentiable; None where spins start everywhere alike

    Returns
    -------
    FrozenModel
    """
    mass, stiffness, *moments = projected(topology, entries, modes)
    identity = torch.eye(len(mass), dtype=mass.dtype, device=mass.device)
    error = mass - identity
    ones = torch.ones(topology.nodes, dtype=entries.dtype, device=entries.device)
    everywhere = _times(topology, entries[MASS], ones)
    begun = everywhere if density is None else _times(topology, entries[MASS], density)
    amount = begun.sum()
    detect, start = modes.T @ everywhere, modes.T @ begun / amount
    # a shift of the origin multiplies by a phase that cancels: it needs no derivative
    with torch.no_grad():
        weights = ones if density is None else density
        centre = topology.product(entries[MOMENTS], weights[:, None]).sum(dim=(1, 2)) / amount
    centred = torch.stack(moments) - centre[:, None, None] * mass

    def orthonormal(matrix: Tensor) -> Tensor:
        return matrix - (error @ matrix + matrix @ error) / 2

    position = orthonormal(centred)
    start, detect = start - error @ start / 2, detect - error @ detect / 2
    rho = None if density is None else density.detach()
    reduced = ReducedModel(
        modes, decay, position.detach(), start.detach(), detect.detach(), rho, amount.detach(), centre
    )
    return FrozenModel(orthonormal(stiffness), position, start, detect, amount, reduced)


def projected(topology: Topology, entries: Tensor, modes: Tensor) -> Tensor:
    """Φᵀ A Φ of k symmetric matrices, (k, e) -> (k, r, r), differentiable (once) in the entries."""
    return _Projected.apply(entries, modes, topology)


class _Projected(torch.autograd.Function):
    """Backward of Φᵀ A Φ: the gradient at entry (i, j) is row i of Φ G times row j of Φ."""

    @staticmethod
    def forward(ctx: Any, entries: Tensor, modes: Tensor, topology: Topology) -> Tensor:
        ctx.modes, ctx.topology = modes, topology
        return topology.projected(entries, modes)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, cotangent: Tensor) -> tuple[Tensor, None, None]:
        modes, topology = ctx.modes, ctx.topology
        symmetric = (cotangent + cotangent.transpose(1, 2)) / 2
        result = cotangent.new_empty(len(cotangent), len(topology.rows))
        for index, matrix in enumerate(symmetric):
            left = modes @ matrix
            for some in torch.arange(len(topology.rows), device=modes.device).split(CHUNK):
                result[index, some] = (left[topology.rows[some]] * modes[topology.columns[some]]).sum(1)
        result[:, topology.rows != topology.columns] *= 2  # such an entry stands for two
        return result, None, None


def _times(topology: Topology, matrix: Tensor, vector: Tensor) -> Tensor:
    """One symmetric matrix, (e,), times a vector, (n,), differentiable in both."""
    rows, columns = topology.rows, topology.columns
    off = rows != columns
    upper = torch.zeros_like(vector).index_add(0, rows, matrix * vector[columns])
    return upper.index_add(0, columns[off], matrix[off] * vector[rows[off]])
