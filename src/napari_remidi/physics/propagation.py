"""A protocol's measurements in a reduced model, as a torch function whose backward is the adjoint sweep."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from typing import Protocol as Interface

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from napari_remidi.physics.frozen import FrozenModel
from napari_remidi.physics.pgse import _divided_difference, pgse_signal
from napari_remidi.physics.pgse_gradient import pgse_gradient
from napari_remidi.physics.pulses import PulseBlock, pulse_blocks
from napari_remidi.physics.reduced import ModelGradient, ReducedModel
from napari_remidi.physics.substrate_signal import echo_times, free_time

if TYPE_CHECKING:
    from napari_remidi.scan import Protocol


class Encoding(Interface):
    """Some of a protocol's measurements, in models whose decay rates include the diffusivity."""

    @property
    def rows(self) -> Tensor:
        """Which measurements, (k,)."""

    def signal(self, model: ReducedModel) -> Tensor:
        """Signals of the rows, (k,)."""

    def gradient(self, model: ReducedModel, cotangent: Tensor) -> ModelGradient:
        """Derivative of Σ_m w_m S_m over the rows, for a cotangent w of all measurements, (M,)."""


@dataclass(frozen=True, eq=False)
class Pulses:
    """Measurements with two pulsed gradients."""

    blocks: list[PulseBlock]
    rows: Tensor

    def signal(self, model: ReducedModel) -> Tensor:
        """Signals of the rows, (k,)."""
        return pgse_signal(model, self.blocks, 1.0)[self.rows]

    def gradient(self, model: ReducedModel, cotangent: Tensor) -> ModelGradient:
        """Derivative of Σ_m w_m S_m over the rows."""
        return pgse_gradient(model, self.blocks, cotangent, 1.0)


@dataclass(frozen=True, eq=False)
class Rest:
    """Measurements without gradient: S = Σ_j detect_j e^{−t λ_j} start_j."""

    times: Tensor
    rows: Tensor

    def signal(self, model: ReducedModel) -> Tensor:
        """Signals of the rows, (k,)."""
        times = self.times.to(model.decay)
        return torch.exp(-times[:, None] * model.decay) @ (model.start * model.detect)

    def gradient(self, model: ReducedModel, cotangent: Tensor) -> ModelGradient:
        """Derivative of Σ_m w_m S_m over the rows."""
        times, weight = self.times.to(model.decay), cotangent[self.rows].to(model.decay)
        phi = torch.einsum("m,mij->ij", weight, _divided_difference(model.decay, times[None])[0])
        pairs = model.detect[:, None] * model.start
        left = weight @ torch.exp(-times[:, None] * model.decay)
        still = torch.zeros_like(model.position)
        return ModelGradient(-phi * (pairs + pairs.T) / 2, still, left * model.detect, left * model.start)


@dataclass(frozen=True, eq=False)
class Propagation:
    """A protocol's measurements, each in one encoding, laid out for a device.

    Attributes
    ----------
    encodings : together they have every measurement
    like : an empty tensor of the signal's dtype and device
    count : number of measurements M
    """

    encodings: tuple[Encoding, ...]
    like: Tensor
    count: int

    @classmethod
    def of(cls, protocol: "Protocol", device: torch.device, dtype: torch.dtype, relaxes: bool) -> "Propagation":
        """Lay a protocol out; TimingError where anything relaxes and echo times are missing or too early."""
        echo = echo_times(protocol) if relaxes else np.zeros(len(protocol))
        lead = free_time(protocol, echo) / 2 if relaxes else None
        still = np.flatnonzero(protocol.q == 0)
        acting = np.flatnonzero(protocol.q > 0)
        encodings: list[Encoding] = []
        if len(still):
            encodings.append(Rest(torch.as_tensor(echo[still]), torch.as_tensor(still)))
        if len(acting):
            encodings.append(Pulses(pulse_blocks(protocol, device, dtype, lead), torch.as_tensor(acting)))
        return cls(tuple(encodings), torch.empty(0, dtype=dtype, device=device), len(protocol))

    def signal(self, model: ReducedModel) -> Tensor:
        """(M,) S/S0."""
        signal = self.like.new_empty(self.count)
        for encoding in self.encodings:
            signal[encoding.rows] = encoding.signal(model).to(signal)
        return signal

    def gradient(self, model: ReducedModel, cotangent: Tensor) -> ModelGradient:
        """Derivative of Σ_m w_m S_m with respect to the model, in its dtype, for a cotangent w, (M,)."""
        parts = [encoding.gradient(model, cotangent) for encoding in self.encodings]
        decay, position, start, detect = (
            sum(getattr(part, name).to(model.position) for part in parts)
            for name in ("decay", "position", "start", "detect")
        )
        return ModelGradient(decay, position, start, detect)


def propagated(model: FrozenModel, propagation: Propagation) -> Tensor:
    """Signal of every measurement, (M,), differentiable (once) in the model's matrices."""
    return _Propagated.apply(model.decay, model.position, model.start, model.detect, model.reduced, propagation)


class _Propagated(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        decay: Tensor,
        position: Tensor,
        start: Tensor,
        detect: Tensor,
        model: ReducedModel,
        propagation: Propagation,
    ) -> Tensor:
        ctx.model, ctx.propagation = model, propagation
        return propagation.signal(model)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, cotangent: Tensor) -> tuple[Tensor | None, ...]:
        gradient = ctx.propagation.gradient(ctx.model, cotangent)
        return gradient.decay, gradient.position, gradient.start, gradient.detect, None, None
