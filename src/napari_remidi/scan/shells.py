"""Which measurements belong together: b = 0 volumes, and shells that share b and timing."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
TRUE_B0, LOOSE_B0 = 10.0, 50.0  # s/mm²; the second where a scan has no weaker measurement
SAME_B, WIDEST_SHELL, LEAST_STEP = 0.03, 0.10, 5.0  # relative, relative, s/mm²
SAME_TE = 1.0  # ms


@dataclass(frozen=True, eq=False)
class Shell:
    """Measurements that share b, δ and Δ (and echo time).

    Attributes
    ----------
    bval : mean, s/mm²
    delta, Delta : ms, NaN where unknown
    te : mean, ms, or None where unknown
    indices : (k,) rows of the protocol
    """

    bval: float
    delta: float
    Delta: float
    te: float | None
    indices: NDArray[np.int64]


def b0_measurements(bvals: Floats) -> NDArray[np.bool_]:
    """Which measurements serve as b = 0, (M,): b < 10 s/mm², or b <= 50 where a scan has none weaker.

    A weak shell beside true zeros (b = 41 in a q-space scan) is a measurement, not a zero; a scan whose weakest volume
    has b = 15 uses that.
    """
    zeros = bvals < TRUE_B0
    return zeros if zeros.any() else bvals <= LOOSE_B0


def shells_of(bvals: Floats, delta: Floats, Delta: Floats, te: Floats | None) -> tuple[Shell, ...]:
    """Weighted measurements grouped by timing and b, in order of both.

    A shell ends where the next b is more than 3 % (5 s/mm²) higher, or 10 % above the shell's lowest: nominal b-values
    scatter by a percent or two from direction to direction.
    """
    weighted = np.flatnonzero(~b0_measurements(bvals))
    echo = np.full(len(bvals), np.nan) if te is None else te
    group = runs(np.nan_to_num(echo, nan=-SAME_TE), SAME_TE)
    keys = np.round(np.stack([np.nan_to_num(delta, nan=-1.0), np.nan_to_num(Delta, nan=-1.0), group], axis=1), 3)
    found = []
    for key in np.unique(keys[weighted], axis=0):
        rows = weighted[(keys[weighted] == key).all(axis=1)]
        rows = rows[np.argsort(bvals[rows], kind="stable")]
        for part in _split_by_b(rows, bvals):
            mean_te = float(np.round(echo[part].mean(), 3))
            found.append(
                Shell(
                    float(np.round(bvals[part].mean(), 3)),
                    float(delta[part[0]]),
                    float(Delta[part[0]]),
                    None if np.isnan(mean_te) else mean_te,
                    np.sort(part),
                )
            )
    return tuple(sorted(found, key=lambda shell: (shell.delta, shell.Delta, shell.te or 0.0, shell.bval)))


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
