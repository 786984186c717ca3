"""Which measurements belong together: b = 0 volumes, and shells that share b and timing, or b and waveform."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_remidi.scan.btensor import encoding_name
from napari_remidi.scan.sampled_gradient import SampledGradient

Floats = NDArray[np.float64]
TRUE_B0, LOOSE_B0 = 10.0, 50.0  # s/mm²; the second where a scan has no weaker measurement
SAME_B, WIDEST_SHELL, LEAST_STEP = 0.03, 0.10, 5.0  # relative, relative, s/mm²
SAME_TE = 1.0  # ms
SAME_FORM = 2e-3  # of the peak


@dataclass(frozen=True, eq=False)
class Shell:
    """Measurements that share b, δ and Δ, or the form of their waveform (and echo time).

    Attributes
    ----------
    bval : mean, s/mm²
    delta, Delta : ms, NaN where unknown, and for waveforms
    te : mean, ms, or None where unknown
    indices : (k,) rows of the protocol
    b_delta : shape of the b-tensor, 1 for pulses along one direction
    waveform : its name, or None for pulses given by δ and Δ
    """

    bval: float
    delta: float
    Delta: float
    te: float | None
    indices: NDArray[np.int64]
    b_delta: float = 1.0
    waveform: str | None = None

    @property
    def encoding(self) -> str:
        """LTE, PTE or STE, or the value of `b_delta`."""
        return encoding_name(self.b_delta)


def b0_measurements(bvals: Floats) -> NDArray[np.bool_]:
    """Which measurements serve as b = 0, (M,): b < 10 s/mm², or b <= 50 where a scan has none weaker.

    A weak shell beside true zeros (b = 41 in a q-space scan) is a measurement, not a zero; a scan whose weakest volume
    has b = 15 uses that.
    """
    zeros = bvals < TRUE_B0
    return zeros if zeros.any() else bvals <= LOOSE_B0


def shells_of(
    bvals: Floats,
    delta: Floats,
    Delta: Floats,
    te: Floats | None,
    waveforms: Sequence[SampledGradient | None] | None = None,
) -> tuple[Shell, ...]:
    """Weighted measurements grouped by timing, form of the waveform and b, in order of these; pulses first.

    A shell ends where the next b is more than 3 % (5 s/mm²) higher, or 10 % above the shell's lowest: nominal b-values
    scatter by a percent or two from direction to direction.
    """
    weighted = np.flatnonzero(~b0_measurements(bvals))
    echo = np.full(len(bvals), np.nan) if te is None else te
    group = runs(np.nan_to_num(echo, nan=-SAME_TE), SAME_TE)
    times = [np.nan_to_num(delta, nan=-1.0), np.nan_to_num(Delta, nan=-1.0)]
    form = np.zeros(len(bvals)) if waveforms is None else forms_of(waveforms)
    keys = np.round(np.stack([form, *times, group], axis=1), 3)
    found = []
    for key in np.unique(keys[weighted], axis=0):
        rows = weighted[(keys[weighted] == key).all(axis=1)]
        rows = rows[np.argsort(bvals[rows], kind="stable")]
        for part in _split_by_b(rows, bvals):
            mean_te = float(np.round(echo[part].mean(), 3))
            waveform = None if waveforms is None else waveforms[part[0]]
            shell = Shell(
                float(np.round(bvals[part].mean(), 3)),
                float(delta[part[0]]),
                float(Delta[part[0]]),
                None if np.isnan(mean_te) else mean_te,
                np.sort(part),
                1.0 if waveform is None else float(np.round(waveform.b_delta, 3)) + 0.0,
                None if waveform is None else waveform.name,
            )
            order = (key[0], *np.nan_to_num([shell.delta, shell.Delta], nan=-1.0), shell.te or 0.0, shell.bval)
            found.append((order, shell))
    return tuple(shell for _, shell in sorted(found, key=lambda pair: pair[0]))


def forms_of(waveforms: Sequence[SampledGradient | None]) -> Floats:
    """Number of the form of every waveform, (M,) from 1 in order of appearance, 0 where there is none.

    One form: the same steps, |g(t)| and |k(t)| up to a factor, and b_Δ: whatever the strength and the orientation.
    """
    seen: list[Floats] = []
    numbers = np.zeros(len(waveforms))
    for row, waveform in enumerate(waveforms):
        if waveform is None:
            continue
        lengths = [np.linalg.norm(rows, axis=1) for rows in (waveform.gradient, waveform.moment)]
        relative = [length / max(length.max(), 1e-300) for length in lengths]
        own = np.concatenate([[waveform.dt, waveform.b_delta], *relative])
        alike = (n for n, other in enumerate(seen, 1) if _same_form(own, other))
        numbers[row] = next(alike, len(seen) + 1)
        if numbers[row] > len(seen):
            seen.append(own)
    return numbers


def _same_form(one: Floats, other: Floats) -> bool:
    return one.shape == other.shape and np.allclose(one, other, rtol=0, atol=SAME_FORM, equal_nan=True)


def runs(values: Floats, gap: float) -> NDArray[np.int64]:
    """Number of the group of every value, (M,): sorted values less than a gap apart share one."""
    order = np.argsort(values, kind="stable")
    numbers = np.zeros(len(values), dtype=np.int64)
    numbers[order[1:]] = np.cumsum(np.diff(values[order]) > gap)
    return numbers


def _split_by_b(rows: NDArray[np.int64], bvals: Floats) -> list[NDArray[np.int64]]:
    """Rows in order of b, cut into shells."""
    parts: list[list[int]] = []
    for row in rows:
        b = bvals[row]
        if parts:
            step, width = b - bvals[parts[-1][-1]], b - bvals[parts[-1][0]]
            if step <= max(SAME_B * b, LEAST_STEP) and width <= max(WIDEST_SHELL * b, LEAST_STEP):
                parts[-1].append(int(row))
                continue
        parts.append([int(row)])
    return [np.array(part, dtype=np.int64) for part in parts]
