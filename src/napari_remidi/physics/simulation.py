"""One mesh or substrate, one protocol, one signal, to a tolerance."""

import math
import time
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from napari_remidi.errors import InputError, OutOfMemory
from napari_remidi.physics.accuracy import ErrorEstimate, Probe, modes_needed, probes
from napari_remidi.physics.devices import algebra_device, choose_device, free_memory, memory_guard
from napari_remidi.physics.encoding.echo import echo_times, encoding_times
from napari_remidi.physics.encoding.propagation import Propagation
from napari_remidi.physics.encoding.window import Ends, central_density
from napari_remidi.physics.matrices.pieces import Piece, pieces
from napari_remidi.physics.mesh import TetMesh
from napari_remidi.physics.reduction.modes import sparse_modes
from napari_remidi.physics.reduction.reduced import ReducedModel, reduced_model
from napari_remidi.physics.substrate import Substrate

if TYPE_CHECKING:
    from napari_remidi.scan import Protocol

Floats = NDArray[np.float64]
DIFFUSIVITY = 2.0  # µm²/ms, of a mesh for which nothing else is said
TOLERANCES = (1e-8, 0.1)
SINGLE_PRECISION = 5e-4  # the smallest tolerance that float32 keeps: its roundings add up to 5e-5
MORE_MODES = 1.6  # times as many, where those tried leave too large an error


@dataclass(frozen=True, eq=False)
class Simulation:
    """A signal and how it was found.

    Attributes
    ----------
    signal : (M,) S/S0; where anything relaxes, the share of the excited magnetisation that is left at the echo
    error : ErrorEstimate, the largest over the measurements
    modes : number of modes of every piece of the substrate
    seconds : of wall-clock time
    """

    signal: Floats
    error: ErrorEstimate
    modes: tuple[int, ...]
    seconds: float


class Simulator:
    """Simulates the signals of one mesh or substrate; what they share is computed once.

    Parameters
    ----------
    cell : TetMesh, µm, or Substrate
    diffusivity : µm²/ms, of a TetMesh; 2.0 by default. A Substrate has its own
    ends : "closed", spins start everywhere; "open", they start in the central fifth of the mesh along its longest axis,
        so that none meets an end
    tolerance : of S/S0, for modes and time steps together; they are chosen from it. The mesh's own error is estimated
        too, and a warning says where it is larger
    device : "auto", "cuda", "mps" or "cpu"
    modes : number of modes of every piece, where the tolerance is not to choose it
    dtype : precision of the propagation; by default float32 for tolerances of 5e-4 and more. The modes are always
        found in float64
    density : (n,) where spins start, at the mesh's nodes, a factor of the compartments' spin density; in the place of
        what `ends` says

    Raises
    ------
    InputError
        For a diffusivity that is not positive or given beside a Substrate, a tolerance outside 1e-8 to 0.1, or an
        unknown `ends` or device.

    Examples
    --------
    >>> from napari_remidi import Protocol
    >>> from napari_remidi.physics import geometry
    >>> protocol = Protocol.pgse([0, 4000], [[0, 0, 0], [1, 0, 0]], delta=5, Delta=25)
    >>> found = Simulator(geometry.box((8.0, 4.0, 4.0), (16, 4, 4)), device="cpu").run(protocol)
    >>> found.signal.round(3), found.error.total < 1e-3  # between walls 8 µm apart S/S0 is 0.5420
    (array([1.   , 0.542]), True)
    """

    def __init__(
        self,
        cell: TetMesh | Substrate,
        diffusivity: float | None = None,
        ends: Ends = "closed",
        tolerance: float = 1e-3,
        device: str = "auto",
        modes: int | None = None,
        dtype: torch.dtype | None = None,
        density: ArrayLike | None = None,
    ) -> None:
        self.substrate = _substrate(cell, diffusivity)
        if ends not in ("closed", "open"):
            raise InputError(f"ends {ends!r} is unknown; choose 'closed' or 'open'")
        if not TOLERANCES[0] <= tolerance <= TOLERANCES[1]:
            raise InputError(f"tolerance {tolerance:g} of S/S0 is outside {TOLERANCES[0]:g} to {TOLERANCES[1]:g}")
        self.ends, self.tolerance, self.modes = ends, tolerance, modes
        self.density = None if density is None else _checked_density(density, len(self.substrate.mesh.points))
        self.device = choose_device(device)
        self.dtype = dtype or (torch.float32 if tolerance >= SINGLE_PRECISION else torch.float64)
        if self.dtype == torch.float64 and algebra_device(self.device) != self.device:
            self.device = torch.device("cpu")
        self._solvers: list[_PieceSolver] | None = None

    def run(self, protocol: "Protocol") -> Simulation:
        """Simulate every measurement of a protocol.

        Raises
        ------
        TimingError
            Where the protocol has no timing, or no echo times that relaxation needs.
        MeshError
            With open ends, for a mesh so short that most spins would meet an end.
        InputError
            Where no number of modes that fits into memory keeps the tolerance.
        OutOfMemory
            Where the device has too little memory.
        """
        protocol.require_timing()
        began = time.perf_counter()
        substrate, relaxes = self.substrate, self.substrate.relaxes
        echo = echo_times(protocol) if relaxes else np.zeros(len(protocol))
        start = self._start(protocol)
        what = f"simulating {len(substrate.mesh.points)} nodes and {len(protocol)} measurements"
        with memory_guard(self.device, what):
            if self._solvers is None:
                self._solvers = [_PieceSolver(piece, self) for piece in pieces(substrate, algebra_device(self.device))]
            propagation = Propagation.of(protocol, self.device, self.dtype, relaxes)
            hardest = Propagation.of(protocol.subset(probes(protocol)), self.device, self.dtype, relaxes)
            whole = sum(solver.piece.amount for solver in self._solvers)
            total, amount, error = np.zeros(len(protocol)), 0.0, ErrorEstimate(0.0, 0.0, 0.0)
            for solver in self._solvers:
                probe = solver.probe(protocol, hardest, start)
                signal = propagation.signal(probe.model, probe.refine).double().cpu().numpy()
                part = float(probe.model.amount)
                total, amount = total + part * signal * np.exp(-echo * solver.piece.baseline), amount + part
                error = probe.left.weighted(solver.piece.amount / whole, error)
        modes = tuple(solver.used for solver in self._solvers)
        return Simulation(total / amount, error, modes, time.perf_counter() - began)

    def _start(self, protocol: "Protocol") -> Floats | None:
        if self.density is not None or self.ends == "closed":
            return self.density
        fastest = self.substrate.fastest
        longest = float(np.max(encoding_times(protocol)[~protocol.is_b0], initial=0))
        return central_density(self.substrate.mesh.points, math.sqrt(2 * fastest * longest))


