"""Finite-element matrices of meshes that share their tetrahedra, and their projection onto a basis.

The sparsity pattern depends on the topology alone, so it is found once; a mesh, or a tangent of one, is then a
column of numbers on that pattern, and projecting many of them is a single sparse product.
"""

import warnings
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_remidi.physics.lazy import lazy
from napari_remidi.physics.matrices.elements import PAIR_MASS, PAIRS, element_integrals, integral_derivatives

# torch says so once per process; the few products used here are covered by this package's tests
warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta")

CHUNK = 2**20  # numbers of A Φ at a time: few enough to stay in a processor's cache


@dataclass(frozen=True, eq=False)
class Topology:
    """Which nodes meet in which tetrahedra: everything about a mesh except where its nodes are.

    Attributes
    ----------
    tetrahedra : (m, 4) int64
    nodes : number of nodes n
    rows, columns : (e,) the symmetric matrices' entries, each pair once, rows <= columns
    gather : (e, 10 m) sparse, sums the numbers of element pairs that fall on an entry
    share : (e, m) sparse, S of `elements`: sums each element's share of mass, (1 + δ) / 20
    row_ends, column_of, entry_of : the full symmetric matrix in CSR form, `entry_of` pointing into the e entries
    linked : (k,) the entries of extra node pairs, which surface integrals couple; empty where there are none
    """

    tetrahedra: Tensor
    nodes: int
    rows: Tensor
    columns: Tensor
    gather: dict[torch.dtype, Tensor]
    share: dict[torch.dtype, Tensor]
    row_ends: Tensor
    column_of: Tensor
    entry_of: Tensor
    linked: Tensor

    @classmethod
    def of(
        cls,
        tetrahedra: NDArray[np.int64],
        device: torch.device | str = "cpu",
        extra: NDArray[np.int64] | None = None,
    ) -> "Topology":
        """Find the pattern of a mesh's tetrahedra, (m, 4), and of extra pairs of their nodes, (k, 2)."""
        tets = np.asarray(tetrahedra, dtype=np.int64)
        nodes = int(tets.max()) + 1
        pairs = tets[:, PAIRS.numpy()].reshape(-1, 2)
        inside = len(pairs)
        if extra is not None:
            pairs = np.concatenate([pairs, extra])
        pairs = np.sort(pairs, axis=1)
        keys, where = np.unique(pairs[:, 0] * nodes + pairs[:, 1], return_inverse=True)
        entry, linked = np.split(where.ravel(), [inside])
        rows, columns = np.divmod(keys, nodes)
        count = len(keys)
        gather = sp.csr_matrix((np.ones(len(entry)), (entry, np.arange(len(entry)))), (count, len(entry)))
        off = rows != columns
        order = np.arange(count)
        full = sp.csr_matrix(
            (
                np.concatenate([order, order[off]]) + 1,
                (np.concatenate([rows, columns[off]]), np.concatenate([columns, rows[off]])),
            ),
            (nodes, nodes),
        )

        def tensor(array: NDArray) -> Tensor:
            return torch.as_tensor(np.array(array, dtype=np.int64), device=device)

        def kinds(matrix: sp.csr_matrix) -> dict[torch.dtype, Tensor]:
            ends, where = tensor(matrix.indptr), tensor(matrix.indices)
            values = torch.as_tensor(matrix.data, device=device)
            return {
                dtype: torch.sparse_csr_tensor(ends, where, values.to(dtype), matrix.shape, check_invariants=False)
                for dtype in (torch.float32, torch.float64)
            }

        element, pair = np.divmod(gather.indices, len(PAIRS))
        share = sp.csr_matrix((PAIR_MASS.numpy()[pair], element, gather.indptr), (count, len(tets)))
        return cls(
            tensor(tets), nodes, tensor(rows), tensor(columns), kinds(gather), kinds(share),
            tensor(full.indptr), tensor(full.indices), tensor(full.data - 1), tensor(linked),
        )  # fmt: skip

    def entries(self, points: Tensor) -> Tensor:
        """Mass, stiffness and moment matrices of one mesh: (n, 3) µm -> (5, e)."""
        return self.summed(points, *element_integrals(self._corners(points)))

    def summed(self, points: Tensor, bulk: Tensor, stiffness: Tensor) -> Tensor:
        """Matrices of a mesh from its elements' integrals, weighted or not: (n, 3), (m, 4), (m, 10) -> (5, e)."""
        sums = self.share[bulk.dtype] @ bulk
        mass = sums[:, :1]
        moments = (sums[:, 1:] + self._both_ends(points) * mass) / 6
        flow = self.gather[stiffness.dtype] @ stiffness.reshape(-1, 1)
        return torch.cat([mass, flow, moments], dim=1).T

    def entry_tangents(self, points: Tensor, velocities: Tensor) -> Tensor:
        """Derivatives of `entries` for P nodal velocities: (n, 3), (P, n, 3) -> (P, 5, e)."""
        count, elements = len(velocities), len(self.tetrahedra)
        volume, d_bulk, d_stiffness = integral_derivatives(self._corners(points))
        moves = velocities.permute(1, 2, 0).contiguous()
        corners = self._corners(moves).reshape(elements, -1, count)
        share = self.share[points.dtype]
        sums = (share @ (d_bulk @ corners).reshape(elements, -1)).reshape(-1, 4, count)
        flow = self.gather[points.dtype] @ (d_stiffness @ corners).reshape(-1, count)
        mass, d_mass = (share @ volume[:, None])[:, None], sums[:, :1]
        d_moments = sums[:, 1:] + self._both_ends(moves) * mass + self._both_ends(points)[..., None] * d_mass
        changes = torch.cat([d_mass, flow[:, None], d_moments / 6], dim=1)
        return changes.flatten(1).T.contiguous().reshape(-1, count, len(self.rows)).transpose(0, 1)

    def _both_ends(self, values: Tensor) -> Tensor:
        """Sum of a nodal quantity over the two nodes of every entry: (n, ...) -> (e, ...)."""
        return values.index_select(0, self.rows) + values.index_select(0, self.columns)

    def _corners(self, values: Tensor) -> Tensor:
        """A nodal quantity at the corners of every element: (n, ...) -> (m, 4, ...)."""
        return values.index_select(0, self.tetrahedra.flatten()).unflatten(0, self.tetrahedra.shape)

    def product(self, entries: Tensor, basis: Tensor) -> Tensor:
        """Each of k symmetric matrices times a basis: (k, e), (n, r) -> (k, n, r)."""
        count, size = len(entries), len(self.column_of)
        ends = self.row_ends[1:] + size * torch.arange(count, device=entries.device)[:, None]
        ends = torch.cat([self.row_ends[:1], ends.reshape(-1)])
        stacked = torch.sparse_csr_tensor(
            ends,
            self.column_of.repeat(count),
            entries[:, self.entry_of].reshape(-1),
            (count * self.nodes, self.nodes),
            check_invariants=False,
        )
        return (stacked @ basis).reshape(count, self.nodes, -1)

    def projected(self, entries: Tensor, basis: Tensor) -> Tensor:
        """Each of k symmetric matrices in a basis, Φᵀ A Φ: (k, e), (n, r) -> (k, r, r), exactly symmetric."""
        size, some = len(self.rows), max(1, min(len(entries), CHUNK // basis.numel()))
        # entries are in the order of their rows: A = U + Uᵀ with the diagonal halved, and U is a CSR matrix as it is
        weights, ends = self._halves[0].to(entries.dtype), self._halves[1]
        ends = (ends + size * torch.arange(some, device=ends.device)[:, None]).flatten()
        ends, columns = torch.cat([ends.new_zeros(1), ends]), self.columns.repeat(some)
        halves = []
        for matrices in entries.split(some):
            shape, values = (len(matrices) * self.nodes, self.nodes), (matrices * weights).flatten()
            stacked = torch.sparse_csr_tensor(
                ends[: shape[0] + 1], columns[: len(values)], values, shape, check_invariants=False
            )
            halves.append(basis.T @ (stacked @ basis).reshape(len(matrices), self.nodes, -1))
        upper = torch.cat(halves)
        return upper + upper.transpose(1, 2)

    @lazy
    def _halves(self) -> tuple[Tensor, Tensor]:
        """Of the matrices' upper halves: each entry's weight, and where rows end, (n,)."""
        weights = torch.where(self.rows == self.columns, 0.5, 1.0)
        return weights, torch.bincount(self.rows, minlength=self.nodes).cumsum(0)

    def scipy(self, entries: Tensor) -> sp.csr_matrix:
        """One symmetric matrix, (e,), for SciPy's sparse solvers."""
        data = entries[self.entry_of].cpu().numpy()
        return sp.csr_matrix((data, self.column_of.cpu().numpy(), self.row_ends.cpu().numpy()), (self.nodes,) * 2)
