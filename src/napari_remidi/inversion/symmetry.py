"""Shapes that a turn about their axis, or a point inversion, does not change as far as can be told."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation
from scipy.stats import chi2

from napari_remidi.inversion.cell import CellProblem
from napari_remidi.inversion.levenberg_marquardt import Point, Target
from napari_remidi.inversion.noise import rician_mean, rician_sd
from napari_remidi.inversion.tissue import TissueProblem
from napari_remidi.shapes.calibre import measured_sections, section_rims
from napari_remidi.shapes.tube import Tube

Floats = NDArray[np.float64]
TURNS = (90.0, 45.0, 135.0, 180.0)  # degrees about the axis from end to end
UNSEEN = float(chi2.isf(0.05, 1))  # squared change of a signal, in units of its noise, that is hardly told
ROUND = "round: turned about its axis by any angle it has the same signal"
POINT_SYMMETRIC = "point-symmetric: the twin is the same shape"
WITHIN = "to within the noise"


def symmetry_of(problem: CellProblem | TissueProblem, target: Target, point: Point, surface_sd: float) -> str | None:
    """How a solution is symmetric, in words; None where it is not.

    Round: no turn about its axis changes the signal by what the noise would let one tell. A voxel of tissue holds axons
    at all turns, so that its representative axon is never called round. Point-symmetric: the twin's surface is no
    farther from its own than the surface's standard deviation, µm.
    """
    prior, found = problem.template.prior, []
    if isinstance(problem, CellProblem) and all(change < UNSEEN for change in changes_by_turns(problem, target, point)):
        found.append(ROUND)
    body = problem.shape_of(point).points.cpu().numpy()
    if distance_to_twin(body, prior.tube, prior.ends) < surface_sd:
        found.append(POINT_SYMMETRIC)
    return f"{'; '.join(found)} ({WITHIN})" if found else None


def changes_by_turns(problem: CellProblem, target: Target, point: Point) -> Iterator[float]:
    """Squared changes of the signal, in units of its noise, when the shape turns about its axis."""
    at_rest, sd = rician_mean(point.signal, target.noise_sd), rician_sd(point.signal, target.noise_sd)
    for degrees in TURNS:
        turn = Rotation.from_euler("z", degrees, degrees=True).as_matrix()
        turned = rician_mean(problem.signal(point, point.rotation @ turn), target.noise_sd)
        yield float((((turned - at_rest) / sd) ** 2).sum())


def distance_to_twin(points: Floats, tube: Tube, ends: str) -> float:
    """Mean distance of the wall's nodes from those that the point inversion puts in their place, µm.

    The inversion swaps the ends and turns every section by half a turn, node for node, so that this is at least the
    Chamfer distance of the shape and its twin.
    """
    rims = section_rims(points, tube)[measured_sections(tube, ends)]
    inverted = -np.roll(rims[::-1], rims.shape[1] // 2, axis=1)
    change = rims - inverted
    return float(np.linalg.norm(change - change.mean(axis=(0, 1)), axis=2).mean())
