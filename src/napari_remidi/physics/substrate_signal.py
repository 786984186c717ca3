"""One substrate, one protocol, one signal."""

import math
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from napari_remidi.errors import TimingError
from napari_remidi.physics.devices import algebra_device, choose_device, memory_guard
from napari_remidi.physics.mesh import boundary_faces
from napari_remidi.physics.modes import sparse_modes
from napari_remidi.physics.pgse import pgse_signal
from napari_remidi.physics.pieces import Piece, pieces
from napari_remidi.physics.pulses import pulse_blocks
from napari_remidi.physics.reduced import ReducedModel, reduced_model
from napari_remidi.physics.substrate import Substrate

if TYPE_CHECKING:
    from napari_remidi.scan import Protocol


def substrate_signal(
    substrate: Substrate,
    protocol: "Protocol",
    modes: int | None = None,
    density: ArrayLike | None = None,
    device: str = "cpu",
    dtype: torch.dtype = torch.float32,
) -> NDArray[np.float64]:
    """Signal of all compartments of a substrate, which may exchange spins and relax.

    Parameters
    ----------
    substrate : Substrate
    protocol : Protocol with timing; with echo times where anything relaxes
    modes : number of modes of each piece; by default as many as the protocol needs
    density : (n,) start density at the mesh's nodes, times the compartments' spin density; by default one
    device : "auto", "cuda", "mps" or "cpu"
    dtype : precision of the propagation; the modes are always found in float64

    Returns
    -------
    (M,) share of the excited magnetisation that is left at the echo. Where nothing relaxes, this is S/S0

    Raises
    ------
    TimingError
        Where the protocol has no timing, or no echo times that anything relaxing needs, or echoes that come before
        the second pulse ends.
    InputError
        For an unknown device.
    OutOfMemory
        Where the device has too little memory.
    """
    protocol.require_timing()
    echo = echo_times(protocol) if substrate.relaxes else np.zeros(len(protocol))
    lead = free_time(protocol, echo) / 2 if substrate.relaxes else None
    target = choose_device(device)
    blocks = pulse_blocks(protocol, target, dtype, lead)
    still = protocol.q == 0
    total, amount = np.zeros(len(protocol)), 0.0
    with memory_guard(target, f"simulating {len(substrate.mesh.points)} nodes and {len(protocol)} measurements"):
        for piece in pieces(substrate, algebra_device(target)):
            entries = piece.entries()
            count = modes or modes_needed(piece, protocol)
            decay, vectors = sparse_modes(piece.topology, entries, count)
            start = None if density is None else piece.density(density)
            model = reduced_model(piece.topology, entries, decay, vectors, start)
            signal = pgse_signal(model, blocks, 1.0, count=len(protocol)).double().cpu().numpy()
            signal[still] = resting_signal(model, echo[still])
            total += float(model.amount) * signal * np.exp(-echo * piece.baseline)
            amount += float(model.amount)
    return total / amount


def echo_times(protocol: "Protocol") -> NDArray[np.float64]:
    """TE of every measurement, (M,) ms; TimingError where one is unknown."""
    if protocol.te is None or np.isnan(protocol.te).any():
        known = 0 if protocol.te is None else int(np.isfinite(protocol.te).sum())
        raise TimingError(
            f"echo times are known for {known} of {len(protocol)} measurements, and relaxation needs all: "
            "give te, in ms"
        )
    return protocol.te


def free_time(protocol: "Protocol", echo: NDArray[np.float64]) -> NDArray[np.float64]:
    """TE less Δ + δ or a waveform's duration, (M,) ms, zero where no gradient acts.

    TimingError where the echo comes before the gradients end.
    """
    acts = protocol.q > 0
    busy = np.where(acts, protocol.Delta + protocol.delta, echo)
    for index, waveform in enumerate(protocol.waveforms or ()):
        if waveform is not None:
            busy[index] = waveform.duration
    free = echo - busy
    if (early := free < -1e-6).any():
        row = int(np.flatnonzero(early)[0])
        what = "waveform ends at" if protocol.is_waveform[row] else "second pulse ends at Delta + delta ="
        raise TimingError(
            f"measurement {row} has its echo at {echo[row]:g} ms, before its {what} {busy[row]:g} ms: give a later te"
        )
    return free.clip(min=0)


def resting_signal(model: ReducedModel, times: NDArray[np.float64]) -> NDArray[np.float64]:
    """Signal without gradients at some times, (k,) ms: Σ_j e^{−t λ_j} detect_j start_j."""
    weights = (model.start * model.detect).cpu().numpy()
    return np.exp(-times[:, None] * model.decay.cpu().numpy()) @ weights


def modes_needed(piece: Piece, protocol: "Protocol") -> int:
    """Modes of a piece that a protocol can tell apart from still water, by Weyl's law for each of its compartments.

    As in `simulation.modes_needed`: those whose rate is below 40/δ, and at least those with a half-wave of 2 µm.
    """
    weighted = ~protocol.is_b0
    rate = 40 / float(protocol.delta[weighted].min(initial=math.inf))
    tets, labels = piece.topology.tetrahedra.cpu().numpy(), piece.labels.cpu().numpy()
    points = piece.points.cpu().numpy()
    p = points[tets]
    volumes = np.abs(np.linalg.det(p[:, 1:] - p[:, :1])) / 6
    f = points[boundary_faces(tets)]
    wall = float(np.linalg.norm(np.cross(f[:, 1] - f[:, 0], f[:, 2] - f[:, 0]), axis=1).sum()) / 2
    given = piece.substrate.diffusivity
    speed = given if given.ndim == 1 else np.linalg.eigvalsh(given)[:, 0]
    wavenumber = np.sqrt(np.maximum(rate / speed, (math.pi / 2) ** 2))[labels]
    bulk = float((volumes * wavenumber**3).sum()) / (6 * math.pi**2)
    skin = wall * float((volumes * wavenumber**2).sum() / volumes.sum()) / (16 * math.pi)
    return int(np.clip(math.ceil(bulk + skin) + 10, 40, min(len(points), 400)))
