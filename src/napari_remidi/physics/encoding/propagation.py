"""A protocol's measurements in a reduced model, as a torch function whose backward is the adjoint sweep."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from typing import Protocol as Interface

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.autograd.function import once_differentiable

from napari_remidi.physics.encoding.echo import echo_times, free_time
from napari_remidi.physics.encoding.pgse import divided_difference, pgse_signal
from napari_remidi.physics.encoding.pgse_gradient import pgse_gradient
from napari_remidi.physics.encoding.pgse_jacobian import pgse_sensitivity
from napari_remidi.physics.encoding.pulses import PulseBlock, pulse_blocks
from napari_remidi.physics.encoding.waveform_blocks import WaveformBlock, waveform_blocks
from napari_remidi.physics.encoding.waveforms import waveform_gradient, waveform_sensitivity, waveform_signal
from napari_remidi.physics.reduction.frozen import FrozenModel
from napari_remidi.physics.reduction.reduced import ModelGradient, ReducedModel, ReducedTangents

if TYPE_CHECKING:
    from napari_remidi.scan import Protocol


class Encoding(Interface):
    """Some of a protocol's measurements, in models whose decay rates include the diffusivity."""

    @property
    def rows(self) -> Tensor:
        """Which measurements, (k,)."""

    def signal(self, model: ReducedModel, refine: int = 1) -> Tensor:
        """Signals of the rows, (k,), with `refine` times as many steps as by default."""

    def gradient(self, model: ReducedModel, cotangent: Tensor) -> ModelGradient:
        """Derivative of Σ_m w_m S_m over the rows, for a cotangent w of all measurements, (M,)."""

    def jacobian(self, model: ReducedModel, tangents: ReducedTangents) -> Tensor:
        """Derivative of the rows' signals with respect to the parameters of the tangents, (k, P)."""


@dataclass(frozen=True, eq=False)
class Pulses:
    """Measurements with two pulsed gradients."""

    blocks: list[PulseBlock]
    rows: Tensor

    def signal(self, model: ReducedModel, refine: int = 1) -> Tensor:
        """Signals of the rows, (k,), with `refine` times as many steps as by default."""
        return pgse_signal(model, self.blocks, 1.0, refine=refine)[self.rows]

    def gradient(self, model: ReducedModel, cotangent: Tensor) -> ModelGradient:
        """Derivative of Σ_m w_m S_m over the rows."""
        return pgse_gradient(model, self.blocks, cotangent, 1.0)

    def jacobian(self, model: ReducedModel, tangents: ReducedTangents) -> Tensor:
        """Derivative of the rows' signals, (k, P)."""
        return pgse_sensitivity(model, tangents, self.blocks, 1.0, exact=True).shape[self.rows]


@dataclass(frozen=True, eq=False)
class Waveforms:
    """Measurements with gradients of any course."""

    blocks: list[WaveformBlock]
    rows: Tensor

    def signal(self, model: ReducedModel, refine: int = 1) -> Tensor:
        """Signals of the rows, (k,), with `refine` times as many steps as by default."""
        return waveform_signal(model, self.blocks, 1.0, refine=refine).real[self.rows]

    def gradient(self, model: ReducedModel, cotangent: Tensor) -> ModelGradient:
        """Derivative of Σ_m w_m S_m over the rows."""
        return waveform_gradient(model, self.blocks, cotangent, 1.0)

    def jacobian(self, model: ReducedModel, tangents: ReducedTangents) -> Tensor:
        """Derivative of the rows' signals, (k, P)."""
        return waveform_sensitivity(model, tangents, self.blocks, 1.0).shape[self.rows]


@dataclass(frozen=True, eq=False)
class Rest:
    """Measurements without gradient: S = Σ_j detect_j e^{−t λ_j} start_j."""

    times: Tensor
    rows: Tensor

    def signal(self, model: ReducedModel, refine: int = 1) -> Tensor:
        """Signals of the rows, (k,), with `refine` times as many steps as by default."""
        times = self.times.to(model.decay)
        return torch.exp(-times[:, None] * model.decay) @ (model.start * model.detect)

    def gradient(self, model: ReducedModel, cotangent: Tensor) -> ModelGradient:
        """Derivative of Σ_m w_m S_m over the rows."""
        weight = cotangent[self.rows].to(model.decay)
        on_decay, damping = self._derivatives(model)
        still, left = torch.zeros_like(model.position), weight @ damping
        return ModelGradient(
            torch.einsum("m,mij->ij", weight, on_decay), still, left * model.detect, left * model.start
        )

    def jacobian(self, model: ReducedModel, tangents: ReducedTangents) -> Tensor:
        """Derivative of the rows' signals, (k, P)."""
        on_decay, damping = self._derivatives(model)
        ends = model.detect * tangents.start + model.start * tangents.detect
        return torch.einsum("mij,pij->mp", on_decay, tangents.decay.to(on_decay)) + damping @ ends.T

    def _derivatives(self, model: ReducedModel) -> tuple[Tensor, Tensor]:
        """∂S/∂Λ, (k, r, r), and e^{−tΛ}, (k, r)."""
        times = self.times.to(model.decay)
        pairs = model.detect[:, None] * model.start
        on_decay = -divided_difference(model.decay, times[None])[0] * (pairs + pairs.T) / 2
        return on_decay, torch.exp(-times[:, None] * model.decay)


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
        acting = protocol.gradient_strength > 0
        encodings: list[Encoding] = []
        if (still := ~acting).any():
            encodings.append(Rest(torch.as_tensor(echo[still]), _rows(still)))
        if (pulsed := acting & ~protocol.is_waveform).any():
            encodings.append(Pulses(pulse_blocks(protocol, device, dtype, lead), _rows(pulsed)))
        if (shaped := acting & protocol.is_waveform).any():
            encodings.append(Waveforms(waveform_blocks(protocol, device, dtype, lead), _rows(shaped)))
        return cls(tuple(encodings), torch.empty(0, dtype=dtype, device=device), len(protocol))

    def signal(self, model: ReducedModel, refine: int = 1) -> Tensor:
        """(M,) S/S0, with `refine` times as many steps as by default."""
        signal = self.like.new_empty(self.count)
        for encoding in self.encodings:
            signal[encoding.rows] = encoding.signal(model, refine).to(signal)
        return signal

    def gradient(self, model: ReducedModel, cotangent: Tensor) -> ModelGradient:
        """Derivative of Σ_m w_m S_m with respect to the model, in its dtype, for a cotangent w, (M,)."""
        parts = [encoding.gradient(model, cotangent) for encoding in self.encodings]
        decay, position, start, detect = (
            sum(getattr(part, name).to(model.position) for part in parts)
            for name in ("decay", "position", "start", "detect")
        )
        return ModelGradient(decay, position, start, detect)

    def jacobian(self, model: ReducedModel, tangents: ReducedTangents) -> Tensor:
        """Derivative of every signal with respect to the parameters of the tangents, (M, P)."""
        jacobian = self.like.new_empty(self.count, len(tangents.start))
        for encoding in self.encodings:
            jacobian[encoding.rows] = encoding.jacobian(model, tangents).to(jacobian)
        return jacobian


def _rows(mask: NDArray[np.bool_]) -> Tensor:
    return torch.as_tensor(np.flatnonzero(mask))


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
