"""The textbook way, to compare with: one dense matrix exponential per measurement, gradients by autograd.

The same physics in the same modes: v = exp(−δ (D Λ + i q A)) c and S = Re ⟨v, exp(−(Δ − δ) D Λ) v⟩, in complex128. With
parameters θ the matrices are Λ + Σ θ_p dΛ_p and so on, and one backward pass per measurement gives its row of the
Jacobian.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_remidi.physics.reduction.reduced import ReducedModel, ReducedTangents
from napari_remidi.scan import Protocol


def dense_signal(model: ReducedModel, protocol: Protocol, rows: NDArray, diffusivity: float) -> Tensor:
    """Signal of some measurements, (k,)."""
    with torch.no_grad():
        decay = diffusivity * model.decay.double()
        return torch.stack([
            _measured(torch.diag(decay), model.position.double(), model.start.double(), model.detect.double(),
                      protocol, row, torch.exp(-float(protocol.Delta[row] - protocol.delta[row]) * decay))
            for row in rows
        ])  # fmt: skip


def dense_jacobian(
    model: ReducedModel, tangents: ReducedTangents, protocol: Protocol, rows: NDArray, diffusivity: float
) -> tuple[Tensor, Tensor]:
    """Signal (k,) and Jacobian (k, P) of some measurements."""
    signals, slopes = [], []
    for row in rows:
        theta = torch.zeros(len(tangents.start), dtype=torch.float64, device=tangents.start.device, requires_grad=True)
        decay = diffusivity * (torch.diag(model.decay.double()) + _moved(theta, tangents.decay))
        position = model.position.double() + _moved(theta, tangents.position)
        start, detect = model.start + _moved(theta, tangents.start), model.detect + _moved(theta, tangents.detect)
        between = torch.linalg.matrix_exp(-float(protocol.Delta[row] - protocol.delta[row]) * decay)
        value = _measured(decay, position, start, detect, protocol, row, between)
        (slope,) = torch.autograd.grad(value, theta)
        signals.append(value.detach())
        slopes.append(slope)
    return torch.stack(signals), torch.stack(slopes)


def dense_loss_gradient(
    model: ReducedModel, tangents: ReducedTangents, protocol: Protocol, rows: NDArray, diffusivity: float
) -> Tensor:
    """Gradient (P,) of the sum of squared signals: one forward and one backward pass, as first-order descent takes.

    The real exponential between the pulses is taken once for every separation, not for every measurement.
    """
    theta = torch.zeros(len(tangents.start), dtype=torch.float64, device=tangents.start.device, requires_grad=True)
    decay = diffusivity * (torch.diag(model.decay.double()) + _moved(theta, tangents.decay))
    position = model.position.double() + _moved(theta, tangents.position)
    start, detect = model.start + _moved(theta, tangents.start), model.detect + _moved(theta, tangents.detect)
    waits = protocol.Delta - protocol.delta
    between = {wait: torch.linalg.matrix_exp(-float(wait) * decay) for wait in np.unique(waits[rows])}
    values = [_measured(decay, position, start, detect, protocol, row, between[waits[row]]) for row in rows]
    (slope,) = torch.autograd.grad(torch.stack(values).square().sum(), theta)
    return slope


def _moved(theta: Tensor, change: Tensor) -> Tensor:
    return torch.tensordot(theta, change.double(), dims=1)


def _measured(
    decay: Tensor, position: Tensor, start: Tensor, detect: Tensor, protocol: Protocol, row: int, between: Tensor
) -> Tensor:
    direction = torch.as_tensor(np.array(protocol.bvecs[row]), device=position.device)
    gradient = float(protocol.q[row]) * torch.tensordot(direction, position, dims=1)
    pulse = torch.linalg.matrix_exp(-float(protocol.delta[row]) * torch.complex(decay, gradient))
    v, w = pulse @ start.to(pulse.dtype), pulse @ detect.to(pulse.dtype)
    v = between * v if between.ndim == 1 else between.to(v.dtype) @ v
    return (w.conj() @ v).real
