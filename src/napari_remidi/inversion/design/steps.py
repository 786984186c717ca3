"""Makes a report, draw by draw of the prior."""

from collections.abc import Callable, Generator, Iterator
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np
from scipy.spatial.transform import Rotation

from napari_remidi.errors import Cancelled, InputError, PriorError
from napari_remidi.inversion.cell import CellProblem
from napari_remidi.inversion.design.cautions import unseen
from napari_remidi.inversion.design.expected_errors import ExpectedErrors
from napari_remidi.inversion.design.report import ProtocolReport, expected, left_out
from napari_remidi.inversion.inverter import require_pulses
from napari_remidi.inversion.levenberg_marquardt import Point
from napari_remidi.inversion.settings import Settings
from napari_remidi.inversion.template import Template
from napari_remidi.physics.devices import choose_device, memory_guard
from napari_remidi.scan.lacking import lacking

if TYPE_CHECKING:
    from napari_remidi.scan import Protocol
    from napari_remidi.shapes import Prior

LARGEST_SNR = 1e4
TRIES = 4  # draws for each that is wanted: some fold


def protocol_report(
    protocol: "Protocol",
    prior: "Prior | str" = "axon",
    snr: float = 50.0,
    progress: Callable[[float], bool | None] | None = None,
    **options: int | float | str,
) -> ProtocolReport:
    """The errors to expect of a protocol; options and errors as in `report_steps`.

    `progress` is told the share done; where it returns False the report is cancelled.

    Raises
    ------
    Cancelled
        Where `progress` returned False.
    """
    steps = report_steps(protocol, prior, snr, **options)  # type: ignore[arg-type]
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
    diffusivity: float = Settings.diffusivity,
    fit_diffusivity: bool = False,
    draws: int = 40,
    seed: int = 0,
    device: str = Settings.device,
) -> Generator[float, None, ProtocolReport]:
    """Yield the share done, return the report; closing the generator cancels.

    Parameters
    ----------
    protocol : Protocol of pulsed gradients, with timing
    prior : a shipped name, a path, or a Prior
    snr : S0 / σ of one measurement at b = 0
    diffusivity : µm²/ms, inside the cell
    fit_diffusivity : whether it is unknown
    draws : of shape, from the prior, and of orientation, from all
    seed : of the draws
    device : "auto", "cuda", "mps" or "cpu"

    Raises
    ------
    TimingError
        Where the protocol has no timing.
    PriorError
        For an unknown prior.
    InputError
        For a protocol, an SNR or another value that cannot be used.
    OutOfMemory
        Where the device has too little memory.
    """
    from napari_remidi.shapes import Prior

    _check(protocol, snr, draws, seed)
    loaded = prior if isinstance(prior, Prior) else Prior.load(prior)
    settings = Settings(loaded.name, diffusivity=diffusivity, fit_diffusivity=fit_diffusivity, device=device)
    chosen = choose_device(device)
    with memory_guard(chosen, f"deriving {len(protocol)} measurements"):
        problem = CellProblem(Template.of(loaded), protocol, settings, chosen)
        errors = ExpectedErrors(problem, 1 / snr)
        found = []
        for point in islice(_points(problem, draws, seed), draws):
            found.append(errors.at(point))
            yield len(found) / draws
    if not found:
        raise PriorError(f"{TRIES * draws} draws of prior {loaded.name!r} all fold; choose another prior")
    quantities = expected(found)
    timings, shells = left_out(errors, found)
    return ProtocolReport(
        quantities=quantities,
        timings=timings,
        shells=shells,
        cautions=(*lacking(protocol), *unseen(quantities)),
        measurements=len(protocol),
        snr=snr,
        prior=loaded.name,
        diffusivity=diffusivity,
        fit_diffusivity=fit_diffusivity,
        draws=len(found),
        seed=seed,
    )


def _check(protocol: "Protocol", snr: float, draws: int, seed: int) -> None:
    require_pulses(protocol)
    if not 0 < snr <= LARGEST_SNR:
        raise InputError(f"SNR is {snr:g}; give S0 over the noise of one measurement, above 0 up to {LARGEST_SNR:g}")
    for name, value, least in (("draws", draws, 1), ("seed", seed, 0)):
        if value < least:
            raise InputError(f"{name} is {value}; it must be {least} or more")


def _points(problem: CellProblem, draws: int, seed: int) -> Iterator[Point]:
    """Draws of the prior that do not fold, each in a random orientation."""
    latents = problem.template.prior.sample(TRIES * draws, seed)
    turns = Rotation.from_quat(np.random.default_rng([seed, 1]).standard_normal((len(latents), 4))).as_matrix()
    for latent, turn in zip(latents, turns, strict=True):
        parameters = problem.mean.copy()
        parameters[problem.latent] = latent
        if (point := problem.point(parameters, turn)) is not None:
            yield point
