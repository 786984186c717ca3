"""Waveforms laid out for batched propagation: distinct courses g(t), and columns that each follow one of them."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_remidi.physics.encoding.pulses import hemisphere
from napari_remidi.scan.btensor import GAMMA

if TYPE_CHECKING:
    from napari_remidi.scan import Protocol
    from napari_remidi.scan.sampled_gradient import SampledGradient

Floats = NDArray[np.float64]
STRAIGHT = 1e-9  # share of a gradient's energy that may leave its line
DIGITS = 9  # to which directions and courses must agree to be one


@dataclass(frozen=True, eq=False)
class WaveformBlock:
    """Measurements whose courses have about as many intervals: G groups, each with C (padded) columns.

    A group has X axes: one where its gradients keep one direction, the world's three where they turn. During an
    interval k of a column's course w the gradient is Σ_x strength · course[w, k, x] · axes[g, x].

    Attributes
    ----------
    axes : (G, X, 3) unit vectors, world
    duration : (W, K) ms, of every course's intervals of constant gradient, 0 in padding; float64, on the CPU
    course : (W, K, X) relative gradient, at most one; float64, on the CPU
    which : (G, C) course of every column; on the CPU
    strength : (G, C) γ times the peak, signed, rad/(µm ms); 0 in padding
    measurement : (G, C) row of the protocol, −1 in padding
    """

    axes: Tensor
    duration: Tensor
    course: Tensor
    which: Tensor
    strength: Tensor
    measurement: Tensor

    def part(self, groups: slice, columns: slice) -> "WaveformBlock":
        """Some of the groups and of their columns."""
        chosen = (groups, columns)
        return replace(
            self,
            axes=self.axes[groups],
            which=self.which[chosen],
            strength=self.strength[chosen],
            measurement=self.measurement[chosen],
        )


@dataclass(frozen=True, eq=False)
class _Column:
    row: int
    axes: Floats  # (X, 3)
    strength: float
    duration: Floats  # (K,)
    course: Floats  # (K, X)


def waveform_blocks(
    protocol: "Protocol",
    device: torch.device,
    dtype: torch.dtype = torch.float32,
    lead: Floats | None = None,
) -> list[WaveformBlock]:
    """Group a protocol's waveforms by direction (or none) and by the number of their intervals, within a factor of two.

    `lead`, (M,) ms, is free decay before a waveform, and as much after it. Equal samples in a row are one interval.
    Waveforms that are zero throughout belong to no block, their signal is one.
    """
    families: dict[tuple[int, int], list[_Column]] = {}
    for row, waveform in enumerate(protocol.waveforms or ()):
        if waveform is not None and waveform.peak > 0:
            column = _column(row, waveform)
            if lead is not None:
                column = _at_rest_around(column, float(lead[row]))
            size = int(np.ceil(np.log2(len(column.duration))))
            families.setdefault((len(column.axes), size), []).append(column)
    return [_block(columns, device, dtype) for columns in families.values()]


def _column(row: int, waveform: "SampledGradient") -> _Column:
    gradient = waveform.gradient
    change = np.abs(np.diff(gradient, axis=0)).max(axis=1) > 1e-12 * waveform.peak
    first = np.concatenate([[0], np.flatnonzero(change) + 1])
    duration = np.diff(np.concatenate([first, [len(gradient)]])) * waveform.dt
    spread, lines = np.linalg.svd(gradient[first], full_matrices=False)[1:]
    axes = np.eye(3)
    if (spread[1:] ** 2).sum() <= STRAIGHT * spread[0] ** 2:
        axes = lines[:1] * hemisphere(lines[:1])[:, None]
    course = gradient[first] @ axes.T
    peak = float(np.abs(course).max())
    if len(axes) == 1 and course[np.argmax(np.abs(course) > 1e-9 * peak)] < 0:
        peak = -peak
    return _Column(row, axes, GAMMA * peak, duration, course / peak)


def _at_rest_around(column: _Column, lead: float) -> _Column:
    course = np.pad(column.course, ((1, 1), (0, 0)))
    return replace(column, duration=np.pad(column.duration, 1, constant_values=lead), course=course)


def _block(columns: list[_Column], device: torch.device, dtype: torch.dtype) -> WaveformBlock:
    """Columns with the same number of axes, sorted into groups that share them."""
    axes, group = _distinct([column.axes for column in columns])
    pairs = [np.column_stack([column.duration, column.course]) for column in columns]
    longest = max(map(len, pairs))
    courses, which = _distinct([np.pad(pair, ((0, longest - len(pair)), (0, 0))) for pair in pairs])
    widest = int(np.bincount(group).max())
    measurement = np.full((len(axes), widest), -1)
    follows = np.zeros((len(axes), widest), dtype=np.int64)
    strength = np.zeros((len(axes), widest))
    # columns of one course beside each other, so that a part of them follows few courses
    order = np.lexsort((which, group))
    slot = np.arange(len(order)) - np.searchsorted(group[order], group[order])
    place = (group[order], slot)
    measurement[place] = np.array([column.row for column in columns])[order]
    follows[place] = which[order]
    strength[place] = np.array([column.strength for column in columns])[order]
    return WaveformBlock(
        torch.as_tensor(axes, dtype=dtype, device=device),
        torch.as_tensor(courses[..., 0].copy()),
        torch.as_tensor(courses[..., 1:].copy()),
        torch.as_tensor(follows),
        torch.as_tensor(strength, dtype=dtype, device=device),
        torch.as_tensor(measurement, device=device),
    )


def _distinct(arrays: list[Floats]) -> tuple[Floats, NDArray[np.int64]]:
    """Different arrays of one shape, stacked, and which of them each is."""
    found: dict[bytes, int] = {}
    kept: list[Floats] = []
    which: list[int] = []
    for array in arrays:
        key = (np.round(array, DIGITS) + 0.0).tobytes()
        if key not in found:
            found[key] = len(kept)
            kept.append(array)
        which.append(found[key])
    return np.stack(kept), np.array(which)
