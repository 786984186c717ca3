"""What was done to the spins: b-value, direction, and timing or waveform of every measurement."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_remidi.errors import ProtocolError, TimingError
from napari_remidi.scan.btensor import GAMMA
from napari_remidi.scan.directions import check_b_values, spread_directions, unit_directions
from napari_remidi.scan.protocol_record import protocol_of, record_of
from napari_remidi.scan.shells import Shell, b0_measurements, shells_of
from napari_remidi.scan.timing import PRESETS, UNKNOWN, checked_times, missing_timing_message
from napari_remidi.scan.waveform import Waveform

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Protocol:
    """Measurements by pulsed gradients, by waveforms of any form, or both.

    Attributes
    ----------
    bvals : (M,) s/mm²; of a waveform the trace of its b-tensor
    bvecs : (M, 3) unit vectors in world axes (RAS+); zero where b is; of a waveform its `direction`
    delta, Delta : (M,) ms, pulse duration and separation; NaN where unknown, and for waveforms
    te : (M,) ms, echo times, NaN where unknown; or None
    timing_source : where δ and Δ came from, in words
    waveforms : M waveforms, None for pulsed measurements; or None where all are pulsed

    Examples
    --------
    >>> protocol = Protocol.pgse([0, 1000, 1000], [[0, 0, 0], [1, 0, 0], [0, 0, 1]], delta=5.0, Delta=25.0)
    >>> protocol.shells[0].bval, float(protocol.q[1].round(4))
    (1000.0, 0.0414)
    >>> protocol + Protocol.of_waveforms([Waveform.spherical(delta=20.0, Delta=25.0, b=1000)])
    <Protocol of 4 measurements: b 1000 × 2, STE b 1000 × 1; timing given; waveforms>
    """

    bvals: Floats
    bvecs: Floats
    delta: Floats
    Delta: Floats
    te: Floats | None = None
    timing_source: str = "given"
    waveforms: tuple[Waveform | None, ...] | None = None

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
        check_b_values(b)
        still = b0_measurements(b)
        directions = unit_directions(g, still)
        directions[b == 0] = 0
        echo = None
        if te is not None:
            echo = np.broadcast_to(np.asarray(te, dtype=np.float64), len(b)).copy()
            echo[~(echo > 0)] = np.nan
        if delta is None and Delta is None:
            source = UNKNOWN
        return cls(b, directions, *checked_times(delta, Delta, still), echo, source)

    @classmethod
    def of_waveforms(cls, waveforms: Sequence[Waveform]) -> "Protocol":
        """One measurement for each waveform; ProtocolError where one is something else."""
        given = tuple(waveforms)
        for row, waveform in enumerate(given):
            if not isinstance(waveform, Waveform):
                raise ProtocolError(f"measurement {row} is a {type(waveform).__name__}; give a Waveform for each")
        bvals = np.array([waveform.bval for waveform in given])
        bvecs = np.array([waveform.direction for waveform in given]).reshape(-1, 3)
        unknown = np.full(len(given), np.nan)
        te = np.array([np.nan if waveform.te is None else waveform.te for waveform in given])
        return cls(
            bvals, bvecs, unknown, unknown.copy(), None if np.isnan(te).all() else te, "waveforms", given or None
        )

    def __add__(self, other: "Protocol") -> "Protocol":
        """The measurements of both, in this order."""
        if not isinstance(other, Protocol):
            return NotImplemented
        both = (self, other)
        b, g, delta, Delta = (
            np.concatenate([getattr(part, name) for part in both]) for name in ("bvals", "bvecs", "delta", "Delta")
        )
        te = np.concatenate([np.full(len(part), np.nan) if part.te is None else part.te for part in both])
        waves = [wave for part in both for wave in part.waveforms or (None,) * len(part)]
        sources = "; ".join(dict.fromkeys(word for part in both for word in part.timing_source.split("; ")))
        unknown = self.te is None and other.te is None
        return Protocol(b, g, delta, Delta, None if unknown else te, sources, _or_none(tuple(waves)))

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
        named = [f"{shell.encoding} " if shell.waveform else "" for shell in self.shells]
        counted = zip(named, self.shells[:4], strict=False)
        shells = ", ".join(f"{name}b {shell.bval:.0f} × {len(shell.indices)}" for name, shell in counted)
        more = f" and {len(self.shells) - 4} shells more" if len(self.shells) > 4 else ""
        return f"<Protocol of {len(self)} measurements: {shells}{more}; timing {self.timing_source}>"

    @cached_property
    def is_b0(self) -> NDArray[np.bool_]:
        """Which measurements serve as b = 0, (M,): b < 10 s/mm², or b <= 50 where the scan has none weaker."""
        return b0_measurements(self.bvals)

    @cached_property
    def is_waveform(self) -> NDArray[np.bool_]:
        """Which measurements have a waveform, (M,)."""
        if self.waveforms is None:
            return np.zeros(len(self), dtype=bool)
        return np.array([waveform is not None for waveform in self.waveforms])

    @property
    def has_timing(self) -> bool:
        """Whether δ and Δ are known for every weighted measurement without a waveform."""
        weighted = ~self.is_b0 & ~self.is_waveform
        return bool(np.isfinite(self.delta[weighted]).all() and np.isfinite(self.Delta[weighted]).all())

    @cached_property
    def q(self) -> Floats:
        """γG, (M,) rad/(µm ms), from b = q²δ²(Δ − δ/3); NaN where the timing is unknown and
        for weighted waveforms, 0 at b = 0.
        """
        time = self.delta**2 * (self.Delta - self.delta / 3)
        still = (self.bvals == 0) | (self.is_b0 & np.isnan(time))
        return np.where(still, 0.0, np.sqrt(self.bvals / 1000 / np.where(still, 1.0, time)))

    @property
    def gradient_strength(self) -> Floats:
        """G, (M,) mT/m; of a waveform its peak."""
        strength = self.q / GAMMA
        for row, waveform in enumerate(self.waveforms or ()):
            if waveform is not None:
                strength[row] = waveform.peak
        return strength

    @cached_property
    def shells(self) -> tuple[Shell, ...]:
        """Weighted measurements grouped by timing and b, in order of both; then those that share a waveform's form."""
        return shells_of(self.bvals, self.delta, self.Delta, self.te, self.waveforms)

    def require_timing(self) -> None:
        """Raise TimingError, with the presets, unless every weighted measurement has δ and Δ, or a waveform."""
        if not self.has_timing:
            raise TimingError(missing_timing_message())

    def with_timing(self, delta: ArrayLike | None, Delta: ArrayLike | None, source: str = "typed") -> "Protocol":
        """The same measurements with other timing, ms; None keeps what is known of one; waveforms stay as they are.

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
        checked_delta[self.is_waveform] = checked_Delta[self.is_waveform] = np.nan
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
        waveforms = None if self.waveforms is None else _or_none(tuple(self.waveforms[row] for row in rows))
        timing = self.delta[rows], self.Delta[rows], te, self.timing_source
        return Protocol(self.bvals[rows], self.bvecs[rows], *timing, waveforms)

    def rotated(self, rotation: Floats) -> "Protocol":
        """The same measurements with every direction and waveform turned by a rotation, (3, 3)."""
        waveforms = self.waveforms
        if waveforms is not None:
            waveforms = tuple(None if waveform is None else waveform.rotated(rotation) for waveform in waveforms)
        return replace(self, bvecs=self.bvecs @ np.asarray(rotation).T, waveforms=waveforms)

    def to_dict(self) -> dict[str, Any]:
        """Plain lists, for a report; None where a number is unknown."""
        return record_of(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Protocol":
        """The protocol of a report."""
        return protocol_of(values, cls)


def _or_none(waveforms: tuple[Waveform | None, ...]) -> tuple[Waveform | None, ...] | None:
    return waveforms if any(waveform is not None for waveform in waveforms) else None
