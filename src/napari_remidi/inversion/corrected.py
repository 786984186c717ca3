"""What the two kinds of problems share: a correction of their mesh's error, and the finer mesh that it comes from."""

from copy import copy
from functools import cached_property
from typing import TYPE_CHECKING, Self

import numpy as np
import torch
from numpy.typing import NDArray

from napari_remidi.inversion.settings import Settings
from napari_remidi.inversion.template import Template

if TYPE_CHECKING:
    from napari_remidi.scan import Protocol


class Corrected:
    """A problem on a template; `correction`, (M,) or none, is added to every predicted signal."""

    correction: NDArray[np.float64] | float = 0.0

    def __init__(self, template: Template, protocol: "Protocol", settings: Settings, device: torch.device) -> None:
        self.template, self.protocol, self.settings, self.device = template, protocol, settings, device

    def corrected(self, correction: NDArray[np.float64]) -> Self:
        """The same with another correction, (M,)."""
        other = copy(self)
        other.correction = correction
        return other

    @cached_property
    def halved(self) -> Self:
        """The same on a template of half the spacing, without correction."""
        return type(self)(self.template.halved, self.protocol, self.settings, self.device)
