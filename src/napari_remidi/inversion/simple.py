"""Simple axons: an even calibre, or beads of one size at equal distances (half of one is a taper).

Of the many patterns of swellings that explain a signal almost as well, most are irregular, and the free descent finds
one of those. A pattern that a few numbers describe leaves the signal less choice: it fits only with about the right
number of beads, the right radius and the right length. How many beads is a number that a descent hardly changes, so
every one is tried.
"""

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from napari_remidi.inversion.cell import CellProblem
from napari_remidi.inversion.levenberg_marquardt import Point
from napari_remidi.inversion.rotation import turned
from napari_remidi.inversion.template import Shape, Template
from napari_remidi.shapes.spectral import placed

if TYPE_CHECKING:
    from napari_remidi.scan import Protocol
    from napari_remidi.shapes import Prior

Floats = NDArray[np.float64]
MOST_BEADS = 8
SIZE = 0.35  # of beads at first, share of the radius
LEAST_SIZE = 0.05  # of beads that are worth counting
QUARTERS = np.arange(-1, 3) * np.pi / 2  # phases to begin with near a pattern that is nearly right
RADIUS, LENGTH, SWELL, PHASE, COUNT, BEND = range(6)
SHAPE, TURN = 6, slice(6, 9)
# of the parameters about where they start: artanh of the beads' size, their phase (rad) and number, and the share kept
# of the start's bends. Log radius and log length are as likely as in the prior
SPREAD = (0.5, 3.0, 0.6, 1.0)
FIXED = 1e-3  # of those that a number of beads leaves without effect
NUDGE = 1e-4


@dataclass(frozen=True, eq=False)
class SimpleProblem:
    """A `CellProblem` of few parameters: log radius, log length, `SPREAD`'s four, rotation vector (3), log diffusivity
    (1, where fitted).

    For priors of axons of any length.

    Attributes
    ----------
    cell : the problem of all shapes
    base : (C,) spectral coefficients of the axon whose bends are kept
    mean, precision : (P,)
    """

    cell: CellProblem
    base: Floats
    mean: Floats
    precision: Floats

    @property
    def numbers(self) -> int:
        """Parameters that the signal has a say in."""
        return int((self.precision < FIXED**-2).sum())

    @property
    def protocol(self) -> "Protocol":
        """The cell's."""
        return self.cell.protocol

    @property
    def template(self) -> Template:
        """The cell's."""
        return self.cell.template

    def shape_of(self, point: Point) -> Shape:
        """The shape at a point."""
        return self.cell.shape_of(point.shape)

    def on(self, cell: CellProblem) -> "SimpleProblem":
        """The same in another model of the cell."""
        return replace(self, cell=cell)

    def coefficients(self, parameters: Floats) -> Floats:
        """Spectral coefficients of some parameters, (..., P) -> (..., C)."""
        basis = self.cell.template.prior.basis
        parameters = np.asarray(parameters)
        coefficients = parameters[..., BEND, None] * self.base
        coefficients[..., -1] = parameters[..., LENGTH]
        swell = np.tanh(parameters[..., SWELL, None])
        angle = 2 * np.pi * parameters[..., COUNT, None] * (basis.along - 0.5) + parameters[..., PHASE, None]
        radius = parameters[..., RADIUS, None] + np.log1p(swell * np.sin(angle))
        return basis.with_calibre(coefficients, radius)

    def point(self, parameters: Floats, rotation: Floats) -> Point | None:
        """What the parameters predict, its `shape` the point of the cell; None where they are no valid shape."""
        return self.points(parameters[None], rotation)[0]

    def points(self, parameters: Floats, rotation: Floats) -> list[Point | None]:
        """The same of several, (N, P)."""
        coefficients = self.coefficients(parameters)
        latents = self.cell.template.prior.encode_coefficients(coefficients)
        return [self._point(*each, rotation) for each in zip(parameters, latents, coefficients, strict=True)]

    def moved(self, point: Point, step: Floats) -> Point | None:
        """The point after a step."""
        parameters = point.parameters + step
        parameters[TURN] = 0
        parameters[PHASE] = np.remainder(parameters[PHASE] + np.pi, 2 * np.pi) - np.pi
        if not 0 <= parameters[COUNT] <= MOST_BEADS + 1:
            return None
        return self.point(parameters, turned(point.rotation, step[TURN]))

    def counts_near(self, point: Point) -> set[int]:
        """Whole numbers of beads about a point's; none for an even calibre."""
        if np.tanh(abs(point.parameters[SWELL])) < LEAST_SIZE:
            return set()
        nearest = round(point.parameters[COUNT])
        return {nearest - 1, nearest, nearest + 1} & set(range(1, MOST_BEADS + 1))

    def begun(self, point: Point, count: int) -> list[tuple["SimpleProblem", Point]]:
        """The problem of so many beads, and where to begin: as at a point, the beads here or there; without signals."""
        problem, starts = replace(self, mean=self.mean.copy()), np.repeat(point.parameters[None], len(QUARTERS), axis=0)
        problem.mean[COUNT] = count
        starts[:, COUNT], starts[:, PHASE] = count, QUARTERS
        return [(problem, replace(point, parameters=start, signal=np.empty(0))) for start in starts]

    def jacobian(self, point: Point) -> Floats:
        """Derivative of the signal, (M, P)."""
        steps = NUDGE * np.eye(len(point.parameters))[:SHAPE]
        prior = self.shape_of(point).sloped.template.prior
        either = self.coefficients(np.concatenate([point.parameters + steps, point.parameters - steps]))
        ahead, behind = prior.basis.sections(torch.as_tensor(either), prior.tube.layers).split(len(steps))
        moves = placed((ahead - behind) / (2 * NUDGE), prior.tube)  # nodes are linear in sections
        return self.cell.linearised(point.shape, moves.float())

    def _point(self, parameters: Floats, latent: Floats, coefficients: Floats, rotation: Floats) -> Point | None:
        cell = self.cell.point(np.concatenate([latent, parameters[SHAPE:]]), rotation, coefficients)
        return None if cell is None else Point(parameters, rotation, cell.signal, cell)


