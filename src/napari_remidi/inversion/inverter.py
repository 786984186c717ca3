"""A voxel's signal in, an axon's shape out: starts, refinement, choice, posterior."""

import time
from collections.abc import Generator, Iterator
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_remidi.errors import Cancelled, InputError, PriorError, ProtocolError
from napari_remidi.inversion.cell import CellProblem
from napari_remidi.inversion.descents import AnyProblem
from napari_remidi.inversion.fit import Noise, goodness_of_fit
from napari_remidi.inversion.levenberg_marquardt import Local, Point, Target
from napari_remidi.inversion.noise import rician_mean
from napari_remidi.inversion.posterior import CURVED, posterior_covariance, vertex_sd
from napari_remidi.inversion.preview import Guess, Preview
from napari_remidi.inversion.samples import with_intervals
from napari_remidi.inversion.search import Search
from napari_remidi.inversion.settings import Settings
from napari_remidi.inversion.solution import Iterate, Solution
from napari_remidi.inversion.starts import StartLibrary, best_starts, build_library, coarse_rows, require_directions
from napari_remidi.inversion.symmetry import symmetry_of
from napari_remidi.inversion.template import Template
from napari_remidi.inversion.tissue import TissueProblem
from napari_remidi.physics.devices import at_once, choose_device, keep_freed_memory, memory_guard, one_thread, workers
from napari_remidi.scan.normalisation import normalised_together
from napari_remidi.scan.smooth import noise_of
from napari_remidi.shapes.calibre import extension, measured_sections, section_radii

if TYPE_CHECKING:
    from napari_remidi.scan import Protocol
    from napari_remidi.shapes import Prior

Floats = NDArray[np.float64]
LEAST_UNKNOWN_NOISE = 0.02  # assumed at first, or what smoothing removes if that is more; the residual replaces it
COARSE_OPEN = 60, 100  # modes, columns of the basis, with open ends
TOURNAMENTS = 2  # of starts, while the signal is not explained


