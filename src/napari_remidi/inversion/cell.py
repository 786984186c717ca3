"""The signal of one cell: its latent shape, its orientation and, if fitted, its diffusivity."""

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from napari_remidi.inversion.corrected import Corrected
from napari_remidi.inversion.levenberg_marquardt import Point
from napari_remidi.inversion.rotation import change_of_direction, turned
from napari_remidi.inversion.settings import Settings
from napari_remidi.inversion.template import Shape, Template
from napari_remidi.physics.encoding.care import Care
from napari_remidi.physics.encoding.pgse import pgse_signal
from napari_remidi.physics.encoding.pgse_jacobian import pgse_sensitivity
from napari_remidi.physics.encoding.pulses import pulse_blocks
from napari_remidi.physics.reduction.reduced import ReducedModel

if TYPE_CHECKING:
    from napari_remidi.scan import Protocol

Floats = NDArray[np.float64]
DIFFUSIVITY_SD = 0.7  # of log diffusivity about its starting value: tissue, fixed or alive, cold or warm


class CellProblem(Corrected):
    """Parameters: latent (d), rotation vector (3), log diffusivity (1, where fitted)."""

    compartments: tuple[str, ...] = ("intra",)
    model_error = 0.0

    def __init__(self, template: Template, protocol: "Protocol", settings: Settings, device: torch.device) -> None:
        super().__init__(template, protocol, settings, device)
        self.blocks, self.care = pulse_blocks(protocol, device), template.care
        size = template.prior.latent_dim
        self.latent, self.turn = slice(0, size), slice(size, size + 3)
        self.mean = np.zeros(size + 3)
        self.precision = np.concatenate([np.ones(size), np.zeros(3)])
        if settings.fits_diffusivity:
            self.mean = np.append(self.mean, np.log(settings.diffusivity))
            self.precision = np.append(self.precision, DIFFUSIVITY_SD**-2)

    def diffusivity(self, point: Point) -> float:
        """µm²/ms at a point."""
        return float(np.exp(point.parameters[-1])) if self.settings.fits_diffusivity else self.settings.diffusivity

    def point(self, parameters: Floats, rotation: Floats, coefficients: Floats | None = None) -> Point | None:
        """What the parameters predict, or None where they are no valid shape; see `Template.shape`."""
        shape = self.template.shape(parameters[self.latent], coefficients)
        if shape is None:
            return None
        blank = Point(parameters, rotation, np.empty(0), shape)
        return replace(blank, signal=self.signal(blank, rotation))

    def like(self, point: Point) -> Point | None:
        """A point of the same problem on another mesh, on this one."""
        return self.point(point.parameters, point.rotation, self.shape_of(point).coefficients)

    def signal(self, point: Point, rotation: Floats) -> Floats:
        """Signal of the shape at a point, (M,), in another orientation."""
        return self._signal(self.shape_of(point).model, point, rotation, self.care) + self.correction

    def signal_in(self, rougher: Template, point: Point) -> Floats:
        """Signal at a point, (M,), with no more modes and time steps than another template has."""
        if rougher.care == self.care:
            return point.signal
        return self._signal(self.shape_of(point).model.first(rougher.modes), point, point.rotation, rougher.care)

    def _signal(self, model: ReducedModel, point: Point, rotation: Floats, care: Care) -> Floats:
        turn, count = torch.as_tensor(rotation), len(self.protocol)
        found = pgse_signal(model, self.blocks, self.diffusivity(point), turn, count, care=care)
        return found.double().cpu().numpy()

    def moved(self, point: Point, step: Floats) -> Point | None:
        """The point after a step."""
        parameters = point.parameters + step
        parameters[self.latent] = self.template.prior.moved(point.parameters[self.latent], step[self.latent])
        parameters[self.turn] = 0
        return self.point(parameters, turned(point.rotation, step[self.turn]))

    def linearised(self, point: Point, velocities: torch.Tensor | None = None) -> Floats:
        """Derivative of the signal, (M, P); instead of the latent's those of other moves of the nodes of the shape that
        derivatives are taken on, (p, n, 3).
        """
        shape = self.shape_of(point).sloped
        turn, diffusivity = torch.as_tensor(point.rotation), self.diffusivity(point)
        tangents = shape.tangents if velocities is None else shape.tangents_of(velocities)
        change = pgse_sensitivity(
            shape.slow, tangents, self.blocks, diffusivity, turn, len(self.protocol), rough=self.care.rough
        )
        by_direction = change.direction.double().cpu().numpy()
        columns = [
            change.shape.double().cpu().numpy(),
            np.einsum("mi,mij->mj", by_direction, change_of_direction(self.protocol.bvecs)),
        ]
        if self.settings.fits_diffusivity:
            columns.append(diffusivity * change.diffusivity.double().cpu().numpy()[:, None])
        return np.concatenate(columns, axis=1)

    def shape_of(self, point: Point) -> Shape:
        """The shape at a point."""
        shape: Shape = point.shape
        return shape

    def fractions(self, point: Point) -> dict[str, float]:
        """Share of the signal at b = 0 of every compartment."""
        return {"intra": 1.0, "extra": 0.0, "free": 0.0}

    def described(self, point: Point) -> dict[str, float]:
        """The compartments' fitted values."""
        return {"diffusivity_um2_per_ms": self.diffusivity(point)}
