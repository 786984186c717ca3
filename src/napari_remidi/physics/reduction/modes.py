"""Low Laplacian eigenmodes of a mesh: the basis in which diffusion is diagonal.

Three ways to the same modes. `sparse_modes` takes any mesh and runs a sparse shift-invert eigensolver.
`modes_in_basis` takes a basis Ψ that is known to hold them and solves a small dense problem. `modes_near_basis` takes
one that nearly does (the POD basis shipped with a prior, in the template's node numbering) and improves what that
gives by a step of inverse iteration on a mesh in layers. All are in float64: in float32 the zero eigenvalue of a mesh
with slivers comes out large enough to spoil the signal.
"""

import numpy as np
import scipy.linalg
import torch
from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigsh, splu
from torch import Tensor

from napari_remidi.errors import MeshError
from napari_remidi.physics.matrices.assembly import Topology
from napari_remidi.physics.matrices.layered import Layers

MASS, STIFFNESS = 0, 1  # rows of Topology.entries
DENSE_BELOW = 700  # nodes; a dense solver is as fast there and finds every mode


def sparse_modes(topology: Topology, entries: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Lowest eigenpairs of K φ = λ M φ on any mesh.

    Parameters
    ----------
    topology : Topology
    entries : (5, e) float64, from `Topology.entries`
    count : number of modes r; all of them where the mesh has fewer nodes

    Returns
    -------
    eigenvalues (r,) 1/µm², modes (n, r) with ΦᵀMΦ = I

    Raises
    ------
    MeshError
        Where the eigensolver does not converge, which only a broken mesh causes.
    """
    mass, stiffness = topology.scipy(entries[MASS]), topology.scipy(entries[STIFFNESS])
    count = min(count, topology.nodes)
    if topology.nodes <= DENSE_BELOW or count > topology.nodes // 3:
        values, modes = scipy.linalg.eigh(stiffness.toarray(), mass.toarray(), subset_by_index=[0, count - 1])
    else:
        shift = -1e-3 * stiffness.diagonal().sum() / mass.diagonal().sum()
        # definite, so no pivoting is needed, and an ordering for symmetric matrices fills in half as much
        factors = splu(
            (stiffness - shift * mass).tocsc(), "MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True}
        )
        inverse = LinearOperator(mass.shape, factors.solve, dtype=np.float64)
        start = np.random.default_rng(0).standard_normal(topology.nodes)
        try:
            values, modes = eigsh(stiffness, count, mass, sigma=shift, v0=start, OPinv=inverse)
        except ArpackNoConvergence as error:
            raise MeshError(
                f"the eigensolver found {len(error.eigenvalues)} of {count} modes: "
                "check the mesh for loose parts and slivers, or ask for fewer modes"
            ) from None
    order = np.argsort(values)
    device = entries.device
    return torch.as_tensor(values[order], device=device), torch.as_tensor(modes[:, order].copy(), device=device)


def modes_in_basis(topology: Topology, entries: Tensor, basis: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Lowest eigenpairs of K φ = λ M φ among the combinations of a basis.

    Parameters
    ----------
    topology : Topology
    entries : (5, e) float64
    basis : (n, R) float64, R >= count
    count : number of modes r

    Returns
    -------
    eigenvalues (r,) 1/µm², modes (n, r) with ΦᵀMΦ = I
    """
    mass, stiffness = topology.projected(entries[:2], basis)
    lower = torch.linalg.cholesky(mass)
    inner = torch.linalg.solve_triangular(lower, stiffness, upper=False)
    inner = torch.linalg.solve_triangular(lower, inner.T, upper=False)
    values, vectors = torch.linalg.eigh((inner + inner.T) / 2)
    combination = torch.linalg.solve_triangular(lower.T, vectors[:, :count], upper=True)
    return values[:count], basis @ combination


def modes_near_basis(
    topology: Topology, layers: Layers, entries: Tensor, basis: Tensor, count: int
) -> tuple[Tensor, Tensor]:
    """Lowest eigenpairs of K φ = λ M φ near a basis: one step of subspace iteration (Bathe 1973) from its own.

    The step damps what is wrong in a mode by the ratio of its eigenvalue to those of the error. A basis misses fine
    detail, whose eigenvalues are large: 100 columns and a step do better than 400 without.

    Parameters
    ----------
    topology : Topology
    layers : Layers of it
    entries : (5, e) float64
    basis : (n, R) float64, R >= count
    count : number of modes r

    Returns
    -------
    eigenvalues (r,) 1/µm², modes (n, r) with ΦᵀMΦ = I
    """
    rough, modes = modes_in_basis(topology, entries, basis, count)
    factors = layers.factors(entries[STIFFNESS] + rough[1] * entries[MASS])
    return modes_in_basis(topology, entries, factors.solve(topology.product(entries[MASS : MASS + 1], modes)[0]), count)