class Inverter:
    """Inverts signals of one protocol with one prior; what they share is prepared once.

    Parameters
    ----------
    protocol : Protocol with timing
    prior : Prior
    settings : Settings
    preview : Preview that gives the first starts; None: the user's own for this request, where one was trained

    Raises
    ------
    InputError
        For a preview of another protocol, prior or diffusivity.
    TimingError
        Where the protocol has no timing.
    ProtocolError
        Where there are no gradients, or no shell of them has enough directions to say how an axon lies.
    PriorError
        Where model and prior do not fit (a voxel of tissue needs axons with open ends).
    """

    def __init__(
        self,
        protocol: "Protocol",
        prior: "Prior",
        settings: Settings | None = None,
        preview: Preview | None = None,
    ) -> None:
        self.protocol, self.prior, self.settings = protocol, prior, settings or Settings()
        require_pulses(protocol)
        if self.settings.model == "axon":
            require_directions(protocol)
        elif prior.ends != "open":
            raise PriorError(
                f"model 'voxel' needs a prior of axons with open ends, and {prior.name!r} has closed ones: "
                "choose 'axon-open'"
            )
        if preview is not None:
            preview.check(protocol, prior, self.settings)
        self._preview = preview
        self.device = choose_device(self.settings.device)
        self._library: StartLibrary | None = None
        self._problem: AnyProblem | None = None
        self._coarse: AnyProblem | None = None
        self._coarse_rows = np.zeros(0, dtype=np.int64)

    def run(self, signal: Floats) -> Generator[Iterate, None, Solution]:
        """Invert one signal, (M,) S/S0: yields every iterate, returns the solution.

        Closing the generator cancels; where `Cancelled` is thrown into it, it returns the best shape so far.

        Raises
        ------
        Cancelled
            Where it was thrown before there was a shape.
        InputError
            For a signal of the wrong length, or with values that are not finite.
        OutOfMemory
            Where the device has too little memory.
        """
        signal = np.asarray(signal, dtype=np.float64)
        if signal.shape != (len(self.protocol),):
            raise InputError(f"the signal has {signal.size} values, the protocol {len(self.protocol)} measurements")
        if bad := int((~np.isfinite(signal)).sum()):
            raise InputError(f"{bad} of {len(signal)} values of the signal are not finite; choose another voxel")
        keep_freed_memory()
        with one_thread(), memory_guard(self.device, f"inverting {len(signal)} measurements"):
            return (yield from self._run(signal))

    def _run(self, signal: Floats) -> Generator[Iterate, None, Solution]:
        began = time.perf_counter()
        guesses: list[Guess] = []
        wanted = self.settings.preview
        if self._preview is None and wanted is not False:  # one may have been trained since the last signal
            self._preview = Preview.for_protocol(self.protocol, self.prior, self.settings)
        if self._preview is None and wanted:
            raise InputError(
                "there is no preview for this protocol, prior and diffusivity, and the run asks for its starts: make "
                "one with napari-remidi train-preview, or go without (preview=False, --no-preview)"
            )
        if self._preview is not None:
            guesses = self._preview.run(signal, self.settings.noise_sd)
            yield from self._preview.iterates(guesses)
        if self._problem is None:
            yield Iterate("preparing", "Preparing the simulator", 0.0)
            kind = CellProblem if self.settings.model == "axon" else TissueProblem
            if self.prior.ends == "closed":
                template = Template.working(self.prior, self.settings.modes)
                coarse = template.slopes or template
            else:
                template = Template.of(self.prior, self.settings.modes)
                coarse = Template.of(self.prior, *COARSE_OPEN)
            self._problem = kind(template, self.protocol, self.settings, self.device)
            rows = self._coarse_rows = coarse_rows(self.protocol)
            self._coarse = kind(coarse, self.protocol.subset(rows), self.settings, self.device)
        if self.settings.model == "axon":
            yield from self._prepare()
        target = self._target(signal, self._problem.model_error)
        assert self._coarse is not None
        search = Search(self._coarse, self._coarse_rows, self._problem, target, self.settings)
        try:
            for candidates in self._candidates(signal, self._coarse, guesses):
                yield from search.tournament(candidates)
                if search.explained:
                    break
            if self.settings.noise_sd is None and search.best is not None:
                yield from search.with_noise(self._residual_sd(search.target, search.best))
            yield from search.simplify()
        except Cancelled:
            search.settle()
            if search.best is None:
                raise
        return self._solution(search, began)

    def _target(self, signal: Floats, model_error: float) -> Target:
        noise_sd = self.settings.noise_sd or max(LEAST_UNKNOWN_NOISE, noise_of(signal, self.protocol) or 0.0)
        return Target(signal, float(np.hypot(noise_sd, model_error)), normalised_together(self.protocol))

    def _residual_sd(self, target: Target, best: Point) -> float:
        degrees = max(int((~self.protocol.is_b0).sum()) - len(best.parameters), 1)
        return target.noise_sd * float(np.sqrt((target.residual(best.signal) ** 2).sum() / degrees))

    def _prepare(self) -> Iterator[Iterate]:
        if self._library is not None:
            return
        for step in build_library(self.prior, self.protocol, self.settings, self.device):
            if isinstance(step, StartLibrary):
                self._library = step
            else:
                yield Iterate("preparing", "Simulating starting shapes", 0.25 * step)

    def _candidates(self, signal: Floats, problem: AnyProblem, guesses: list[Guess]) -> Iterator[list[Point]]:
        """Points of the coarse problem, those of one tournament after the other's."""
        if isinstance(problem, TissueProblem):
            from napari_remidi.scan import principal_direction

            axis = principal_direction(signal, self.protocol)
            yield problem.starts(signal[self._coarse_rows], axis, self.settings.starts)
            return
        assert self._library is not None
        together = self.settings.starts
        first = [(guess.latent, guess.rotation) for guess in guesses]
        others = max(TOURNAMENTS * together - len(first), 1)
        found = first + best_starts(self._library, signal, self.protocol, others)

        def point(start: tuple[Floats, Floats]) -> Point | None:
            parameters = problem.mean.copy()
            parameters[problem.latent] = start[0]
            return problem.point(parameters, start[1])

        for begin in range(0, len(found), together):
            with workers(self.device) as each:
                points = list(each(point, found[begin : begin + together]))
            yield [one for one in points if one is not None]

    def _solution(self, search: Search, began: float) -> Solution:
        best = search.best
        if best is None:
            raise InputError(
                "no starting shape fits this signal's protocol; use another prior or report the scan's timing"
            )
        problem, target = search.problem, search.target
        source = "given" if problem.model_error == 0 else f"given, and {problem.model_error:g} of model error"
        if self.settings.noise_sd is None:
            source = "estimated from the residual"
            target = replace(target, noise_sd=self._residual_sd(target, best))
        chi2 = search.chi2_per_dof(best, target)
        local = Local.at(problem, target, best)
        covariance = posterior_covariance(
            local.hessian, problem.precision, CURVED[self.prior.ends] * np.sqrt(max(1.0, chi2))
        )
        fitted = rician_mean(best.signal, target.noise_sd)
        latent = best.parameters[problem.latent]
        shape = (problem.template.beyond or problem.template).like(problem.shape_of(best))
        assert shape is not None
        faces = np.asarray(self.prior.boundary)
        body = shape.points.cpu().numpy()
        noise = Noise.known(self.settings.noise_sd, target.signal, self.protocol)
        extent = float(extension(body, self.prior.tube, self.prior.ends))
        spread, quantities, fit = at_once(
            self.device,
            partial(vertex_sd, shape, best.rotation, covariance, faces, problem.turn),
            partial(with_intervals, self.prior, body, latent, covariance),
            partial(
                goodness_of_fit, local, best.signal, target, self.protocol, noise, problem.model_error, extent,
                self.prior.extensions,
            ),
        )  # fmt: skip
        variance = ((target.signal - target.signal.mean()) ** 2).sum()
        symmetry = symmetry_of(problem, target, best, float(spread[np.unique(faces)].mean()))
        return Solution(
            points=body @ best.rotation.T,
            tetrahedra=np.asarray(self.prior.tetrahedra),
            faces=faces,
            signal=fitted,
            latent=latent,
            rotation=best.rotation,
            diffusivity=problem.diffusivity(best),
            fractions=problem.fractions(best),
            compartments=problem.described(best),
            covariance=covariance,
            vertex_sd=spread,
            radii=section_radii(body, self.prior.tube)[measured_sections(self.prior.tube, self.prior.ends)],
            history=tuple(search.history),
            chi2_per_dof=chi2,
            variance_explained=float(1 - ((target.signal - fitted) ** 2).sum() / max(variance, 1e-12)),
            noise_sd=target.noise_sd,
            noise_source=source,
            iterations=len(search.history),
            stop_reason=search.stop,
            settings=replace(self.settings, preview=self._preview is not None).to_dict(),
            device=str(self.device),
            quantities=quantities,
            fit=fit,
            symmetry=symmetry,
            simple=search.simple,
            seconds=time.perf_counter() - began,
        )


def invert(
    signal: Floats, protocol: "Protocol", prior: "Prior", settings: Settings | None = None
) -> Generator[Iterate, None, Solution]:
    """Invert one signal; see `Inverter.run`. For many voxels of one scan make one `Inverter`."""
    return (yield from Inverter(protocol, prior, settings).run(signal))


def require_pulses(protocol: "Protocol") -> None:
    """Raise TimingError where a protocol has no timing, ProtocolError without gradients, InputError for waveforms."""
    protocol.require_timing()
    if not protocol.shells:
        raise ProtocolError(f"all {len(protocol)} measurements have b = 0: give a protocol with weighted ones")
    if waves := int(protocol.is_waveform.sum()):
        raise InputError(
            f"{waves} of {len(protocol)} measurements have waveforms, and a reconstruction takes pulsed ones: keep "
            "those, protocol.subset(~protocol.is_waveform)"
        )
