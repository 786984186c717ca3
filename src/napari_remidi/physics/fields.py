"""Fields on a mesh, to look at: its diffusion modes, and the magnetisation while a measurement runs.

Values belong to the mesh's nodes; `surface_values` cuts out the part that a surface drawing needs.
"""

from typing import TYPE_CHECKING

import numpy as np
import scipy.linalg
import torch
from numpy.typing import ArrayLike, NDArray

from napari_remidi.errors import InputError
from napari_remidi.physics.accuracy import modes_needed
from napari_remidi.physics.matrices.assembly import Topology
from napari_remidi.physics.matrices.pieces import pieces
from napari_remidi.physics.reduction.modes import sparse_modes
from napari_remidi.physics.reduction.reduced import ReducedModel, reduced_model
from napari_remidi.physics.substrate import Substrate

if TYPE_CHECKING:
    from napari_remidi.physics.mesh import TetMesh
    from napari_remidi.scan import Protocol

Floats = NDArray[np.float64]


def eigenfunctions(mesh: "TetMesh", count: int) -> tuple[Floats, Floats]:
    """Lowest diffusion modes of a mesh with reflecting walls.

    Parameters
    ----------
    mesh : TetMesh, µm
    count : number of modes

    Returns
    -------
    eigenvalues : (count,) 1/µm², of −∇²; a mode decays at D times its own. The first is 0
    values : (n, count) at the nodes, with mean square one and mean product zero over the volume: the first is one
        everywhere. The sign is such that the largest value is positive

    Raises
    ------
    InputError
        For a count that is not between 1 and the number of nodes.
    """
    if not 1 <= count <= len(mesh.points):
        raise InputError(f"{count} modes of a mesh with {len(mesh.points)} nodes: ask for 1 to {len(mesh.points)}")
    model = _closed_model(mesh, count)
    values = model.modes.numpy() * np.sqrt(mesh.volume)
    largest = np.take_along_axis(values, np.abs(values).argmax(axis=0)[None], axis=0)
    return model.decay.numpy(), values * np.sign(largest)


def magnetisation(
    mesh: "TetMesh",
    protocol: "Protocol",
    measurement: int,
    times: ArrayLike,
    diffusivity: float = 2.0,
    modes: int | None = None,
) -> NDArray[np.complex128]:
    """Transverse magnetisation at every node during a pulsed-gradient measurement.

    Parameters
    ----------
    mesh : TetMesh, µm, with reflecting walls; spins start everywhere alike
    protocol : Protocol with timing
    measurement : row of the protocol
    times : (T,) ms after the first pulse begins, 0 to Δ + δ, in any order
    diffusivity : µm²/ms
    modes : number of modes; by default as many as the protocol needs

    Returns
    -------
    (T, n) complex, one everywhere at the start. Phases are those of the refocused signal (the second pulse acts with
    the opposite sign), with the gradient's zero at the mesh's centroid; at Δ + δ the mean over the volume is S/S0

    Raises
    ------
    InputError
        For a measurement that does not exist, a time outside it, or a diffusivity that is not positive.
    TimingError
        Where the protocol has no timing.
    """
    protocol.require_timing()
    if not 0 <= measurement < len(protocol):
        raise InputError(f"measurement {measurement} of {len(protocol)}: count from 0")
    if not (np.isfinite(diffusivity) and diffusivity > 0):
        raise InputError(f"diffusivity {diffusivity} µm²/ms: it must be positive (free water at 37 °C has 3.0)")
    row = protocol.subset([measurement])
    strength = float(row.q[0])
    wanted = np.atleast_1d(np.asarray(times, dtype=np.float64))
    if strength == 0:
        _check_times(wanted, np.inf)
        return np.ones((len(wanted), len(mesh.points)), dtype=np.complex128)
    delta, Delta = float(row.delta[0]), float(row.Delta[0])
    _check_times(wanted, Delta + delta)
    model = _closed_model(mesh, modes or modes_needed(pieces(Substrate(mesh, diffusivity))[0], row))
    decay = diffusivity * np.diag(model.decay.numpy())
    gradient = 1j * strength * np.einsum("c,cij->ij", row.bvecs[0], model.position.numpy())
    stretches = [(0.0, delta, decay + gradient), (delta, Delta, decay), (Delta, Delta + delta, decay - gradient)]
    states = _history(stretches, model.start.numpy().astype(np.complex128), wanted)
    return np.asarray(mesh.volume * states @ model.modes.numpy().T)


def surface_values(mesh: "TetMesh", values: ArrayLike) -> tuple[Floats, NDArray[np.int64], NDArray]:
    """Vertices, faces and values of a mesh's surface, as napari's Surface layer takes them.

    Parameters
    ----------
    mesh : TetMesh
    values : (..., n), one for every node; leading axes (times, modes) stay

    Returns
    -------
    vertices (s, 3) µm in x y z, faces (k, 3) outward, values (..., s)

    Raises
    ------
    InputError
        For values that do not belong to the mesh's nodes.
    """
    field = np.asarray(values)
    if field.shape[-1:] != (len(mesh.points),):
        raise InputError(f"values have shape {field.shape}; the last axis must be the mesh's {len(mesh.points)} nodes")
    nodes = mesh.surface_nodes
    return mesh.points[nodes], np.searchsorted(nodes, mesh.boundary), field[..., nodes]


def _closed_model(mesh: "TetMesh", count: int) -> ReducedModel:
    topology = Topology.of(mesh.tetrahedra)
    entries = topology.entries(torch.as_tensor(mesh.points - mesh.points.mean(axis=0)))
    return reduced_model(topology, entries, *sparse_modes(topology, entries, count))


def _check_times(times: Floats, last: float) -> None:
    if bad := int((~((times >= 0) & (times <= last * (1 + 1e-9)))).sum()):
        raise InputError(f"{bad} of {len(times)} times are outside the measurement: it lasts from 0 to {last:g} ms")


def _history(
    stretches: list[tuple[float, float, NDArray[np.complex128]]], start: NDArray[np.complex128], times: Floats
) -> NDArray[np.complex128]:
    """States at given times, (T, r), of v' = −H v with H constant on each stretch (begin, end, H)."""
    states = np.empty((len(times), len(start)), dtype=np.complex128)
    final = stretches[-1][1]
    for begin, end, generator in stretches:
        inside = np.flatnonzero((times >= begin) & ((times < end) | (end == final)))
        now, v = begin, start
        for index in inside[np.argsort(times[inside])]:
            v = scipy.linalg.expm(-(times[index] - now) * generator) @ v
            now, states[index] = times[index], v
        start = scipy.linalg.expm(-(end - now) * generator) @ v
    return states
