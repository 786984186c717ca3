"""A pulsed-gradient protocol laid out for batched propagation: one block of columns per gradient direction."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

if TYPE_CHECKING:
    from napari_remidi.scan import Protocol


@dataclass(frozen=True, eq=False)
class PulseBlock:
    """Measurements that share a pulse duration: G directions, each with C (padded) gradient strengths.

    Attributes
    ----------
    delta : ms
    directions : (G, 3) unit vectors
    strength : (G, C) q in rad/(µm ms), 0 in padding
    gap : (G, C) Δ − δ in ms
    measurement : (G, C) row of the protocol, −1 in padding
    sign : (G, C) −1 where the measurement's own direction is the opposite one
    lead : (G, C) ms of free decay before the first pulse, and as much after the second; None for none
    """

    delta: float
    directions: Tensor
    strength: Tensor
    gap: Tensor
    measurement: Tensor
    sign: Tensor
    lead: Tensor | None = None

    def part(self, groups: slice) -> "PulseBlock":
        """Some of the directions."""
        return PulseBlock(
            self.delta,
            self.directions[groups],
            self.strength[groups],
            self.gap[groups],
            self.measurement[groups],
            self.sign[groups],
            None if self.lead is None else self.lead[groups],
        )

    def repeated(self, cells: int, count: int) -> "PulseBlock":
        """The same for several cells; the rows of the next one's signal follow after `count`."""
        offset = count * torch.arange(cells, device=self.strength.device).repeat_interleave(len(self.strength))[:, None]
        measurement = self.measurement.repeat(cells, 1)
        return PulseBlock(
            self.delta,
            self.directions.repeat(cells, 1),
            self.strength.repeat(cells, 1),
            self.gap.repeat(cells, 1),
            torch.where(measurement < 0, measurement, measurement + offset),
            self.sign.repeat(cells, 1),
            None if self.lead is None else self.lead.repeat(cells, 1),
        )


def pulse_blocks(
    protocol: "Protocol",
    device: torch.device,
    dtype: torch.dtype = torch.float32,
    lead: NDArray[np.float64] | None = None,
) -> list[PulseBlock]:
    """Group a protocol's weighted measurements by pulse duration and direction; `lead` is theirs, (M,) ms.

    Opposite directions give the same signal (its real part), so they share a block; measurements without gradient
    belong to none, their signal is one.
    """
    q, vectors = protocol.q, protocol.bvecs
    weighted = np.flatnonzero(q > 0)
    blocks = []
    for delta in np.unique(protocol.delta[weighted]):
        rows = weighted[protocol.delta[weighted] == delta]
        sign = hemisphere(vectors[rows])
        axes = vectors[rows] * sign[:, None]
        keys = np.round(axes, 5) + 0.0
        _, first, group = np.unique(keys, axis=0, return_index=True, return_inverse=True)
        group = group.ravel()
        widest = int(np.bincount(group).max())
        measurement = np.full((len(first), widest), -1)
        order = np.argsort(group, kind="stable")
        slot = np.arange(len(order)) - np.searchsorted(group[order], group[order])
        measurement[group[order], slot] = rows[order]
        turned = np.ones_like(measurement, dtype=np.float64)
        turned[group[order], slot] = sign[order]
        held = measurement >= 0
        gap = (protocol.Delta - protocol.delta)[measurement]

        def columns(values: NDArray[np.float64]) -> Tensor:
            return torch.as_tensor(values, dtype=dtype, device=device)

        blocks.append(
            PulseBlock(
                float(delta),
                columns(axes[first]),
                columns(np.where(held, q[measurement], 0.0)),
                columns(np.where(held, gap, 0.0)),
                torch.as_tensor(measurement, device=device),
                columns(turned),
                None if lead is None else columns(np.where(held, lead[measurement], 0.0)),
            )
        )
    return blocks


def hemisphere(vectors: np.ndarray) -> np.ndarray:
    """1 or −1, so that the product's first component that is not zero is positive."""
    leading = np.take_along_axis(vectors, np.argmax(np.abs(vectors) > 1e-6, axis=1)[:, None], axis=1)
    return np.where(leading[:, 0] < 0, -1.0, 1.0)
