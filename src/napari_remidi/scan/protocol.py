"""What was done to the spins: b-value, direction and timing of every measurement."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_remidi.errors import ProtocolError, TimingError
from napari_remidi.scan.shells import Shell, b0_measurements, shells_of
from napari_remidi.scan.timing import PRESETS, UNKNOWN, checked_times, missing_timing_message

Floats = NDArray[np.float64]
GAMMA = 2.67522e-4  # rad/(µm ms) for 1 mT/m
UNIT = 0.05  # how far from one a b-vector's length may be


@dataclass(frozen=True, eq=False)
class Protocol:
    """Pulsed-gradient spin-echo measurements.

    Attributes
    ----------
    bvals : (M,) s/mm²
    bvecs : (M, 3) unit vectors in world axes (RAS+); zero where b is
    delta, Delta : (M,) ms, pulse duration and separation; NaN where unknown
    te : (M,) ms, echo times, NaN where unknown; or None
    timing_source : where δ and Δ came from, in words

    Examples
    --------
    >>> protocol = Protocol.pgse([0, 1000, 1000], [[0, 0, 0], [1, 0, 0], [0, 0, 1]], delta=5.0, Delta=25.0)
    >>> protocol.shells[0].bval, float(protocol.q[1].round(4))
    (1000.0, 0.0414)
    """

    bvals: Floats
    bvecs: Floats
    delta: Floats
    Delta: Floats
    te: Floats | None = None
    timing_source: str = "given"

    @classmethod
    def pgse(
        cls,
        bvals: ArrayLike,
        bvecs: ArrayLike,
        delta: ArrayLike | None,
        Delta: ArrayLike | None,
        te: ArrayLike | None = None,
        source: str = "given",
    ) -> "Protocol":
        """Check and complete the numbers of a protocol.

        Parameters
        ----------
        bvals : (M,) s/mm²
        bvecs : (M, 3) unit vectors, world axes; NaN or anything where b = 0
        delta, Delta : ms, scalar or (M,); None where unknown; zero or NaN where b = 0
        te : ms, scalar or (M,), zero or NaN where unknown; or None
        source : where the timing came from, in words

        Raises
        ------
        ProtocolError
            For counts that differ, b-values that are negative or not finite, b-vectors that are no unit vectors.
        TimingError
            For δ > Δ, or values in the wrong unit.
        """
        b = np.atleast_1d(np.array(bvals, dtype=np.float64))
        g = np.atleast_2d(np.array(bvecs, dtype=np.float64))
        if b.ndim != 1 or g.shape != (len(b), 3):
            raise ProtocolError(f"{b.size} b-values, but b-vectors of shape {g.shape}: every volume needs one of each")
        _check_b_values(b)
        still = b0_measurements(b)
        directions = _unit_directions(g, still)
        directions[b == 0] = 0
        echo = None
        if te is not None:
            echo = np.broadcast_to(np.asarray(te, dtype=np.float64), len(b)).copy()
            echo[~(echo > 0)] = np.nan
        if delta is None and Delta is None:
            source = UNKNOWN
        return cls(b, directions, *checked_times(delta, Delta, still), echo, source)

    @classmethod
    def paper(cls) -> "Protocol":
        """The ReMiDi paper's protocol: 30 directions, b 0 to 10000 s/mm² by 500, δ 5 ms, Δ 10, 25 and 50 ms."""
        b, Delta, which = (
            axis.ravel()
            for axis in np.meshgrid(np.arange(21) * 500.0, [10.0, 25.0, 50.0], np.arange(30), indexing="ij")
        )
        return cls.pgse(b, spread_directions(30)[which.astype(int)], 5.0, Delta, source="preset ReMiDi paper")

    def __len__(self) -> int:
        return len(self.bvals)

    def __repr__(self) -> str:
        shells = ", ".join(f"b {shell.bval:.0f} × {len(shell.indices)}" for shell in self.shells[:4])
        more = f" and {len(self.shells) - 4} shells more" if len(self.shells) > 4 else ""
        return f"<Protocol of {len(self)} measurements: {shells}{more}; timing {self.timing_source}>"

    @cached_property
    def is_b0(self) -> NDArray[np.bool_]:
        """Which measurements serve as b = 0, (M,): b < 10 s/mm², or b <= 50 where the scan has none weaker."""
        return b0_measurements(self.bvals)

    @property
    def has_timing(self) -> bool:
        """Whether δ and Δ are known for every weighted measurement."""
        weighted = ~self.is_b0
        return bool(np.isfinite(self.delta[weighted]).all() and np.isfinite(self.Delta[weighted]).all())

    @cached_property
    def q(self) -> Floats:
        """γG, (M,) rad/(µm ms), from b = q²δ²(Δ − δ/3); NaN where the timing is unknown, 0 at b = 0."""
        time = self.delta**2 * (self.Delta - self.delta / 3)
        still = (self.bvals == 0) | (self.is_b0 & np.isnan(time))
        return np.where(still, 0.0, np.sqrt(self.bvals / 1000 / np.where(still, 1.0, time)))

    @property
    def gradient_strength(self) -> Floats:
        """G, (M,) mT/m."""
        return self.q / GAMMA

    @cached_property
    def shells(self) -> tuple[Shell, ...]:
        """Weighted measurements grouped by timing and b, in order of both."""
        return shells_of(self.bvals, self.delta, self.Delta, self.te)

    def require_timing(self) -> None:
        """Raise TimingError, with the presets, unless every weighted measurement has δ and Δ."""
        if not self.has_timing:
            raise TimingError(missing_timing_message())

    def with_timing(self, delta: ArrayLike | None, Delta: ArrayLike | None, source: str = "typed") -> "Protocol":
        """The same measurements with other timing, ms; None keeps what is known of one of the two.

        Raises
        ------
        TimingError
            For values that contradict each other or are in the wrong unit, or if one of the two is still missing.
        """
        short, long = self.delta if delta is None else delta, self.Delta if Delta is None else Delta
        for given, other, name, lacking in ((delta, long, "delta", "Delta"), (Delta, short, "Delta", "delta")):
            if given is not None and not np.isfinite(np.asarray(other, dtype=np.float64)).any():
                raise TimingError(f"{name} is given, but nothing records {lacking}: give both, in ms")
        if delta is None or Delta is None:
            source = f"{self.timing_source}; {'Delta' if delta is None else 'delta'} {source}"
        checked_delta, checked_Delta = checked_times(short, long, self.is_b0)
        return replace(self, delta=checked_delta, Delta=checked_Delta, timing_source=source)

    def with_preset(self, name: str) -> "Protocol":
        """The same measurements with a preset's timing; TimingError for a preset with several Δs or an unknown name."""
        if name not in PRESETS:
            raise TimingError(f"timing preset {name!r} is unknown; choose one of {', '.join(PRESETS)}")
        timing = PRESETS[name]
        if len(timing.Delta) > 1:
            raise TimingError(
                f"preset {name!r} has {len(timing.Delta)} separations: give Delta for every measurement, in ms"
            )
        return self.with_timing(timing.delta, timing.Delta[0], f"preset {name}")

    def subset(self, which: ArrayLike) -> "Protocol":
        """Some of the measurements: a mask (M,) or rows."""
        rows = np.arange(len(self))[np.asarray(which)]
        te = None if self.te is None else self.te[rows]
        return Protocol(self.bvals[rows], self.bvecs[rows], self.delta[rows], self.Delta[rows], te, self.timing_source)

    def rotated(self, rotation: Floats) -> "Protocol":
        """The same measurements with every direction turned by a rotation, (3, 3)."""
        return replace(self, bvecs=self.bvecs @ np.asarray(rotation).T)

    def to_dict(self) -> dict[str, Any]:
        """Plain lists, for a report; None where a number is unknown."""
        return {
            "bvals": self.bvals.tolist(),
            "bvecs": self.bvecs.tolist(),
            "delta": _plain(self.delta),
            "Delta": _plain(self.Delta),
            "te": None if self.te is None else _plain(self.te),
            "timing_source": self.timing_source,
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Protocol":
        """The protocol of a report."""

        def times(name: str) -> Floats | None:
            return None if values.get(name) is None else np.array(values[name], dtype=np.float64)

        source = values.get("timing_source", "given")
        return cls.pgse(values["bvals"], values["bvecs"], times("delta"), times("Delta"), times("te"), source=source)


def spread_directions(count: int) -> Floats:
    """Directions spread evenly over half a sphere (Fibonacci), (count, 3)."""
    z = 1 - (np.arange(count) + 0.5) / count
    azimuth = np.pi * (1 + np.sqrt(5)) * np.arange(count)
    across = np.sqrt(1 - z**2)
    return np.stack([across * np.cos(azimuth), across * np.sin(azimuth), z], axis=1)


def _check_b_values(b: Floats) -> None:
    if bad := int((~np.isfinite(b)).sum()):
        raise ProtocolError(f"{bad} of {len(b)} b-values are not finite; correct the b-value file")
    if (b < 0).any():
        raise ProtocolError(f"{int((b < 0).sum())} of {len(b)} b-values are negative; correct the b-value file")
    if 0 < b.max(initial=0) < 50:
        raise ProtocolError(f"the largest b-value is {b.max():g} s/mm²: give s/mm² (1 ms/µm² is 1000 s/mm²)")


def _unit_directions(g: Floats, still: NDArray[np.bool_]) -> Floats:
    """Unit vectors, (M, 3); zero where there is none, which only b = 0 measurements may have."""
    length = np.linalg.norm(g, axis=1)
    if (nan := ~np.isfinite(length) & ~still).any():
        raise ProtocolError(
            f"{int(nan.sum())} of {len(g)} b-vectors are NaN (volumes {_listed(nan)}); b=0 volumes may have any "
            "direction, others must be unit vectors"
        )
    if (uneven := ~still & (np.abs(length - 1) > UNIT)).any():
        row = int(np.flatnonzero(uneven)[0])
        raise ProtocolError(
            f"{int(uneven.sum())} of {len(g)} b-vectors are not unit vectors (volumes {_listed(uneven)}; the first "
            f"has length {length[row]:.3g}): normalise them, or check that the file holds directions"
        )
    directions = np.zeros_like(g)
    moving = np.isfinite(length) & (length > 0.5)
    directions[moving] = g[moving] / length[moving, None]
    return directions


def _plain(values: Floats) -> list[float | None]:
    return [None if np.isnan(value) else float(value) for value in values]


def _listed(mask: NDArray[np.bool_], most: int = 5) -> str:
    rows = np.flatnonzero(mask)
    return ", ".join(map(str, rows[:most])) + (", ..." if len(rows) > most else "")
