"""Expected errors at one shape: the posterior's covariance without data, taken to radius, length, bend and beads."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_remidi.inversion.cell import CellProblem
from napari_remidi.inversion.inverter import normalised_together
from napari_remidi.inversion.levenberg_marquardt import Point, Target
from napari_remidi.inversion.measures import LENGTH, MEASURES, RADIUS, Measure, measured_layers, measures_of
from napari_remidi.inversion.noise import rician_mean
from napari_remidi.inversion.posterior import posterior_covariance, vertex_sd

if TYPE_CHECKING:
    from napari_remidi.scan import Protocol

Floats = NDArray[np.float64]
Rows = NDArray[np.bool_]
SURFACE = Measure("surface", "µm")
ORIENTATION_VARIANCE = (np.pi**2 / 3 + 2) / 3  # rad², of each component of a uniformly random rotation's vector


@dataclass(frozen=True, eq=False)
class Part:
    """A protocol without one of its parts: how many measurements that takes away, what is kept, and its series."""

    name: str
    measurements: int
    kept: Rows
    series: tuple[tuple[NDArray[np.int64], int], ...]


@dataclass(frozen=True, eq=False)
class Found:
    """At one shape in one orientation.

    Attributes
    ----------
    values : (Q,) of the quantities but the surface, the last one
    prior_sd, sd : (Q + 1,) before and after the measurement
    radius_without : (parts,) sd of the radius without every part of the protocol
    """

    values: Floats
    prior_sd: Floats
    sd: Floats
    radius_without: Floats


class ExpectedErrors:
    """Expected errors of one problem at one noise; the orientation is as unknown as a uniformly random one."""

    def __init__(self, problem: CellProblem, noise_sd: float) -> None:
        problem.precision[problem.turn] = 1 / ORIENTATION_VARIANCE
        self.problem, self.noise_sd, protocol = problem, noise_sd, problem.protocol
        prior = problem.template.prior
        # an open axon is a window of fixed length
        self.chosen = [n for n, measure in enumerate(MEASURES) if measure != LENGTH or prior.ends == "closed"]
        self.measures = [*(MEASURES[n] for n in self.chosen), SURFACE]
        self.whole = _without("", protocol, np.zeros(len(protocol), dtype=bool))
        self.timings, self.shells = timings_left_out(protocol), shells_left_out(protocol)
        nodes = np.arange(len(prior.pod)).reshape(prior.tube.layers, -1)[measured_layers(prior.tube, prior.ends)]
        self.surface = np.intersect1d(np.unique(prior.boundary), nodes)

    def at(self, point: Point) -> Found:
        """Standard deviations at a point."""
        problem, jacobian = self.problem, self.problem.jacobian(point)
        values, slopes = (part[self.chosen].numpy() for part in measures_of(problem.shape_of(point)))
        change = np.zeros((len(slopes), len(problem.mean)))
        change[:, problem.latent] = slopes
        before, after = (
            np.append(_sd(change, covariance), self._surface_sd(point, covariance))
            for covariance in (np.diag(1 / problem.precision), self.covariance(point, jacobian, self.whole))
        )
        radius = change[[self.measures.index(RADIUS)]]
        without = [_sd(radius, self.covariance(point, jacobian, p))[0] for p in (*self.timings, *self.shells)]
        return Found(values, before, after, np.array(without))

    def covariance(self, point: Point, jacobian: Floats, part: Part) -> Floats:
        """Posterior covariance expected of the measurements that are kept, (P, P)."""
        signal = point.signal[part.kept]
        target = Target(rician_mean(signal, self.noise_sd), self.noise_sd, part.series)
        change = target.weighted(signal, jacobian[part.kept])
        return posterior_covariance(change.T @ change + np.diag(self.problem.precision), 1.0)

    def _surface_sd(self, point: Point, covariance: Floats) -> float:
        shape, faces = self.problem.shape_of(point), np.asarray(self.problem.template.prior.boundary)
        return float(vertex_sd(shape, point.rotation, covariance, faces, self.problem.turn)[self.surface].mean())


def _sd(change: Floats, covariance: Floats) -> Floats:
    """Standard deviations, (Q,), from derivatives (Q, P) and a covariance (P, P)."""
    return np.sqrt(np.maximum(np.einsum("qp,pr,qr->q", change, covariance, change), 0))


def timings_left_out(protocol: "Protocol") -> list[Part]:
    """The protocol without one diffusion time, for every one of several."""
    pairs = sorted({(shell.Delta, shell.delta) for shell in protocol.shells})
    if len(pairs) == 1:
        return []
    return [
        _without(f"δ {delta:g}, Δ {Delta:g} ms", protocol, (protocol.delta == delta) & (protocol.Delta == Delta))
        for Delta, delta in pairs
    ]


def shells_left_out(protocol: "Protocol") -> list[Part]:
    """The protocol without one shell, for every one of several."""
    if len(protocol.shells) == 1:
        return []
    several = len({(shell.delta, shell.Delta) for shell in protocol.shells}) > 1
    parts = []
    for shell in protocol.shells:
        when = f", δ {shell.delta:g}, Δ {shell.Delta:g} ms" if several else ""
        rows = np.isin(np.arange(len(protocol)), shell.indices)
        parts.append(_without(f"b {shell.bval:.0f} s/mm²{when}", protocol, rows))
    return parts


def _without(name: str, protocol: "Protocol", rows: Rows) -> Part:
    """Takes weighted measurements away; those at b = 0 stay, since they may normalise others."""
    kept = ~rows | protocol.is_b0
    return Part(name, int((~kept).sum()), kept, normalised_together(protocol.subset(kept)))