class _PieceSolver:
    """One piece and its modes, as many as the protocols so far have needed."""

    def __init__(self, piece: Piece, simulator: Simulator) -> None:
        self.piece, self.simulator = piece, simulator
        self.entries = piece.entries()
        self.used = 0
        self._modes: tuple[Tensor, Tensor] | None = None

    def probe(self, protocol: "Protocol", hardest: Propagation, start: Floats | None) -> Probe:
        """A model good enough for the hardest measurements of a protocol."""
        piece, fixed, tolerance = self.piece, self.simulator.modes, self.simulator.tolerance
        density = None if start is None else piece.density(start)
        count = min(fixed or modes_needed(piece, protocol), piece.topology.nodes)
        while True:
            model = self._model(count, density)
            probe = Probe.of(piece, self.entries, model, hardest, tolerance, choose=not fixed)
            if fixed or probe.left.modes <= tolerance / 2:
                self.used = len(probe.model.decay)
                return probe
            count = self._more(count, probe.left.modes)

    def _model(self, count: int, density: Tensor | None) -> ReducedModel:
        if self._modes is None or count > self._modes[1].shape[1]:
            self._modes = sparse_modes(self.piece.topology, self.entries, count)
        return reduced_model(self.piece.topology, self.entries, *self._modes, density)

    def _more(self, count: int, error: float) -> int:
        """A larger number of modes; OutOfMemory where they do not fit."""
        wanted = min(math.ceil(MORE_MODES * count), self.piece.topology.nodes)
        needed = 8 * (3 * wanted * self.piece.topology.nodes + 12 * wanted**2)  # eigensolver, dense matrices
        if needed > (free := free_memory(algebra_device(self.simulator.device))):
            raise OutOfMemory(
                f"with {count} modes the signal is still off by about {error:.1g}, more than the tolerance of "
                f"{self.simulator.tolerance:g} allows, and {wanted} modes need {needed / 1e9:.1f} GB of the "
                f"{free / 1e9:.1f} GB that are free: use a larger tolerance, a smaller mesh or weaker gradients"
            )
        return wanted


def simulate(
    mesh: TetMesh | Substrate,
    protocol: "Protocol",
    diffusivity: float | None = None,
    ends: Ends = "closed",
    tolerance: float = 1e-3,
    device: str = "auto",
    modes: int | None = None,
    dtype: torch.dtype | None = None,
    density: ArrayLike | None = None,
) -> Floats:
    """Signal of a cell or a substrate (finite elements, matrix formalism), to a tolerance.

    The short form of `Simulator`, which also returns an estimate of the error and is faster for several protocols;
    parameters and errors are the same. Warns where the mesh is too coarse for the tolerance.

    Returns
    -------
    (M,) S/S0; where anything relaxes, the share of the excited magnetisation that is left at the echo
    """
    found = Simulator(mesh, diffusivity, ends, tolerance, device, modes, dtype, density).run(protocol)
    if found.error.mesh > tolerance:
        warnings.warn(
            f"the mesh is coarse for these gradients: its error is about {found.error.mesh:.1g} of S0, more than the "
            f"tolerance of {tolerance:g}; refine it, or accept that with a larger tolerance",
            stacklevel=2,
        )
    return found.signal


def _substrate(cell: TetMesh | Substrate, diffusivity: float | None) -> Substrate:
    if isinstance(cell, Substrate):
        if diffusivity is not None:
            raise InputError(
                f"diffusivity {diffusivity:g} is given beside a Substrate, which has its own: leave it out"
            )
        return cell
    given = DIFFUSIVITY if diffusivity is None else diffusivity
    if not (math.isfinite(given) and given > 0):
        raise InputError(f"diffusivity {given} µm²/ms: it must be positive (free water at 37 °C has 3.0)")
    return Substrate(cell, given)


def _checked_density(density: ArrayLike, nodes: int) -> Floats:
    values = np.asarray(density, dtype=np.float64)
    if values.shape != (nodes,) or not np.isfinite(values).all() or values.min() < 0 or values.max() == 0:
        raise InputError(
            f"density has shape {values.shape}: give one finite number >= 0 for each of the mesh's {nodes} nodes, "
            "and not only zeros"
        )
    return values
