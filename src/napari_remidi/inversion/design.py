"""What a protocol can see, before a scan: the error to expect of an axon's radius, length, bend and beads.

At a shape of the prior, in some orientation, the posterior's covariance (JᵀJ/σ² + prior)⁻¹ needs no data: the
Jacobian says how the signal would change. The same derivatives of radius, length, bend and beads take it to their
standard deviations, and the prior's covariance to what one knows without measuring (Cramér-Rao bound with a prior:
Van Trees 1968; for the design of diffusion protocols: Alexander, MRM 2008).
"""

from collections.abc import Callable, Generator, Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from napari_remidi.errors import Cancelled, InputError, PriorError, ProtocolError
from napari_remidi.inversion.cell import CellProblem
from napari_remidi.inversion.expected_errors import ExpectedErrors, Found
from napari_remidi.inversion.inverter import require_pulses
from napari_remidi.inversion.levenberg_marquardt import Point
from napari_remidi.inversion.measures import RADIUS
from napari_remidi.inversion.settings import Settings
from napari_remidi.inversion.template import Template
from napari_remidi.physics.devices import choose_device, memory_guard

if TYPE_CHECKING:
    from napari_remidi.scan import Protocol
    from napari_remidi.shapes import Prior

Floats = NDArray[np.float64]
LEAST_DIRECTIONS = 6  # as many as a diffusion tensor has numbers
SAME_DIRECTION = 0.9998  # |cosine|, about 1°
LARGEST_SNR = 1e4
DRAWS = 4  # as many as shapes are wanted: some fold


@dataclass(frozen=True)
class Expected:
    """What to expect of one quantity; medians over the shapes and orientations, unless another is named.

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
    cautions : sentences about what the protocol lacks
    snr : S0 / σ
    prior, shapes, orientations, measurements, settings : what it was made for
    """

    quantities: tuple[Expected, ...]
    timings: tuple[LeftOut, ...]
    shells: tuple[LeftOut, ...]
    cautions: tuple[str, ...]
    snr: float
    prior: str
    shapes: int
    orientations: int
    measurements: int
    settings: dict[str, Any]

    def __getitem__(self, name: str) -> Expected:
        """A quantity by name."""
        return next(quantity for quantity in self.quantities if quantity.name == name)

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def protocol_report(
    protocol: "Protocol",
    prior: "Prior | str" = "axon",
    snr: float = 50.0,
    progress: Callable[[float], bool | None] | None = None,
    **options: Any,
) -> ProtocolReport:
    """The errors to expect of a protocol, see `report_steps`; `progress` is told the share done, False cancels.

    Raises
    ------
    Cancelled
        Where `progress` returned False.
    """
    steps = report_steps(protocol, prior, snr, **options)
    while True:
        try:
            done = next(steps)
        except StopIteration as end:
            report: ProtocolReport = end.value
            return report
        if progress is not None and progress(done) is False:
            steps.close()
            raise Cancelled("the protocol report was cancelled; nothing was saved")


def report_steps(
    protocol: "Protocol",
    prior: "Prior | str" = "axon",
    snr: float = 50.0,
    shapes: int = 24,
    orientations: int = 2,
    seed: int = 0,
    **settings: Any,
) -> Generator[float, None, ProtocolReport]:
    """Yield the share done, return the report; closing the generator cancels.

    Parameters
    ----------
    protocol : Protocol of pulsed gradients, with timing
    prior : a shipped name, a path, or a Prior
    snr : of one measurement at b = 0
    shapes : draws of the prior
    orientations : random ones, of every shape
    seed : of shapes and orientations
    **settings : other fields of `Settings`; the signal is that of one cell

    Raises
    ------
    TimingError
        Where the protocol has no timing.
    InputError
        For a protocol, an SNR, a prior or a setting that cannot be used.
    OutOfMemory
        Where the device has too little memory.
    """
    from napari_remidi.shapes import Prior

    _check(protocol, snr, shapes, orientations)
    loaded = prior if isinstance(prior, Prior) else Prior.load(prior)
    chosen = Settings.from_dict({"prior": loaded.name, **settings})
    device = choose_device(chosen.device)
    with memory_guard(device, f"the Jacobian of {len(protocol)} measurements"):
        problem = CellProblem(Template.of(loaded, device, chosen.modes), protocol, chosen, device)
        errors = ExpectedErrors(problem, 1 / snr)
        found = []
        for number, point in enumerate(_points(problem, shapes, orientations, seed), start=1):
            found.append(errors.at(point))
            yield number / (shapes * orientations)
    if not found:
        raise PriorError(f"{DRAWS * shapes} draws of prior {loaded.name!r} all fold; choose another prior")
    timings, shells = _worth(errors, found)
    return ProtocolReport(
        quantities=_quantities(errors, found),
        timings=timings,
        shells=shells,
        cautions=cautions(protocol),
        snr=snr,
        prior=loaded.name,
        shapes=len(found) // orientations,
        orientations=orientations,
        measurements=len(protocol),
        settings=chosen.to_dict(),
    )


