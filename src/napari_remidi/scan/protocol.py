"""What was done to the spins: b-value, direction and timing of every measurement."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_remidi.errors import ProtocolError, TimingError
from napari_remidi.scan.timing import PRESETS, checked_times, missing_timing_message

Floats = NDArray[np.float64]
GAMMA = 2.67522e-4  # rad/(µm ms) for 1 mT/m
TRUE_B0, LOOSE_B0 = 10.0, 50.0  # s/mm²; the second where a scan has no weaker measurement
SAME_B, SAME_TE = 0.03, 1.0  # relative, and ms: differences within a shell


@dataclass(frozen=True)
class Shell:
    """Measurements that share b, δ and Δ.

    Attributes
    ----------
    bval : mean, s/mm²
    delta, Delta : ms
    indices : (k,) rows of the protocol
    """

    bval: float
    delta: float
    Delta: float
    indices: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Protocol:
    """Pulsed-gradient spin-echo measurements.

    Attributes
    ----------
    bvals : (M,) s/mm²
    bvecs : (M, 3) unit vectors in world axes (RAS+); zero where b is
    delta, Delta : (M,) ms, pulse duration and separation; NaN where unknown
    te : (M,) ms, echo times, or None
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
        delta, Delta : ms, scalar or (M,); None where unknown
        te : ms, scalar or (M,), or None
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
        if bad := int((~np.isfinite(b)).sum()):
            raise ProtocolError(f"{bad} of {len(b)} b-values are not finite; correct the b-value file")
        if (b < 0).any():
            raise ProtocolError(f"{int((b < 0).sum())} of {len(b)} b-values are negative; correct the b-value file")
        if b.max(initial=0) > 0 and b.max() < 50:
            raise ProtocolError(f"the largest b-value is {b.max():g} s/mm²: give s/mm² (1 ms/µm² is 1000 s/mm²)")
        still = _b0(b)
        length = np.linalg.norm(g, axis=1)
        nan = ~np.isfinite(length) & ~still
        if nan.any():
            raise ProtocolError(
                f"{int(nan.sum())} of {len(b)} b-vectors are NaN (volumes {_listed(nan)}); b=0 volumes may have any "
                "direction, others must be unit vectors"
            )
        uneven = ~still & (np.abs(length - 1) > 0.05)
        if uneven.any():
            row = int(np.flatnonzero(uneven)[0])
            raise ProtocolError(
                f"{int(uneven.sum())} of {len(b)} b-vectors are not unit vectors (volumes {_listed(uneven)}; the first "
                f"has length {length[row]:.3g}): normalise them, or check that the file holds directions"
            )
        directions = np.zeros_like(g)
        moving = np.isfinite(length) & (length > 0.5)
        directions[moving] = g[moving] / length[moving, None]
        directions[b == 0] = 0
        known = checked_times(delta, Delta, len(b))
        echo = None if te is None else np.broadcast_to(np.asarray(te, dtype=np.float64), len(b)).copy()
        return cls(b, directions, *known, echo, source)

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

    @cached_property
    def is_b0(self) -> NDArray[np.bool_]:
        """Which measurements serve as b = 0, (M,): b < 10 s/mm², or b <= 50 where the scan has none weaker."""
        return _b0(self.bvals)

    @property
    def has_timing(self) -> bool:
        """Whether δ and Δ are known for every weighted measurement."""
        weighted = self.bvals > 0
        return bool(np.isfinite(self.delta[weighted]).all() and np.isfinite(self.Delta[weighted]).all())

    @cached_property
    def q(self) -> Floats:
        """γG, (M,) rad/(µm ms), from b = q²δ²(Δ − δ/3); NaN where the timing is unknown."""
        time = np.where(self.bvals > 0, self.delta**2 * (self.Delta - self.delta / 3), 1.0)
        return np.sqrt(self.bvals / 1000 / time)

    @property
    def gradient_strength(self) -> Floats:
        """G, (M,) mT/m."""
        return self.q / GAMMA

    @cached_property
    def timing_group(self) -> NDArray[np.int64]:
        """Measurements that share δ, Δ and (within 1 ms) TE have the same number, (M,)."""
        te = np.zeros(len(self)) if self.te is None else np.round((self.te - np.nanmin(self.te)) / SAME_TE)
        keys = np.stack([np.nan_to_num(self.delta, nan=-1), np.nan_to_num(self.Delta, nan=-1), te], axis=1)
        return np.unique(np.round(keys, 3), axis=0, return_inverse=True)[1].ravel()

    @cached_property
    def shells(self) -> tuple[Shell, ...]:
        """Weighted measurements grouped by timing and b (within 3 %), in order of both."""
        found = []
        for group in np.unique(self.timing_group):
            rows = np.flatnonzero((self.timing_group == group) & ~self.is_b0)
            rows = rows[np.argsort(self.bvals[rows], kind="stable")]
            b = self.bvals[rows]
            cuts = np.flatnonzero(np.diff(b) > np.maximum(SAME_B * b[1:], 5.0)) + 1
            for part in np.split(rows, cuts):
                if len(part):
                    first = int(part[0])
                    mean = float(np.round(self.bvals[part].mean(), 3))
                    found.append(Shell(mean, float(self.delta[first]), float(self.Delta[first]), np.sort(part)))
        return tuple(sorted(found, key=lambda shell: (shell.delta, shell.Delta, shell.bval)))

    def require_timing(self) -> None:
        """Raise TimingError, with the presets, unless every weighted measurement has δ and Δ."""
        if not self.has_timing:
            raise TimingError(missing_timing_message())

    def with_timing(self, delta: ArrayLike, Delta: ArrayLike, source: str = "typed") -> "Protocol":
        """The same measurements with other timing, ms."""
        known = checked_times(delta, Delta, len(self))
        return Protocol(self.bvals, self.bvecs, *known, self.te, source)

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
        """Plain lists, for a report."""
        return {
            "bvals": self.bvals.tolist(),
            "bvecs": self.bvecs.tolist(),
            "delta": self.delta.tolist(),
            "Delta": self.Delta.tolist(),
            "te": None if self.te is None else self.te.tolist(),
            "timing_source": self.timing_source,
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Protocol":
        """The protocol of a report."""
        te = values.get("te")
        return cls.pgse(
            values["bvals"], values["bvecs"], values["delta"], values["Delta"], te, values.get("timing_source", "given")
        )


def spread_directions(count: int) -> Floats:
    """Directions spread evenly over half a sphere (Fibonacci), (count, 3)."""
    z = 1 - (np.arange(count) + 0.5) / count
    azimuth = np.pi * (1 + np.sqrt(5)) * np.arange(count)
    across = np.sqrt(1 - z**2)
    return np.stack([across * np.cos(azimuth), across * np.sin(azimuth), z], axis=1)


def _b0(bvals: Floats) -> NDArray[np.bool_]:
    limit = TRUE_B0 if (bvals < TRUE_B0).any() else LOOSE_B0
    return bvals < limit if limit == TRUE_B0 else bvals <= limit


def _listed(mask: NDArray[np.bool_], most: int = 5) -> str:
    rows = np.flatnonzero(mask)
    return ", ".join(map(str, rows[:most])) + (", ..." if len(rows) > most else "")
