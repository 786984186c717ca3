"""Closed-form integrals over linear tetrahedra, and their derivatives with respect to the nodes.

With barycentric coordinates λ and volume V of an element with nodes x_0..x_3,

    mass          M_ab = ∫ λa λb        = V (1 + δab) / 20
    stiffness     K_ab = ∫ ∇λa·∇λb      = V ∇λa·∇λb
    moment        J_ab = ∫ x λa λb      = V (1 + δab) (X + x_a + x_b) / 120,        X = Σ x_a

from ∫ λa λb λc = V (1 + δab + δbc + δac + 2 δabc) / 120. All are symmetric, so an element has ten numbers for each,
in the order of `PAIRS`. Mass and moment need none of their own: S_ab sums (1 + δab) / 20 of what an element holds
over the elements that share nodes a and b, and of a whole mesh

    M_ab = S_ab V,        J_ab = [S_ab (V X) + (x_a + x_b) M_ab] / 6.

When a corner moves, dV = V ∇λc·dx_c and d∇λa = −∇λc (∇λa·dx_c). On a triangle of area A between or around
compartments, for permeable and relaxing walls,

    face mass     F_ab = ∫ λa λb dA     = A (1 + δab) / 12.

Inside, elements are the last axis: what is done to all of them alike runs over contiguous numbers.
"""

import torch
from torch import Tensor

PAIRS = torch.tensor([[0, 0], [1, 1], [2, 2], [3, 3], [0, 1], [0, 2], [0, 3], [1, 2], [1, 3], [2, 3]])
PAIR_MASS = (1 + (PAIRS[:, 0] == PAIRS[:, 1]).double()) / 20  # for unit volume
FACE_MASS = (torch.ones(3, 3, dtype=torch.float64) + torch.eye(3, dtype=torch.float64)) / 12  # for unit area


def element_integrals(corners: Tensor, diffusivity: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """What an element adds to the matrices of a mesh.

    Parameters
    ----------
    corners : (m, 4, 3) µm, the nodes of each tetrahedron
    diffusivity : symmetric D in V ∇λa·D∇λb, (3, 3) or (m, 3, 3); one by default

    Returns
    -------
    bulk (m, 4): V in µm³ and V X in µm⁴; stiffness (m, 10): µm, pairs in the order of `PAIRS`
    """
    volume, gradients = _volume_and_gradients(corners)
    flux = gradients
    if diffusivity is not None:
        tensor = diffusivity.expand(len(corners), 3, 3).permute(1, 2, 0)
        flux = (gradients[:, :, None] * tensor).sum(1)
    a, b = PAIRS.to(corners.device).T
    return _bulk(corners, volume).T.contiguous(), _stiffness(volume, flux, gradients)[a, b].T.contiguous()


def face_areas(corners: Tensor) -> Tensor:
    """Areas of triangles, (k, 3, 3) µm -> (k,) µm²; times `FACE_MASS` they are the face mass matrices."""
    return torch.linalg.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]).norm(dim=-1) / 2


def integral_derivatives(corners: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """`element_integrals`' volumes, and its derivatives with respect to the corners' twelve coordinates.

    The integrals' change with any number of motions of the nodes is one product with them.

    Parameters
    ----------
    corners : (m, 4, 3) µm

    Returns
    -------
    volume (m,); derivatives of bulk (m, 4, 12) and of stiffness (m, 10, 12)
    """
    volume, gradients = _volume_and_gradients(corners)
    bulk, stiffness = _bulk(corners, volume), _stiffness(volume, gradients, gradients)
    a, b = PAIRS.to(corners.device).T
    d_bulk = bulk[:, None, None] * gradients
    for axis in range(3):
        d_bulk[1 + axis, :, axis] += volume
    # d(V ∇λa·∇λb) = Σ_c (K_ab ∇λc − K_bc ∇λa − K_ac ∇λb)·dx_c
    d_stiffness = stiffness[a, b, None, None] * gradients
    d_stiffness -= stiffness[b, :, None] * gradients[a, None]
    d_stiffness -= stiffness[a, :, None] * gradients[b, None]
    return volume, _elements_first(d_bulk), _elements_first(d_stiffness)


def _elements_first(derivatives: Tensor) -> Tensor:
    """(k, 4, 3, m) -> (m, k, 12)"""
    return derivatives.flatten(0, -2).T.contiguous().unflatten(1, (-1, 12))


def _volume_and_gradients(corners: Tensor) -> tuple[Tensor, Tensor]:
    """(m,) and ∇λ, (4, 3, m)."""
    places = corners.permute(1, 2, 0).contiguous()
    edges = places[1:] - places[:1]
    cofactors = torch.linalg.cross(edges[[1, 2, 0]], edges[[2, 0, 1]], dim=1)
    six_volumes = (cofactors[0] * edges[0]).sum(0)
    inner = cofactors / six_volumes
    return six_volumes / 6, torch.cat([-inner.sum(0, keepdim=True), inner])


def _bulk(corners: Tensor, volume: Tensor) -> Tensor:
    """V and V X, (4, m)."""
    return torch.cat([volume[None], volume * corners.sum(dim=1).T])


def _stiffness(volume: Tensor, flux: Tensor, gradients: Tensor) -> Tensor:
    """V ∇λa·D∇λb, (4, 4, m)."""
    return ((volume * flux)[:, None] * gradients).sum(2)
