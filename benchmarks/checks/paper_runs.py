"""One case of the paper's tables: simulated on its own mesh, reconstructed, compared; a record that can be kept."""

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from checks.paper_cases import FREE, KINDS, Case, Line, protocol_of
from checks.paper_shapes import KEPT, Truth, random_truth
from napari_remidi.errors import RemidiError
from napari_remidi.results import Axon, chamfer, inverter_for, reconstruct
from napari_remidi.results.metrics import chamfer_any_rotation
from napari_remidi.scan.normalisation import normalised, series_of
from napari_remidi.shapes import Prior

Floats = NDArray[np.float64]
DIFFUSIVITY = 2.0  # µm²/ms, known to the inversion


class Runs:
    """Runs cases with one prior; what consecutive cases share is made once.

    Parameters
    ----------
    prior : Prior
    seed : of shapes, orientations and noise
    device : of the inversion
    kept : folder where simulated signals are looked for and kept; None: they are simulated anew
    """

    def __init__(self, prior: Prior, seed: int, device: str, kept: Path | None = None) -> None:
        self.prior, self.seed, self.device, self.kept = prior, seed, device, kept
        self._inverter = lru_cache(maxsize=3)(self._prepared)
        self._truth = lru_cache(maxsize=KEPT)(self._drawn)
        self._clean: tuple[Any, Floats] = None, np.zeros(0)

    def record(self, case: Case) -> dict[str, Any]:
        """What is worth keeping of a case, in plain values; NaN where the reconstruction was refused."""
        truth = self.truth(case)
        named = dict(zip(("section", "row", "index", "noise"), case.key, strict=True))
        shape = {"kind": case.kind, "parameters": truth.axon.parameters, "rotation": truth.rotation.tolist()}
        try:
            return {**named, **shape, **self._figures(case, truth)}
        except RemidiError as error:
            nothing = dict.fromkeys(FIGURES, float("nan"))
            return {**named, **shape, **nothing, "error": str(error)}

    def truth(self, case: Case) -> Truth:
        return self._truth(case.kind, tuple(case.fixed.items()), case.index)

    def signal(self, case: Case) -> Floats:
        """S/S0 of a case, (M,), normalised by its own b = 0 measurements; the noise is Rician."""
        protocol, clean = protocol_of(case.line), self._simulated(case)
        if case.noise == FREE:
            return clean
        rng = np.random.default_rng([self.seed, KINDS.index(case.kind), case.index, int(case.noise)])
        noise = rng.standard_normal((2, len(clean))) / float(case.noise)
        return normalised(np.hypot(clean + noise[0], noise[1]), series_of(protocol), str(case.key))

    def reconstructed(self, case: Case) -> Axon:
        protocol = protocol_of(case.line)
        inverter = self._inverter(case.line.directions, case.line.times, case.noise_sd)
        return reconstruct(self.signal(case), protocol, inverter=inverter)

    def _drawn(self, kind: str, fixed: tuple[tuple[str, float], ...], index: int) -> Truth:
        return random_truth(kind, dict(fixed), [self.seed, KINDS.index(kind), index])

    def _figures(self, case: Case, truth: Truth) -> dict[str, Any]:
        axon = self.reconstructed(case)
        report, surface = axon.report(), truth.mesh.surface
        strict = chamfer(axon.surface, surface)
        won = "simplifying" if axon.solution.simple else "refining"
        refined = [step for step in axon.history if step["stage"] == won]
        best = min(refined, key=lambda step: step["objective"])
        return {
            "strict_um": strict,
            "any_rotation_um": min(strict, chamfer_any_rotation(axon.surface, surface)),
            "prior_um": self._prior_error(truth),
            "steps": sum(step["start"] == best["start"] for step in refined),
            "surface_sd_um": report["surface_sd_um"]["mean"],
            "body_rotation": axon.solution.rotation.tolist(),
            **{name: report[name] for name in ("chi2_per_dof", "iterations", "seconds", "stop_reason", "latent")},
        }

    def _prior_error(self, truth: Truth) -> float:
        """Chamfer distance, µm, of the shape that the prior makes of the true one's fields."""
        basis, axon = self.prior.basis, truth.axon
        latent = self.prior.encode_coefficients(basis.coefficients(axon.fields, np.log(axon.length)))
        return chamfer_any_rotation(truth.mesh.surface, self.prior.decode(latent).surface)

    def _simulated(self, case: Case) -> Floats:
        made_for = case.line, case.index
        if self._clean[0] != made_for:
            self._clean = made_for, self._kept_or_simulated(case)
        return self._clean[1]

    def _kept_or_simulated(self, case: Case) -> Floats:
        file = self.kept / f"{signal_name(case, self.seed)}.npy" if self.kept else None
        if file is not None and file.exists():
            return np.asarray(np.load(file))
        clean = self.truth(case).signal(protocol_of(case.line), DIFFUSIVITY, self.device)
        if file is not None:
            file.parent.mkdir(parents=True, exist_ok=True)
            np.save(file, clean)
        return clean

    def _prepared(self, directions: int, times: tuple[float, ...], noise_sd: float) -> Any:
        protocol = protocol_of(Line("", "", (), directions=directions, times=times))
        return inverter_for(protocol, self.prior, noise_sd=noise_sd, diffusivity=DIFFUSIVITY, device=self.device)


def signal_name(case: Case, seed: int) -> str:
    """Of a case's signal without noise: the same for rows that have the same shape and protocol."""
    fixed = "-".join(f"{name}{value:g}" for name, value in case.fixed.items())
    times = "-".join(f"{Delta:g}" for Delta in case.line.times)
    return f"{seed}_{case.kind}_{case.index}_{fixed}_{case.line.directions}_{times}"


FIGURES = ("strict_um", "any_rotation_um", "prior_um", "steps", "surface_sd_um", "chi2_per_dof", "iterations",
           "seconds")  # fmt: skip
