"""One mesh, one protocol, one signal."""

import math
import warnings
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from napari_remidi.errors import InputError, MeshError
from napari_remidi.physics.assembly import Topology
from napari_remidi.physics.devices import algebra_device, choose_device, memory_guard
from napari_remidi.physics.mesh import TetMesh
from napari_remidi.physics.modes import sparse_modes
from napari_remidi.physics.pgse import pgse_signal
from napari_remidi.physics.pulses import pulse_blocks
from napari_remidi.physics.reduced import reduced_model

if TYPE_CHECKING:
    from napari_remidi.scan import Protocol

Ends = Literal["closed", "open"]
WINDOW = 1 / 5  # of an open segment's length, where spins start


def simulate(
    mesh: TetMesh,
    protocol: "Protocol",
    diffusivity: float = 2.0,
    ends: Ends = "closed",
    device: str = "auto",
    modes: int | None = None,
    dtype: torch.dtype = torch.float32,
) -> NDArray[np.float64]:
    """Signal of a cell with impermeable walls (finite elements, matrix formalism).

    Parameters
    ----------
    mesh : TetMesh, µm
    protocol : Protocol with timing
    diffusivity : µm²/ms
    ends : "closed", spins start everywhere; "open", they start in the central fifth of the mesh along its longest axis,
        so that none meets an end
    device : "auto", "cuda", "mps" or "cpu"
    modes : number of Laplacian modes; by default as many as the protocol needs (see `modes_needed`)
    dtype : precision of the propagation; the modes are always found in float64

    Returns
    -------
    (M,) S/S0

    Raises
    ------
    InputError
        For a diffusivity that is not positive, or an unknown `ends` or device.
    TimingError
        Where the protocol has no timing.
    OutOfMemory
        Where the device has too little memory.
    """
    protocol.require_timing()
    if not (math.isfinite(diffusivity) and diffusivity > 0):
        raise InputError(f"diffusivity {diffusivity} µm²/ms: it must be positive (free water at 37 °C has 3.0)")
    if ends not in ("closed", "open"):
        raise InputError(f"ends {ends!r} is unknown; choose 'closed' or 'open'")
    target = choose_device(device)
    algebra = algebra_device(target)
    with memory_guard(target, f"simulating {len(mesh.points)} nodes and {len(protocol)} measurements"):
        topology = Topology.of(mesh.tetrahedra, algebra)
        entries = topology.entries(torch.as_tensor(mesh.points - mesh.points.mean(axis=0), device=algebra))
        count = modes or modes_needed(mesh, protocol, diffusivity)
        decay, vectors = sparse_modes(topology, entries, count)
        density = None
        if ends == "open":
            reach = float(np.sqrt(2 * diffusivity * (protocol.Delta + protocol.delta)[~protocol.is_b0].max(initial=0)))
            density = torch.as_tensor(central_density(mesh.points, reach), device=algebra)
        model = reduced_model(topology, entries, decay, vectors, density)
        signal = pgse_signal(model, pulse_blocks(protocol, target, dtype), diffusivity, count=len(protocol))
    return signal.double().cpu().numpy()


def modes_needed(mesh: TetMesh, protocol: "Protocol", diffusivity: float) -> int:
    """Modes that a protocol can tell apart from still water, by Weyl's law for the mesh's volume and surface.

    A mode of eigenvalue λ is felt through the gradient with a weight of about (qR / Dλ)², so those with D λ δ far
    above one can be left out: the limit is D λ δ = 40 for the shortest pulse, and at least λ = (π/2 µm)².
    """
    weighted = ~protocol.is_b0
    delta = float(protocol.delta[weighted].min(initial=math.inf))
    limit = max(40 / (diffusivity * delta), (math.pi / 2) ** 2)
    wavenumber = math.sqrt(limit)
    bulk = mesh.volume * wavenumber**3 / (6 * math.pi**2)
    wall = mesh.surface.area * wavenumber**2 / (16 * math.pi)
    return int(np.clip(math.ceil(bulk + wall) + 10, 40, min(len(mesh.points), 400)))


def central_density(points: NDArray[np.float64], reach: float) -> NDArray[np.float64]:
    """Starting density ρ0 at the nodes, (n,): a raised cosine over the central fifth along the longest axis.

    Warns where spins that spread by `reach` (µm, one standard deviation) would come to an end of the mesh, and
    raises MeshError where most would.
    """
    centred = points - points.mean(axis=0)
    axis = np.linalg.svd(centred, full_matrices=False)[2][0]
    along = centred @ axis
    low, high = along.min(), along.max()
    length = high - low
    density = window((along - (low + high) / 2) / length)
    free = (0.5 - WINDOW / 2) * length
    if reach > free:
        raise MeshError(
            f"open ends need a longer mesh: spins spread by {reach:.1f} µm, and only {free:.1f} µm lie beside "
            "the central window; extend the mesh or use ends='closed'"
        )
    if 2.5 * reach > free:
        warnings.warn(
            f"open ends: spins spread by {reach:.1f} µm (one sd) and {free:.1f} µm lie beside the central window; "
            "some reach an end",
            stacklevel=3,
        )
    return density


def window(position: NDArray[np.float64]) -> NDArray[np.float64]:
    """Raised cosine of the relative position along a segment, −1/2 to 1/2: one at the centre, zero outside `WINDOW`."""
    return np.where(np.abs(position) < WINDOW / 2, np.cos(np.pi * position / WINDOW) ** 2, 0.0)
