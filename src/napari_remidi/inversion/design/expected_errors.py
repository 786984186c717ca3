"""Expected errors at one shape and orientation: the posterior's covariance without data, taken to the quantities."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_remidi.inversion.cell import CellProblem
from napari_remidi.inversion.design.parts import Rest, without_shells, without_timings
from napari_remidi.inversion.design.quantities import quantities_of, quantity_changes
from napari_remidi.inversion.levenberg_marquardt import Point, Target
from napari_remidi.inversion.noise import rician_mean
from napari_remidi.inversion.posterior import posterior_covariance, vertex_sd
from napari_remidi.shapes.calibre import measured_sections

Floats = NDArray[np.float64]
ORIENTATION_VARIANCE = (np.pi**2 / 3 + 2) / 3  # rad², of each component of a uniformly random rotation's vector


@dataclass(frozen=True, eq=False)
class Found:
    """At one shape in one orientation.

    Attributes
    ----------
    values : of the quantities by name, NaN of the surface, the last one
    prior_sd, sd : (Q,) before and after the measurement
    radius_without : (parts,) sd of the radius without every part of the protocol
    """

    values: dict[str, float]
    prior_sd: Floats
    sd: Floats
    radius_without: Floats


class ExpectedErrors:
    """Expected errors of one cell at one noise; its orientation is as unknown as a uniformly random one."""

    def __init__(self, problem: CellProblem, noise_sd: float) -> None:
        self.problem, self.noise_sd, prior = problem, noise_sd, problem.template.prior
        self.precision = problem.precision.copy()
        self.precision[problem.turn] = 1 / ORIENTATION_VARIANCE
        self.whole = Rest.without(problem.protocol, "nothing", [])
        self.timings, self.shells = without_timings(problem.protocol), without_shells(problem.protocol)
        layer = np.arange(prior.tube.layers)[measured_sections(prior.tube, prior.ends)]
        on_surface = np.unique(prior.boundary)
        self.surface = on_surface[np.isin(on_surface // len(prior.tube.section), layer)]

    def at(self, point: Point) -> Found:
        """Standard deviations at a point."""
        problem, prior, shape = self.problem, self.problem.template.prior, self.problem.shape_of(point)
        body, velocities = shape.points.cpu().numpy(), shape.velocities.double().cpu().numpy()
        values = quantities_of(body, prior.tube, prior.ends)
        changes = np.zeros((len(values), len(self.precision)))
        changes[:, problem.latent] = quantity_changes(body, velocities, prior.tube, prior.ends)
        jacobian = problem.jacobian(point)
        before, after = (
            np.append(_sd(changes, covariance), self._surface_sd(point, covariance))
            for covariance in (np.diag(1 / self.precision), self.covariance(point, jacobian, self.whole))
        )
        radius = changes[[list(values).index("radius")]]
        without = [_sd(radius, self.covariance(point, jacobian, r))[0] for r in (*self.timings, *self.shells)]
        return Found({**values, "surface": np.nan}, before, after, np.array(without))

    def covariance(self, point: Point, jacobian: Floats, rest: Rest) -> Floats:
        """Posterior covariance expected of the measurements that are kept, (P, P)."""
        signal = point.signal[rest.kept]
        target = Target(rician_mean(signal, self.noise_sd), self.noise_sd, rest.series)
        change = target.weighted(signal, jacobian[rest.kept])
        return posterior_covariance(change.T @ change + np.diag(self.precision), self.precision)

    def _surface_sd(self, point: Point, covariance: Floats) -> float:
        """Mean over the surface of the standard deviation along its normal, µm."""
        shape, faces = self.problem.shape_of(point), np.asarray(self.problem.template.prior.boundary)
        return float(vertex_sd(shape, point.rotation, covariance, faces, self.problem.turn)[self.surface].mean())


def _sd(changes: Floats, covariance: Floats) -> Floats:
    """Standard deviations, (Q,), from derivatives (Q, P) and a covariance (P, P)."""
    return np.sqrt(np.maximum(np.einsum("qp,pr,qr->q", changes, covariance, changes), 0))
