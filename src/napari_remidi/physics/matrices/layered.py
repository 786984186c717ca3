"""Solving with positive definite matrices of a mesh in layers, by block Cholesky factors.

Where only neighbouring layers of nodes meet in elements, a matrix is block tridiagonal,

    A = [[A_1, B_1ᵀ], [B_1, A_2, B_2ᵀ], ...] = F Fᵀ,    F_k F_kᵀ = A_k − G_{k-1} G_{k-1}ᵀ,    G_k = B_k F_k⁻ᵀ,

so that factors and solutions are a few small dense products for each layer, on any device.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from napari_remidi.errors import MeshError
from napari_remidi.physics.matrices.assembly import Topology


@dataclass(frozen=True, eq=False)
class Layers:
    """Where the entries of a topology lie in the blocks of its layers.

    Attributes
    ----------
    size, count : nodes of a layer s, layers L
    inside, across : entries within a layer, and between neighbours
    inside_at, across_at : their places in the flattened blocks, (2 L s²) of the diagonal with its transposes and
        ((L − 1) s²) below it
    """

    size: int
    count: int
    inside: Tensor
    across: Tensor
    inside_at: Tensor
    across_at: Tensor

    @classmethod
    def of(cls, topology: Topology, size: int) -> "Layers":
        """The layers of `size` nodes each in which a mesh is numbered; MeshError where others meet."""
        layer, column_layer = topology.rows // size, topology.columns // size
        row, column = topology.rows % size, topology.columns % size
        if topology.nodes % size or int((column_layer - layer).max()) > 1:
            raise MeshError(f"the mesh is not numbered in layers of {size} nodes that meet their neighbours only")
        inside, across = torch.nonzero(column_layer == layer)[:, 0], torch.nonzero(column_layer > layer)[:, 0]
        places = layer * size * size
        at = torch.stack([places + row * size + column, places + column * size + row])[:, inside]
        return cls(
            size, topology.nodes // size, inside, across, at, (places + column * size + row)[across]
        )  # fmt: skip

    def factors(self, values: Tensor) -> "Factors":
        """Factors of a symmetric positive definite matrix, (e,) entries."""
        size, count = self.size, self.count
        diagonal, below = values.new_zeros(count * size * size), values.new_zeros((count - 1) * size * size)
        diagonal[self.inside_at[0]] = values[self.inside]
        diagonal[self.inside_at[1]] = values[self.inside]
        below[self.across_at] = values[self.across]
        blocks, links = diagonal.reshape(count, size, size), below.reshape(count - 1, size, size)
        own, left = [torch.linalg.cholesky(blocks[0])], []
        for block, link in zip(blocks[1:], links, strict=True):
            left.append(torch.linalg.solve_triangular(own[-1], link.T, upper=False).T)
            own.append(torch.linalg.cholesky(torch.addmm(block, left[-1], left[-1].T, alpha=-1)))
        return Factors(own, left)


@dataclass(frozen=True, eq=False)
class Factors:
    """F, block by block: `own` (s, s) lower triangular on the diagonal, `left` (s, s) below it."""

    own: list[Tensor]
    left: list[Tensor]

    def solve(self, right: Tensor) -> Tensor:
        """A⁻¹ of columns, (n, m)."""
        parts = list(right.reshape(len(self.own), -1, right.shape[1]))
        solve = torch.linalg.solve_triangular
        parts[0] = solve(self.own[0], parts[0], upper=False)
        for k, left in enumerate(self.left, start=1):
            parts[k] = solve(self.own[k], torch.addmm(parts[k], left, parts[k - 1], alpha=-1), upper=False)
        parts[-1] = solve(self.own[-1].T, parts[-1], upper=True)
        for k in range(len(parts) - 2, -1, -1):
            parts[k] = solve(self.own[k].T, torch.addmm(parts[k], self.left[k].T, parts[k + 1], alpha=-1), upper=True)
        return torch.cat(parts)
