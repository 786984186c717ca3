"""A protocol's measurements in a reduced model, as a torch function whose backward is the adjoint sweep."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from napari_remidi.physics.frozen import FrozenModel
from napari_remidi.physics.pgse import pgse_signal
from napari_remidi.physics.pgse_gradient import pgse_gradient
from napari_remidi.physics.pulses import PulseBlock, pulse_blocks
from napari_remidi.physics.reduced import ModelGradient, ReducedModel

if TYPE_CHECKING:
    from napari_remidi.scan import Protocol


@dataclass(frozen=True, eq=False)
class Sequences:
    """A protocol's measurements, laid out for a device; for models whose decay rates include the diffusivity.

    Attributes
    ----------
    blocks : pulsed gradients
    count : number of measurements M
    """

    blocks: list[PulseBlock]
    count: int

    @classmethod
    def of(cls, protocol: "Protocol", device: torch.device, dtype: torch.dtype) -> "Sequences":
        """Lay a protocol out."""
        return cls(pulse_blocks(protocol, device, dtype), len(protocol))

    def signal(self, model: ReducedModel) -> Tensor:
        """(M,) S/S0."""
        return pgse_signal(model, self.blocks, 1.0, count=self.count)

    def gradient(self, model: ReducedModel, cotangent: Tensor) -> ModelGradient:
        """Derivative of Σ_m w_m S_m with respect to the model, for a cotangent w, (M,)."""
        return pgse_gradient(model, self.blocks, cotangent, 1.0)


def propagated(model: FrozenModel, sequences: Sequences) -> Tensor:
    """Signal of every measurement, (M,), differentiable (once) in the model's matrices."""
    return _Propagated.apply(model.decay, model.position, model.start, model.detect, model.reduced, sequences)


class _Propagated(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        decay: Tensor,
        position: Tensor,
        start: Tensor,
        detect: Tensor,
        model: ReducedModel,
        sequences: Sequences,
    ) -> Tensor:
        ctx.model, ctx.sequences = model, sequences
        return sequences.signal(model)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, cotangent: Tensor) -> tuple[Tensor | None, ...]:
        gradient = ctx.sequences.gradient(ctx.model, cotangent)
        return gradient.decay, gradient.position, gradient.start, gradient.detect, None, None
