"""What a user asks of an axon, as differentiable functions of its nodes."""

from dataclasses import dataclass

import torch
from torch import Tensor

from napari_remidi.inversion.template import Shape
from napari_remidi.shapes.calibre import middle_half
from napari_remidi.shapes.tube import Tube

SMOOTH = 1e-12  # keeps roots differentiable at zero


@dataclass(frozen=True)
class Measure:
    """Name and unit of a quantity of a shape."""

    name: str
    unit: str


RADIUS, LENGTH = Measure("radius", "µm"), Measure("length", "µm")
MEASURES = (
    RADIUS,
    Measure("least radius", "µm"),
    Measure("greatest radius", "µm"),
    LENGTH,
    Measure("bend", "°"),
    Measure("beads", "%"),
)
"""Radius: of the circle with a section's area, its mean, least and greatest along the axis. Length: of the line through
the sections' centres. Bend: the greatest angle between the axis at two places. Beads: their amplitude in percent of the
radius, √2 times the standard deviation of the log radius about a straight line (a taper is no bead)."""


def measured_layers(tube: Tube, ends: str) -> slice:
    """The sections that count: all of a closed axon's, the middle half of an open one's, where its spins are."""
    return slice(0, tube.layers) if ends == "closed" else middle_half(tube.layers)


def measures_of(shape: Shape) -> tuple[Tensor, Tensor]:
    """Values of `MEASURES`, (Q,), and their derivatives with respect to the latent, (Q, d)."""
    prior = shape.template.prior
    points, velocities = shape.points.double().cpu(), shape.velocities.double().cpu()
    along = measured_layers(prior.tube, prior.ends)
    by_node = torch.func.jacrev(_measures)(points, prior.tube, along)
    return _measures(points, prior.tube, along), torch.einsum("qnc,dnc->qd", by_node, velocities)


def _measures(points: Tensor, tube: Tube, along: slice) -> Tensor:
    layers = points.reshape(tube.layers, len(tube.section), 3)[along]
    centres = layers[:, 0]
    outermost = tube.section[:, 0].max()
    rim = layers[:, torch.as_tensor(tube.section[:, 0] > outermost - 1e-9)] - layers[:, :1]
    radii = rim.square().sum(dim=2).mean(dim=1).sqrt() / outermost
    steps = centres.diff(dim=0)
    values = (radii.mean(), radii.amin(), radii.amax(), steps.norm(dim=1).sum(), _bend(steps), _beads(radii))
    return torch.stack(values)


def _bend(steps: Tensor) -> Tensor:
    """Greatest angle between two of some directions, degrees."""
    directions = torch.nn.functional.normalize(steps, dim=1)
    cosine = directions @ directions.T
    first, second = divmod(int(cosine.detach().argmin()), len(cosine))
    sine = torch.linalg.cross(directions[first], directions[second]).square().sum().add(SMOOTH).sqrt()
    return torch.rad2deg(torch.atan2(sine, cosine[first, second]))


def _beads(radii: Tensor) -> Tensor:
    """Amplitude of the waves of a calibre, percent."""
    place = torch.linspace(-1, 1, len(radii), dtype=radii.dtype)
    waves = radii.log() - radii.log().mean()
    waves = waves - place * (place @ waves) / (place @ place)
    return 100 * (2 * waves.square().mean() + SMOOTH).sqrt()