def cautions(protocol: "Protocol") -> tuple[str, ...]:
    """What a protocol lacks for a reconstruction, a sentence each."""
    weighted = ~protocol.is_b0
    said = []
    bvals = {round(shell.bval, -1) for shell in protocol.shells}
    if len(bvals) == 1:
        said.append(
            f"all weighted measurements have one b-value, {bvals.pop():g} s/mm²: the result leans on the assumed "
            "diffusivity and on the prior; add a second b-value"
        )
    directions: list[Floats] = []
    for direction in protocol.bvecs[weighted]:
        if not any(abs(direction @ other) > SAME_DIRECTION for other in directions):
            directions.append(direction)
        if len(directions) == LEAST_DIRECTIONS:
            break
    else:
        said.append(
            f"the protocol has {len(directions)} gradient direction{'s' if len(directions) > 1 else ''}: orientation "
            f"and bend need at least {LEAST_DIRECTIONS}; add some"
        )
    if not protocol.is_b0.any():
        said.append("the protocol has no b=0 measurement: S0 is taken as known exactly; add some")
    return tuple(said)


def _check(protocol: "Protocol", snr: float, shapes: int, orientations: int) -> None:
    require_pulses(protocol)
    if protocol.is_b0.all():
        raise ProtocolError(f"all {len(protocol)} measurements have b = 0: give a protocol with weighted ones")
    if not 0 < snr <= LARGEST_SNR:
        raise InputError(f"SNR is {snr:g}; give S0 over the noise of one measurement, up to {LARGEST_SNR:g}")
    for name, value in (("shapes", shapes), ("orientations", orientations)):
        if value < 1:
            raise InputError(f"{name} is {value}; it must be 1 or more")


def _points(problem: CellProblem, shapes: int, orientations: int, seed: int) -> Iterator[Point]:
    """Sound draws of the prior, each in some random orientations."""
    rng = np.random.default_rng(seed)
    count = 0
    for latent in problem.template.prior.sample(DRAWS * shapes, seed):
        parameters = problem.mean.copy()
        parameters[problem.latent] = latent
        turns = Rotation.from_quat(rng.standard_normal((orientations, 4))).as_matrix()
        points = [problem.point(parameters, turn) for turn in turns]
        if points[0] is None:
            continue
        yield from (point for point in points if point is not None)
        count += 1
        if count == shapes:
            return


def _quantities(errors: ExpectedErrors, found: list[Found]) -> tuple[Expected, ...]:
    values, prior_sd, sd = (np.array([getattr(f, name) for f in found]) for name in ("values", "prior_sd", "sd"))
    typical = [*np.median(values, axis=0).tolist(), None]
    columns = (np.median(prior_sd, axis=0), np.median(sd, axis=0), np.percentile(sd, 90, axis=0))
    left = np.median(sd / prior_sd, axis=0)
    return tuple(
        Expected(measure.name, measure.unit, value, *map(float, numbers))
        for measure, value, *numbers in zip(errors.measures, typical, *columns, left, strict=True)
    )


def _worth(errors: ExpectedErrors, found: list[Found]) -> tuple[tuple[LeftOut, ...], tuple[LeftOut, ...]]:
    """Timings and shells, the most valuable first."""
    with_all = np.array([f.sd[errors.measures.index(RADIUS)] for f in found])
    factors = np.median(np.array([f.radius_without for f in found]) / with_all[:, None], axis=0)
    parts = [
        LeftOut(part.name, part.measurements, float(factor))
        for part, factor in zip((*errors.timings, *errors.shells), factors, strict=True)
    ]
    cut = len(errors.timings)
    timings, shells = (sorted(group, key=lambda part: -part.radius_factor) for group in (parts[:cut], parts[cut:]))
    return tuple(timings), tuple(shells)
