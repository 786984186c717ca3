"""The Bloch-Torrey equation in the mesh's own modes: small dense matrices, and how they change with the shape.

In modes Φ of unit diffusivity, a magnetisation Σ φ_j v_j follows v' = −(D Λ + i q f(t) g·A) v with Λ = diag(λ) and
A_c = Φᵀ J_c Φ. It starts from the density ρ0 and is detected with weight one.

The modes themselves are never differentiated: a round section has degenerate pairs, and 1/(λi − λj) explodes. Φ
stays frozen and E = Φᵀ M(p) Φ − I, zero at the current shape, restores orthonormality: A → A − (EA + AE)/2 is exact
to first order.
"""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from napari_remidi.physics.matrices.assembly import Topology
from napari_remidi.physics.reduction.eigen import eigenbases
from napari_remidi.physics.reduction.modes import MASS, STIFFNESS

MOMENTS = slice(2, 5)
KEPT = 8  # sets of directions


@dataclass(frozen=True, eq=False)
class ReducedModel:
    """A cell's diffusion in r modes.

    Attributes
    ----------
    modes : (n, r) Φ
    decay : (r,) λ, 1/µm², for unit diffusivity
    position : (3, r, r) A, µm
    start : (r,) Φᵀ M ρ0 / ∫ρ0
    detect : (r,) Φᵀ M 1
    density : (n,) ρ0, or None where spins start everywhere alike (closed ends)
    amount : () ∫ρ0, µm³
    centre : (3,) µm, the density's centroid, from which positions are counted
    """

    modes: Tensor
    decay: Tensor
    position: Tensor
    start: Tensor
    detect: Tensor
    density: Tensor | None
    amount: Tensor
    centre: Tensor
    _turned: dict[tuple[bytes, torch.dtype, torch.device], tuple[Tensor, Tensor]] = field(
        init=False, repr=False, default_factory=dict
    )

    def first(self, count: int) -> "ReducedModel":
        """The same in the slowest modes alone."""
        return ReducedModel(
            self.modes[:, :count], self.decay[:count], self.position[:, :count, :count], self.start[:count],
            self.detect[:count], self.density, self.amount, self.centre,
        )  # fmt: skip

    def turning(self, directions: Tensor) -> tuple[Tensor, Tensor]:
        """Eigenvalues (G, r) and eigenvectors (G, r, r) of g·A for gradient directions (G, 3), in their dtype.

        Kept for the next call: signal and Jacobian of one shape ask for the same.
        """
        key = directions.cpu().numpy().tobytes(), directions.dtype, directions.device
        if key not in self._turned:
            if len(self._turned) >= KEPT:
                self._turned.clear()
            self._turned[key] = eigenbases(self._along(directions))
        return self._turned[key]

    def _along(self, directions: Tensor) -> Tensor:
        """g·A, (G, r, r)."""
        return torch.einsum("gc,cij->gij", directions, self.position.to(directions))


@dataclass(frozen=True, eq=False)
class ModelStack(ReducedModel):
    """Models of K cells with closed ends, each with as many of the gradient directions, one cell's after the other's.

    `decay` is (K, r), `position` (K, 3, r, r); `start` and `detect`, (r,), are the same for all.
    """

    def _along(self, directions: Tensor) -> Tensor:
        """g·A, (G, r, r), G / K for each cell."""
        cells = directions.unflatten(0, (len(self.decay), -1))
        return torch.einsum("kgc,kcij->kgij", cells, self.position.to(directions)).flatten(0, 1)


@dataclass(frozen=True, eq=False)
class ReducedTangents:
    """First-order change of a `ReducedModel` with each of P parameters, modes frozen.

    Attributes
    ----------
    decay : (P, r, r), no longer diagonal
    position : (P, 3, r, r)
    start, detect : (P, r)
    """

    decay: Tensor
    position: Tensor
    start: Tensor
    detect: Tensor


@dataclass(frozen=True, eq=False)
class ModelGradient:
    """Derivative of one number, Σ_m w_m S_m, with respect to every entry of a reduced model (decay rates times D).

    Attributes
    ----------
    decay : (r, r), symmetric
    position : (3, r, r), symmetric
    start, detect : (r,)
    """

    decay: Tensor
    position: Tensor
    start: Tensor
    detect: Tensor


def reduced_model(
    topology: Topology, entries: Tensor, decay: Tensor, modes: Tensor, density: Tensor | None = None
) -> ReducedModel:
    """Project a mesh's matrices, (5, e), onto its modes, (n, r); `density` is ρ0 at the nodes, (n,)."""
    ones = torch.ones(topology.nodes, 1, dtype=entries.dtype, device=entries.device)
    weights = ones if density is None else torch.cat([ones, density[:, None]], dim=1)
    weighted = topology.product(entries[MASS][None], weights)[0]
    amount = weighted[:, -1].sum()
    position = topology.projected(entries[MOMENTS], modes)
    # a shift of the origin adds a multiple of the identity and changes no signal: centring keeps float32 phases small
    centre = topology.product(entries[MOMENTS], weights[:, -1:]).sum(dim=(1, 2)) / amount
    position = position - centre[:, None, None] * torch.eye(modes.shape[1], dtype=modes.dtype, device=modes.device)
    start, detect = modes.T @ weighted[:, -1] / amount, modes.T @ weighted[:, 0]
    return ReducedModel(modes, decay, position, start, detect, density, amount, centre)


def reduced_tangents(topology: Topology, model: ReducedModel, points: Tensor, velocities: Tensor) -> ReducedTangents:
    """How the reduced model changes when the nodes move.

    Parameters
    ----------
    topology : Topology
    model : ReducedModel of the mesh at `points`
    points : (n, 3) µm
    velocities : (P, n, 3), derivative of the nodes with respect to P parameters; its dtype is used throughout

    Returns
    -------
    ReducedTangents
    """
    points = (points - model.centre).to(velocities.dtype)
    return tangents_of(topology, model, topology.entry_tangents(points, velocities))


def tangents_of(topology: Topology, model: ReducedModel, changes: Tensor) -> ReducedTangents:
    """How the reduced model changes with the entries of its matrices, (P, 5, e), moments from the model's centre."""
    dtype = changes.dtype
    modes = model.modes.to(dtype)
    count, size = len(changes), modes.shape[1]
    ones = torch.ones(topology.nodes, dtype=dtype, device=modes.device)
    density = ones if model.density is None else model.density.to(dtype)
    # ones and the density beside the modes: their columns of the projected mass are what start and detection need
    weighted = topology.projected(changes[:, MASS], torch.cat([modes, ones[:, None], density[:, None]], dim=1))
    error = weighted[:, :size, :size]
    others = topology.projected(changes[:, STIFFNESS:].transpose(0, 1).flatten(0, 1), modes)
    stiffness, *moments = others.unflatten(0, (-1, count))
    decay = model.decay.to(dtype)
    d_decay = stiffness - (error * decay + decay[:, None] * error) / 2
    position = model.position.to(dtype)
    shift = error[:, None] @ position
    d_position = torch.stack(moments, dim=1) - (shift + shift.transpose(-1, -2)) / 2
    d_detect = weighted[:, :size, size] - error @ model.detect.to(dtype) / 2
    amount = model.amount.to(dtype)
    growth = weighted[:, size, -1] / amount
    start = model.start.to(dtype)
    d_start = weighted[:, :size, -1] / amount - error @ start / 2 - growth[:, None] * start
    return ReducedTangents(d_decay, d_position, d_start, d_detect)
