"""How exact a signal is: modes and time steps chosen from a tolerance, and an estimate of what error is left.

Three things separate a simulated signal from the continuous problem's, and each is estimated by a second computation
that differs in it alone, on a few measurements that ask for most (`probes`):

modes       the same with a fifth of them left out, or more
time steps  the same with steps half as long
mesh        the same with mass and moments lumped by a quarter. Consistent and lumped matrices err in opposite
            directions, both in the square of the element size, so that their difference is of the size of the error
            (Hughes, The Finite Element Method, 2000, section 7.3, for eigenvalues)
"""

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_remidi.physics.encoding.propagation import Propagation
from napari_remidi.physics.matrices.assembly import Topology
from napari_remidi.physics.matrices.pieces import Piece
from napari_remidi.physics.reduction.modes import MASS, STIFFNESS
from napari_remidi.physics.reduction.reduced import MOMENTS, ReducedModel, reduced_model

if TYPE_CHECKING:
    from napari_remidi.scan import Protocol

PROBES = 360
LEVELS = (1.0, 0.75, 0.5, 0.25)  # of the strongest b
SHARES = (0.25, 0.35, 0.5, 0.65, 0.8)  # of the modes that are known, tried as enough
LUMPED = 1 / 4
MOST_REFINED = 32
RATE = 40.0  # per pulse duration, of the modes that are tried first; with half as many a slow tail goes unseen


@dataclass(frozen=True)
class ErrorEstimate:
    """Largest error in S/S0 that is left, by cause.

    Attributes
    ----------
    modes, steps : numerical, within the tolerance that was asked for
    mesh : of the mesh, which only a finer one lowers
    """

    modes: float
    steps: float
    mesh: float

    @property
    def total(self) -> float:
        """All three together."""
        return self.modes + self.steps + self.mesh

    def weighted(self, share: float, other: "ErrorEstimate") -> "ErrorEstimate":
        """This one's share of a signal's error added to another's."""
        return ErrorEstimate(
            other.modes + share * self.modes, other.steps + share * self.steps, other.mesh + share * self.mesh
        )


