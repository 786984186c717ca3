"""Jacobian of a substrate's signal with respect to few parameters: its tissue's, and given motions of its nodes.

The matrices are linear in D, 1/T2, κ and κ_s, so that their derivatives are differences; along a motion of the nodes
they are central differences of a smooth function in float64. Contracted with the adjoint of every measurement, they
give the whole Jacobian in one sweep: the forward counterpart of `autograd`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from napari_remidi.errors import InputError
from napari_remidi.physics.accuracy import modes_needed
from napari_remidi.physics.devices import algebra_device, choose_device, memory_guard
from napari_remidi.physics.encoding.echo import echo_times
from napari_remidi.physics.encoding.propagation import Propagation
from napari_remidi.physics.matrices.pieces import Piece, pieces
from napari_remidi.physics.reduction.modes import MASS, sparse_modes
from napari_remidi.physics.reduction.reduced import MOMENTS, reduced_model, tangents_of
from napari_remidi.physics.substrate import Substrate

if TYPE_CHECKING:
    from napari_remidi.scan import Protocol

Floats = NDArray[np.float64]
REACH = 1e-4  # µm, how far the fastest node moves for a central difference


@dataclass(frozen=True, eq=False)
class SubstrateJacobian:
    """Signal of a substrate and its derivatives. C compartments, I interfaces, in the substrate's order.

    Attributes
    ----------
    signal : (M,)
    diffusivity : (M, C) per µm²/ms, all principal diffusivities of a tensor together
    t2 : (M, C) per ms
    permeability : (M, I) per µm/ms; NaN for walls that are closed or absent
    relaxivity : (M, C) per µm/ms; NaN where walls do not relax
    shape : (M, P) with respect to the P velocities' parameters
    """

    signal: Floats
    diffusivity: Floats
    t2: Floats
    permeability: Floats
    relaxivity: Floats
    shape: Floats


def substrate_jacobian(
    substrate: Substrate,
    protocol: "Protocol",
    velocities: ArrayLike | None = None,
    modes: int | None = None,
    device: str = "cpu",
    dtype: torch.dtype = torch.float32,
) -> SubstrateJacobian:
    """Signal of a substrate and its derivatives in every parameter of its tissue, and along motions of its nodes.

    Parameters
    ----------
    substrate : Substrate
    protocol : Protocol with timing; with echo times where anything relaxes
    velocities : (P, n, 3), derivative of the mesh's nodes with respect to P parameters
    modes, device, dtype : as in `simulate`

    Returns
    -------
    SubstrateJacobian

    Raises
    ------
    InputError
        For velocities that do not fit the mesh.
    TimingError, OutOfMemory
        As `simulate` does.
    """
    protocol.require_timing()
    motions = np.zeros((0, *substrate.mesh.points.shape)) if velocities is None else np.array(velocities, dtype=float)
    if motions.shape[1:] != substrate.mesh.points.shape:
        raise InputError(f"velocities have shape {motions.shape}; the mesh needs (P, {len(substrate.mesh.points)}, 3)")
    target = choose_device(device)
    algebra = algebra_device(target)
    propagation = Propagation.of(protocol, target, dtype, substrate.relaxes)
    echo = echo_times(protocol) if substrate.relaxes else np.zeros(len(protocol))
    amount, weighted = 0.0, np.zeros(len(protocol))
    by_amount, by_weighted = np.zeros(1), np.zeros((len(protocol), 1))
    with memory_guard(target, f"differentiating {len(substrate.mesh.points)} nodes and {len(protocol)} measurements"):
        for piece in pieces(substrate, algebra):
            entries = piece.entries()
            count = modes or modes_needed(piece, protocol)
            model = reduced_model(piece.topology, entries, *sparse_modes(piece.topology, entries, count))
            changes = torch.stack(list(_changes(piece, entries, torch.as_tensor(motions, device=algebra))))
            growth = _total_mass(piece, changes).cpu().numpy()
            changes[:, MOMENTS] -= model.centre[:, None] * changes[:, MASS, None]
            damping = np.exp(-echo * piece.baseline)
            signal = _numpy(propagation.signal(model)) * damping
            jacobian = _numpy(propagation.jacobian(model, tangents_of(piece.topology, model, changes)))
            part = float(model.amount)
            amount, weighted = amount + part, weighted + part * signal
            by_amount = by_amount + growth
            by_weighted = by_weighted + growth * signal[:, None] + part * damping[:, None] * jacobian
    signal = weighted / amount
    return _named(substrate, signal, (by_weighted - signal[:, None] * by_amount) / amount)


def _changes(piece: Piece, entries: Tensor, motions: Tensor) -> Iterator[Tensor]:
    """Derivatives of a piece's entries: diffusivities, T2s, permeabilities, relaxivities, motions; (5, e) each."""
    own = piece.substrate

    def tensor(values: Floats) -> Tensor:
        return torch.as_tensor(values, dtype=entries.dtype, device=entries.device)

    identity = np.eye(3) if own.diffusivity.ndim == 3 else 1.0
    for index in range(len(own.names)):
        more = own.diffusivity.copy()
        more[index] += identity
        yield piece.entries(diffusivity=tensor(more)) - entries
    for index, time in enumerate(own.t2):
        times = own.t2.copy()
        times[index] = 1 / (1 / time + 1)
        yield (piece.entries(t2=tensor(times)) - entries) * (-1 / time**2)
    for index in range(len(own.interfaces)):
        yield piece.entries(permeability=tensor(_one_more(own.permeabilities, index))) - entries
    for index in range(len(own.names)):
        yield piece.entries(relaxivity=tensor(_one_more(own.relaxivities, index))) - entries
    for motion in motions:
        reach = REACH / max(float(motion.norm(dim=1).max()), 1e-300)
        step = reach * motion[piece.node]
        yield (piece.entries(piece.points + step) - piece.entries(piece.points - step)) / (2 * reach)


def _one_more(values: Floats, index: int) -> Floats:
    more = values.copy()
    more[index] += 1
    return more


def _total_mass(piece: Piece, changes: Tensor) -> Tensor:
    """1ᵀ dM 1, (P,)."""
    times = torch.where(piece.topology.rows == piece.topology.columns, 1.0, 2.0).to(changes)
    return changes[:, MASS] @ times


def _numpy(values: Tensor) -> Floats:
    return values.double().cpu().numpy()


def _named(substrate: Substrate, signal: Floats, jacobian: Floats) -> SubstrateJacobian:
    parts, walls = len(substrate.names), len(substrate.interfaces)
    diffusivity, t2, permeability, relaxivity, shape = np.split(
        jacobian, np.cumsum([parts, parts, walls, parts]), axis=1
    )
    passing = (substrate.permeabilities > 0) & np.isfinite(substrate.permeabilities)
    permeability = np.where(passing, permeability, np.nan)
    relaxivity = np.where(substrate.relaxivities > 0, relaxivity, np.nan)
    return SubstrateJacobian(signal, diffusivity, t2, permeability, relaxivity, shape)
