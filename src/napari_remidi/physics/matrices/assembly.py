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

from napari_remidi.physics.matrices.elements import PAIRS, element_matrices, element_tangents

# torch says so once per process; the few products used here are covered by this package's tests
warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta")


@dataclass(frozen=True, eq=False)
class Topology:
    """Which nodes meet in which tetrahedra: everything about a mesh except where its nodes are.

    Attributes
    ----------
    tetrahedra : (m, 4) int64
    nodes : number of nodes n
    rows, columns : (e,) the symmetric matrices' entries, each pair once, rows <= columns
    gather : (e, 10 m) sparse, sums the element integrals that fall on an entry
    row_ends, column_of, entry_of : the full symmetric matrix in CSR form, `entry_of` pointing into the e entries
    linked : (k,) the entries of extra node pairs, which surface integrals couple; empty where there are none
    """

    tetrahedra: Tensor
    nodes: int
    rows: Tensor
    columns: Tensor
    gather: dict[torch.dtype, Tensor]
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

        def sums(dtype: torch.dtype) -> Tensor:
            ones = torch.ones(len(gather.data), dtype=dtype, device=device)
            return torch.sparse_csr_tensor(
                tensor(gather.indptr), tensor(gather.indices), ones, gather.shape, check_invariants=False
            )

        kinds = {dtype: sums(dtype) for dtype in (torch.float32, torch.float64)}
        return cls(
            tensor(tets), nodes, tensor(rows), tensor(columns), kinds,
            tensor(full.indptr), tensor(full.indices), tensor(full.data - 1), tensor(linked),
        )  # fmt: skip

    def entries(self, points: Tensor) -> Tensor:
        """Mass, stiffness and moment matrices of one mesh: (n, 3) µm -> (5, e)."""
        values = element_matrices(points[self.tetrahedra])
        return (self.gather[values.dtype] @ values.reshape(-1, values.shape[-1])).T

    def entry_tangents(self, points: Tensor, velocities: Tensor) -> Tensor:
        """Derivatives of `entries` for P nodal velocities: (n, 3), (P, n, 3) -> (P, 5, e)."""
        tets = self.tetrahedra
        values = element_tangents(points[tets], velocities[:, tets])
        count, matrices = values.shape[0], values.shape[-1]
        columns = values.reshape(count, -1, matrices).permute(1, 0, 2).reshape(-1, count * matrices)
        return (self.gather[values.dtype] @ columns).T.reshape(count, matrices, -1)

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
        """Each of k symmetric matrices in a basis, Φᵀ A Φ: (k, e), (n, r) -> (k, r, r)."""
        return basis.T @ self.product(entries, basis)

    def scipy(self, entries: Tensor) -> sp.csr_matrix:
        """One symmetric matrix, (e,), for SciPy's sparse solvers."""
        data = entries[self.entry_of].cpu().numpy()
        return sp.csr_matrix((data, self.column_of.cpu().numpy(), self.row_ends.cpu().numpy()), (self.nodes,) * 2)