@lru_cache(maxsize=4)
def sizes(prior: "Prior") -> tuple[Floats, Floats]:
    """Mean and standard deviation of log radius and log length among the prior's exemplars, (2,) each."""
    coefficients = prior.coefficients(prior.exemplars)
    both = np.stack([_log_radius(prior, coefficients), coefficients[:, -1]])
    return both.mean(axis=1), both.std(axis=1)


def _log_radius(prior: "Prior", coefficients: Floats) -> Floats:
    """Of the mean area of sections, (..., C) -> (...)."""
    return np.asarray(np.log(np.exp(2 * prior.basis.log_radius(coefficients)).mean(axis=-1)) / 2)


def simple_start(
    cell: CellProblem, like: Point, count: int, phases: int, straight: bool = False
) -> tuple[SimpleProblem, list[Point]]:
    """The problem of so many beads, and where to start: as wide, long and bent as another, or straight, beads here or
    there. Places for the beads of a straight axon are twice as dense: half of them are the other half's upside down.
    """
    prior = cell.template.prior
    base, rest = prior.coefficients(like.parameters[cell.latent]), slice(cell.latent.stop, None)
    size, places = (SIZE, np.arange(phases) * 2 * np.pi / phases) if count else (0.0, np.zeros(1))
    if straight and count:
        places = np.pi * ((np.arange(phases) + 0.5) / phases - 0.5)
    radius = _log_radius(prior, base) - np.log1p(size**2 / 2) / 2
    first = np.array([radius, base[-1], np.arctanh(size), 0.0, count, float(not straight)])
    (mean_size, spread_size), mean = sizes(prior), first.copy()
    mean[: len(mean_size)] = mean_size
    spread = np.array([*spread_size, *SPREAD])
    if not count:
        spread[[SWELL, PHASE, COUNT]] = FIXED
    if straight:
        spread[BEND] = FIXED
    mean, first = (np.concatenate([shape, like.parameters[rest]]) for shape in (mean, first))
    problem = SimpleProblem(cell, base, mean, np.concatenate([spread**-2.0, cell.precision[rest]]))
    starts = np.repeat(first[None], len(places), axis=0)
    starts[:, PHASE] = places
    return problem, [point for point in problem.points(starts, like.rotation) if point is not None]
