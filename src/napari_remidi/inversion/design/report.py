"""The report: what to expect of every quantity, and what every part of the protocol is worth."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_remidi.inversion.design.expected_errors import ExpectedErrors, Found
from napari_remidi.inversion.design.parts import Rest
from napari_remidi.inversion.design.quantities import UNITS


@dataclass(frozen=True)
class Expected:
    """What to expect of one quantity; medians over the draws, unless another is named.

    Attributes
    ----------
    name, unit : of the quantity; "surface" is the mean over the surface of the standard deviation along the normal,
        orientation included
    typical : value, None for the surface
    prior_sd : standard deviation without a measurement
    sd, sd_90 : posterior standard deviation, median and 90th percentile
    left : sd / prior_sd, the share of the prior's spread that the measurement leaves
    """

    name: str
    unit: str
    typical: float | None
    prior_sd: float
    sd: float
    sd_90: float
    left: float


@dataclass(frozen=True)
class LeftOut:
    """What a part of the protocol is worth.

    Attributes
    ----------
    name : of the part
    measurements : how many it has
    radius_factor : median factor by which the radius' standard deviation grows without it
    """

    name: str
    measurements: int
    radius_factor: float


@dataclass(frozen=True)
class ProtocolReport:
    """Expected errors of a protocol.

    Attributes
    ----------
    quantities : one `Expected` each
    timings, shells : what every diffusion time and every shell is worth, the most valuable first; empty where there
        is one only
    cautions : sentences about what the protocol lacks, or cannot see
    measurements : of the protocol
    snr, prior, diffusivity, fit_diffusivity, draws, seed : what it was made for
    """

    quantities: tuple[Expected, ...]
    timings: tuple[LeftOut, ...]
    shells: tuple[LeftOut, ...]
    cautions: tuple[str, ...]
    measurements: int
    snr: float
    prior: str
    diffusivity: float
    fit_diffusivity: bool
    draws: int
    seed: int

    def __getitem__(self, name: str) -> Expected:
        """A quantity by name."""
        return next(quantity for quantity in self.quantities if quantity.name == name)

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def expected(found: Sequence[Found]) -> tuple[Expected, ...]:
    """Every quantity, from what was found at the draws."""
    values = np.median([list(f.values.values()) for f in found], axis=0)
    prior_sd, sd = (np.array([getattr(f, name) for f in found]) for name in ("prior_sd", "sd"))
    numbers = np.stack(
        [
            np.median(prior_sd, axis=0),
            np.median(sd, axis=0),
            np.quantile(sd, 0.9, axis=0),
            np.median(sd / prior_sd, axis=0),
        ]
    )
    return tuple(
        Expected(name, UNITS[name], None if np.isnan(value) else float(value), *columns)
        for name, value, columns in zip(found[0].values, values, numbers.T.tolist(), strict=True)
    )


def left_out(errors: ExpectedErrors, found: Sequence[Found]) -> tuple[tuple[LeftOut, ...], tuple[LeftOut, ...]]:
    """Timings and shells, the most valuable first."""
    radius = list(found[0].values).index("radius")
    factors = np.median([f.radius_without / f.sd[radius] for f in found], axis=0)
    cut = len(errors.timings)
    return _by_worth(errors.timings, factors[:cut]), _by_worth(errors.shells, factors[cut:])


def _by_worth(parts: Sequence[Rest], factors: NDArray[np.float64]) -> tuple[LeftOut, ...]:
    worth = [LeftOut(part.name, part.measurements, float(f)) for part, f in zip(parts, factors, strict=True)]
    return tuple(sorted(worth, key=lambda part: -part.radius_factor))