def probes(protocol: "Protocol", most: int = PROBES) -> NDArray[np.int64]:
    """Rows of the measurements that ask for most modes: for every timing the strongest, and some weaker ones."""
    keys = np.stack([np.nan_to_num(pulse_times(protocol)), np.nan_to_num(protocol.Delta)], axis=1).round(6)
    weighted = np.flatnonzero(~protocol.is_b0)
    timings = np.unique(keys[weighted], axis=0)
    if len(timings) > most // 2:
        timings = timings[np.linspace(0, len(timings) - 1, most // 2).round().astype(int)]
    chosen = []
    for timing in timings:
        rows = weighted[(keys[weighted] == timing).all(axis=1)]
        for level in LEVELS:
            aim = level * protocol.bvals[rows].max()
            distance = np.abs(protocol.bvals[rows] - aim)
            near = rows[distance <= max(0.1 * aim, distance.min())]
            count = min(len(near), max(1, most // (len(LEVELS) * len(timings))))
            chosen.append(near[np.linspace(0, len(near) - 1, count).round().astype(int)])
    return np.unique(np.concatenate(chosen)) if chosen else np.arange(min(len(protocol), 1))


@dataclass(frozen=True, eq=False)
class Probe:
    """A model tried on the hardest measurements.

    Attributes
    ----------
    model : ReducedModel, with as few modes as the tolerance allows
    refine : times as many time steps as by default
    left : ErrorEstimate
    """

    model: ReducedModel
    refine: int
    left: ErrorEstimate

    @classmethod
    def of(
        cls,
        piece: Piece,
        entries: Tensor,
        model: ReducedModel,
        hardest: Propagation,
        tolerance: float,
        choose: bool = True,
    ) -> "Probe":
        """Leave out the modes that the tolerance does not need (unless `choose` is false) and estimate what is lost."""
        kept, modes = _fewest(model, hardest, tolerance / 2) if choose else (model, np.inf)
        if kept is model:
            modes = 0.0 if len(model.decay) == piece.topology.nodes else _change(model, SHARES[-1], hardest)
        refine, steps, signal = _refined(kept, hardest, tolerance / 4)
        mesh = float((signal - hardest.signal(_lumped_model(piece, entries, kept), refine)).abs().max())
        return cls(kept, refine, ErrorEstimate(modes, steps, mesh))


def _fewest(model: ReducedModel, hardest: Propagation, tolerance: float) -> tuple[ReducedModel, float]:
    """The model in as few modes as a tolerance allows, and what that changes; the same model where it allows none."""
    signal = hardest.signal(model)
    for share in SHARES:
        fewer = first_modes(model, math.ceil(share * len(model.decay)))
        change = float((signal - hardest.signal(fewer)).abs().max())
        if change <= tolerance:
            return fewer, change
    return model, np.inf


def _change(model: ReducedModel, share: float, hardest: Propagation) -> float:
    """What leaving out all but a share of the modes changes."""
    fewer = first_modes(model, math.ceil(share * len(model.decay)))
    return float((hardest.signal(model) - hardest.signal(fewer)).abs().max())


def _refined(model: ReducedModel, hardest: Propagation, tolerance: float) -> tuple[int, float, Tensor]:
    """How many times more steps a tolerance needs, the error that they leave, and the signal.

    It stops where more steps no longer help, which is where roundings add up.
    """
    refine, signal, before = 1, hardest.signal(model), math.inf
    while True:
        finer = hardest.signal(model, 2 * refine)
        error = float((signal - finer).abs().max())
        if error <= tolerance or refine >= MOST_REFINED or error > before / 2:
            return refine, error, signal
        refine, signal, before = 2 * refine, finer, error


def _lumped_model(piece: Piece, entries: Tensor, model: ReducedModel) -> ReducedModel:
    """The model with mass and moments lumped by a share, in the span of the same modes."""
    topology, mixed = piece.topology, lumped(piece.topology, entries, piece.points, LUMPED)
    mass, stiffness = topology.projected(mixed[[MASS, STIFFNESS]], model.modes)
    lower = torch.linalg.cholesky(mass)
    inner = torch.linalg.solve_triangular(lower, stiffness, upper=False)
    inner = torch.linalg.solve_triangular(lower, inner.T, upper=False)
    decay, vectors = torch.linalg.eigh((inner + inner.T) / 2)
    modes = model.modes @ torch.linalg.solve_triangular(lower.T, vectors, upper=True)
    return reduced_model(topology, mixed, decay, modes, model.density)


def modes_needed(piece: Piece, protocol: "Protocol") -> int:
    """Modes of a piece to begin with, by Weyl's law for the volume and surface of each of its compartments.

    A mode of rate μ is felt through the gradient with a weight of about (qR / μ)², so those with μ δ far above one can
    be left out: the limit is RATE/δ for the shortest pulse, and at least the rate of a half-wave of 2 µm.
    """
    shortest = float(np.min(pulse_times(protocol)[~protocol.is_b0], initial=math.inf))
    rate = RATE / shortest
    wavenumber = np.sqrt(np.maximum(rate / piece.slowest, (math.pi / 2) ** 2))
    bulk = float((piece.volumes * wavenumber**3).sum()) / (6 * math.pi**2)
    wall = piece.wall * float((piece.volumes * wavenumber**2).sum() / piece.volumes.sum()) / (16 * math.pi)
    return int(np.clip(math.ceil(bulk + wall) + 10, 40, 400))


def pulse_times(protocol: "Protocol") -> NDArray[np.float64]:
    """Duration of a pulse, (M,) ms; of a waveform a quarter of it all."""
    times = protocol.delta.copy()
    for row, waveform in enumerate(protocol.waveforms or ()):
        if waveform is not None:
            times[row] = waveform.duration / 4
    return times


def lumped(topology: Topology, entries: Tensor, points: Tensor, share: float) -> Tensor:
    """Mass and moments, (5, e), with a share of the products of functions integrated by their values at the nodes."""
    ones = torch.ones(topology.nodes, 1, dtype=entries.dtype, device=entries.device)
    mass = topology.product(entries[[MASS]], ones)[0]
    at_nodes = torch.cat([mass, mass * (points - points.mean(dim=0))], dim=1).T
    rows = [MASS, *range(MOMENTS.start, MOMENTS.stop)]
    diagonal = topology.rows == topology.columns
    mixed = entries.clone()
    mixed[rows] *= 1 - share
    for row, values in zip(rows, at_nodes, strict=True):
        mixed[row, diagonal] += share * values[topology.rows[diagonal]]
    return mixed


def first_modes(model: ReducedModel, count: int) -> ReducedModel:
    """The model in its lowest modes only."""
    return replace(
        model,
        modes=model.modes[:, :count],
        decay=model.decay[:count],
        position=model.position[:, :count, :count],
        start=model.start[:count],
        detect=model.detect[:count],
    )
