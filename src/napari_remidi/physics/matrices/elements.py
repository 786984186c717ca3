"""Closed-form integrals over linear tetrahedra, and their derivatives with respect to the nodes.

With barycentric coordinates λ and volume V of an element with nodes x_0..x_3,

    mass          M_ab   = ∫ λa λb        = V (1 + δab) / 20
    stiffness     K_ab   = ∫ ∇λa·∇λb      = V ∇λa·∇λb
    moment        J_ab,c = ∫ x_c λa λb    = V [(1 + δab) X_c + (x_a + x_b)_c + 2 δab x_a,c] / 120,   X = Σ x_a

from ∫ λa λb λc = V (1 + δab + δbc + δac + 2 δabc) / 120. All are symmetric, so an element has ten numbers for each,
in the order of `PAIRS`. On a triangle of area A between or around compartments, for permeable and relaxing walls,

    face mass      F_ab   = ∫ λa λb dA     = A (1 + δab) / 12.
"""

import torch
from torch import Tensor

PAIRS = torch.tensor([[0, 0], [1, 1], [2, 2], [3, 3], [0, 1], [0, 2], [0, 3], [1, 2], [1, 3], [2, 3]])
MATRICES = 5  # mass, stiffness, three moments
FACE_MASS = (torch.ones(3, 3, dtype=torch.float64) + torch.eye(3, dtype=torch.float64)) / 12  # for unit area


def element_matrices(corners: Tensor, diffusivity: Tensor | None = None) -> Tensor:
    """Mass, stiffness and the three moment matrices of every element.

    Parameters
    ----------
    corners : (m, 4, 3) µm, the nodes of each tetrahedron
    diffusivity : symmetric D in V ∇λa·D∇λb, (3, 3) or (m, 3, 3); one by default

    Returns
    -------
    (m, 10, 5), pairs in the order of `PAIRS`; columns mass (µm³), stiffness (µm), moments x, y, z (µm⁴)
    """
    return _element_values(corners, *_volume_and_gradients(corners), diffusivity)


def face_areas(corners: Tensor) -> Tensor:
    """Areas of triangles, (k, 3, 3) µm -> (k,) µm²; times `FACE_MASS` they are the face mass matrices."""
    return torch.linalg.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]).norm(dim=-1) / 2


def element_tangents(corners: Tensor, velocity: Tensor) -> Tensor:
    """Derivatives of `element_matrices` when the nodes move with each of P velocities.

    Parameters
    ----------
    corners : (m, 4, 3) µm
    velocity : (P, m, 4, 3), the nodes' derivative with respect to P parameters

    Returns
    -------
    (P, m, 10, 5)
    """
    volume, gradients = _volume_and_gradients(corners)
    # ∂λ/∂x changes with the velocity gradient L = Σ_a v_a ⊗ ∇λa: dV = V tr L, d∇λ = −Lᵀ∇λ
    flow = torch.einsum("pmai,maj->pmij", velocity, gradients)
    growth = flow.diagonal(dim1=-2, dim2=-1).sum(-1)
    a, b = PAIRS.to(corners.device).T
    same = (a == b).to(corners.dtype)
    strain = flow + flow.transpose(-1, -2)
    stretched = torch.einsum("mai,pmij->pmaj", gradients, strain)
    dot = (gradients[:, a] * gradients[:, b]).sum(-1)
    d_dot = -(stretched[:, :, a] * gradients[:, b]).sum(-1)
    mass = volume[:, None] * (1 + same) / 20
    moment = _moment(corners, same, a, b) * volume[:, None, None] / 120
    d_moment = _moment(velocity, same, a, b) * volume[:, None, None] / 120
    d_mass = growth[..., None] * mass
    d_stiffness = volume[:, None] * (growth[..., None] * dot + d_dot)
    return torch.cat([d_mass[..., None], d_stiffness[..., None], growth[..., None, None] * moment + d_moment], dim=-1)


def _volume_and_gradients(corners: Tensor) -> tuple[Tensor, Tensor]:
    edges = corners[..., 1:, :] - corners[..., :1, :]
    cofactors = torch.stack(
        [torch.linalg.cross(edges[..., i, :], edges[..., j, :]) for i, j in ((1, 2), (2, 0), (0, 1))], dim=-2
    )
    six_volumes = (cofactors[..., 0, :] * edges[..., 0, :]).sum(-1)
    inner = cofactors / six_volumes[..., None, None]
    return six_volumes / 6, torch.cat([-inner.sum(-2, keepdim=True), inner], dim=-2)


def _moment(corners: Tensor, same: Tensor, a: Tensor, b: Tensor) -> Tensor:
    total = corners.sum(-2, keepdim=True)
    first, second = corners[..., a, :], corners[..., b, :]
    return (1 + same)[:, None] * total + first + second + 2 * same[:, None] * first


def _element_values(corners: Tensor, volume: Tensor, gradients: Tensor, diffusivity: Tensor | None) -> Tensor:
    a, b = PAIRS.to(corners.device).T
    same = (a == b).to(corners.dtype)
    mass = volume[:, None] * (1 + same) / 20
    flux = gradients if diffusivity is None else gradients @ diffusivity
    stiffness = volume[:, None] * (gradients[:, a] * flux[:, b]).sum(-1)
    moments = _moment(corners, same, a, b) * volume[:, None, None] / 120
    return torch.cat([mass[..., None], stiffness[..., None], moments], dim=-1)
