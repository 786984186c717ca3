"""What the two kinds of problems share: a correction of their mesh's error, and the finer mesh that it comes from."""

from abc import ABC, abstractmethod
from copy import copy
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import torch
from numpy.typing import NDArray

from napari_remidi.inversion.levenberg_marquardt import Point
from napari_remidi.inversion.settings import Settings
from napari_remidi.inversion.template import Template

if TYPE_CHECKING:
    from napari_remidi.scan import Protocol


class Corrected(ABC):
    """A problem on a template; `correction`, (M,) or none, is added to every predicted signal."""

    correction: NDArray[np.float64] | float = 0.0
    _latest: tuple[Any, NDArray[np.float64]] | None = None

    def __init__(self, template: Template, protocol: "Protocol", settings: Settings, device: torch.device) -> None:
        self.template, self.protocol, self.settings, self.device = template, protocol, settings, device

    def corrected(self, correction: NDArray[np.float64]) -> Self:
        """The same with another correction, (M,)."""
        other = copy(self)
        other.correction = correction
        return other

    @cached_property
    def finer(self) -> Self:
        """The same on the template's next finer mesh, without correction."""
        return type(self)(self.template.finer, self.protocol, self.settings, self.device)

    @cached_property
    def quiet(self) -> Self:
        """The same on the template for where there is next to no noise, without correction; itself without one."""
        other = self.template.quiet
        return type(self)(other, self.protocol, self.settings, self.device) if other else self

    def left_out(self, point: Point, levels: int = 1, little: float = 0.0) -> NDArray[np.float64]:
        """What the mesh leaves out of the signal at a point, (M,), from so many finer ones at most: none after one that
        leaves out less than `little`, a norm. What has been corrected so far where these cannot be made.
        """
        finer = self.finer.like(point)
        if finer is None:
            return np.zeros(len(point.signal)) + self.correction
        missing = finer.signal - (point.signal - self.correction)
        # modes and time steps that the finer one has, too, are no matter of the mesh: no finer one would add to them
        by_mesh = missing - (finer.signal - self.finer.signal_in(self.template, finer))
        all_of_it = np.asarray(missing + (self.template.gain - 1) * by_mesh)
        if levels == 1 or np.linalg.norm(all_of_it) < little:
            return all_of_it
        return np.asarray(missing + self.finer.left_out(finer, levels - 1, little))

    def like(self, point: Point) -> Point | None:
        """A point of the same problem on another mesh, on this one."""
        return self.point(point.parameters, point.rotation)

    def signal_in(self, rougher: Template, point: Point) -> NDArray[np.float64]:
        """Signal at a point, (M,), with no more modes and time steps than another template has."""
        return point.signal

    def jacobian(self, point: Point) -> NDArray[np.float64]:
        """Derivative of the signal, (M, P). That of the latest point is kept: often one descent ends where the next
        begins, with another correction, which has no part in it. (A point has its `shape` to itself.)
        """
        latest = self._latest
        if latest is None or latest[0] is not point.shape:
            latest = self._latest = point.shape, self.linearised(point)
        return latest[1]

    @abstractmethod
    def linearised(self, point: Point) -> NDArray[np.float64]:
        """The derivative, found anew."""

    @abstractmethod
    def point(self, parameters: NDArray[np.float64], rotation: NDArray[np.float64]) -> Point | None:
        """What the parameters predict, or None where they are no valid shape."""
