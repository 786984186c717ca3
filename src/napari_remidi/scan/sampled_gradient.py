"""The gradient as spins feel it, g(t) ∈ R³, constant on equal steps: its moment, its b-tensor and its checks."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_remidi.errors import ProtocolError
from napari_remidi.scan.btensor import b_tensor_of, encoding_name, moment_of, shape_of
from napari_remidi.scan.waveform_checks import (
    check_refocused,
    check_samples,
    check_times,
    strength_factor,
)

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class SampledGradient:
    """An effective gradient, constant on equal steps, that refocuses.

    Parameters
    ----------
    gradient : (T, 3) mT/m, world axes; after a refocusing pulse with the opposite sign
    dt : ms, duration of one sample
    name : what errors and shells call it
    te : ms, echo time; None where unknown

    Raises
    ------
    ProtocolError
        For samples of the wrong shape or not finite, or a gradient that does not refocus: |∫ g dt| at the end above a
        thousandth of the largest on the way.
    TimingError
        For a step that is not positive or looks like seconds, or an echo before the waveform's end.
    """

    gradient: Floats
    dt: float
    name: str = "waveform"
    te: float | None = None

    def __post_init__(self) -> None:
        try:
            samples = np.array(self.gradient, dtype=np.float64)
        except (TypeError, ValueError):
            raise ProtocolError(f"{self.name}: samples are no numbers; a waveform needs (T, 3), in mT/m") from None
        check_samples(samples, self.name)
        check_times(len(samples), float(self.dt), self.te, self.name)
        object.__setattr__(self, "gradient", samples)
        object.__setattr__(self, "dt", float(self.dt))
        check_refocused(samples, self.dt, self.name)
        samples.setflags(write=False)

    @property
    def duration(self) -> float:
        """T dt, ms."""
        return len(self.gradient) * self.dt

    @property
    def peak(self) -> float:
        """Largest |g|, mT/m."""
        return float(np.linalg.norm(self.gradient, axis=1).max())

    @cached_property
    def moment(self) -> Floats:
        """k(t) = γ ∫ g dt at the edges of the steps, (T + 1, 3) rad/µm."""
        return moment_of(self.gradient, self.dt)

    @cached_property
    def b_tensor(self) -> Floats:
        """B = ∫ k kᵀ dt, (3, 3) s/mm², exact for the steps."""
        return b_tensor_of(self.moment, self.dt)

    @property
    def bval(self) -> float:
        """Trace of the b-tensor, s/mm²."""
        return float(np.trace(self.b_tensor))

    @property
    def b_delta(self) -> float:
        """Shape of the b-tensor: 1 linear, −1/2 planar, 0 spherical; NaN where b is zero."""
        return shape_of(self.b_tensor)[0]

    @property
    def encoding(self) -> str:
        """LTE, PTE or STE; `b_delta` and its value for shapes between them; none where b is zero."""
        return encoding_name(self.b_delta)

    @cached_property
    def direction(self) -> Floats:
        """Axis of symmetry of the b-tensor, (3,) unit: a line's direction (as the gradient first points), a plane's
        normal; zero where there is none (spherical encoding, b = 0).
        """
        axis = shape_of(self.b_tensor)[1]
        along = self.gradient @ axis
        leading = along[np.argmax(np.abs(along) > 1e-3 * max(self.peak, 1e-300))]
        if abs(leading) <= 1e-3 * self.peak:  # a plane's normal: the half space of its largest component
            leading = axis[np.argmax(np.abs(axis))]
        return (-axis if leading < 0 else axis) + 0.0

    def scaled(self, G: float | None = None, b: float | None = None) -> Self:
        """The same form with another peak (mT/m) or b-value (s/mm²); the samples as they are where neither is given."""
        if G is None and b is None:
            return self
        factor = strength_factor(self.peak, self.bval, G, b, self.name)
        return replace(self, gradient=self.gradient * factor)

    def rotated(self, rotation: ArrayLike) -> Self:
        """The same form with every gradient turned by a rotation, (3, 3)."""
        return replace(self, gradient=self.gradient @ np.asarray(rotation, dtype=np.float64).T)

    def to_dict(self) -> dict[str, Any]:
        """Plain lists, for a report."""
        return {"gradient": self.gradient.tolist(), "dt": self.dt, "name": self.name, "te": self.te}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """The waveform of a report."""
        return cls(np.array(values["gradient"]), values["dt"], values.get("name", "waveform"), values.get("te"))
