"""A reconstruction's quantities and tests in words, for people."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_remidi.inversion.solution import CANCELLED
from napari_remidi.scan.lacking import lacking

if TYPE_CHECKING:
    from napari_remidi.inversion.solution import Solution
    from napari_remidi.scan import Protocol

TITLES = {
    "radius_mean": "Radius",
    "radius_min": "Least radius",
    "radius_max": "Greatest radius",
    "length": "Length",
    "bend": "Bend",
    "fan": "Fan",
    "tortuosity": "Tortuosity",
    "bead_count": "Beads",
    "bead_amplitude": "Bead amplitude",
    "volume": "Volume",
    "surface": "Surface",
}
UNTESTED = "not possible: the noise is unknown and the directions are few"
EXPLANATIONS = {
    "axon": ("axon", "model 'voxel' for tissue"),
    "voxel": ("tissue with axons", "a voxel of one fibre bundle"),
}
SIMPLE = "an axon of even calibre, or with regular beads, explains the signal as well as any: it is the one shown"
CANCELLED_WORDS = (
    "the run was cancelled: this is its best shape so far, and neither its fit nor its error bars are a result's"
)
HIGHEST_SIGNAL, OUTLIER = 1.2, 4.0  # S/S0 that noise does not explain: at least, and standard deviations above one
LEAST_P = 1e-4  # below it a p-value says more about the tails of the noise than about the fit


def quantity_lines(report: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Every quantity: its title, and its value with the 90 % interval and unit."""
    found = report.get("quantities") or {}
    return [(title, _with_interval(found[name])) for name, title in TITLES.items() if name in found]


def fit_words(report: Mapping[str, Any]) -> str:
    """Outcome of the tests of the fit."""
    if report["explained"] is None:
        return UNTESTED
    if report["fit"]["failed"] == "information":
        return "failed (no more than a constant)"
    if report["fit"]["failed"] == "shape":
        return f"failed (no axon's shape, {_p_words(report['fit'])})"
    return f"{'passed' if report['explained'] else 'failed'} ({_p_words(report['fit'])})"


def warnings_of(solution: "Solution", signal: NDArray[np.float64], protocol: "Protocol") -> str | None:
    """What stands against a result, a sentence each; None where nothing does."""
    found = [CANCELLED_WORDS] if solution.stop_reason == CANCELLED else []
    found += filter(None, (warning_of(solution.fit, solution.settings), _too_high(signal, solution.noise_sd)))
    found += lacking(protocol)
    return ". ".join((*found[:1], *(sentence(words)[:-1] for words in found[1:]))) or None


def _too_high(signal: NDArray[np.float64], noise_sd: float) -> str | None:
    most = max(HIGHEST_SIGNAL, 1 + OUTLIER * noise_sd)
    if not (count := int((signal > most).sum())):
        return None
    return (
        f"{count} of {len(signal)} values of the signal are above {most:.2g} of S0, up to {signal.max():.3g}, which "
        "diffusion cannot make: look for artefacts, and check that the signal was divided by that at b = 0"
    )


def warning_of(fit: Mapping[str, Any], settings: Mapping[str, Any]) -> str | None:
    """One sentence about a signal that is not explained, or None."""
    if fit["explained"] is not False:
        return None
    if fit["failed"] == "information":
        return (
            f"the fit explains no more of this signal than a constant does (p = {fit['p_constant']:.2g}): the noise "
            "hides the shape; choose another voxel, or average more measurements"
        )
    if fit["failed"] == "shape":
        return (
            f"the shape that explains this signal is no axon of prior {settings['prior']!r} (its ends are "
            f"{fit['extension']:.2g} greatest radii apart, those of the prior's axons {fit['least_extension']:.2g} or "
            f"more, {_p_words(fit)}): the signal may be that of a round cell; do not trust the shape; choose another "
            "voxel, or a prior of such shapes"
        )
    what, other = EXPLANATIONS[settings["model"]]
    reason = f"the smooth part of its residual is {fit['structure']:.2g} times what noise leaves there"
    if fit["failed"] == "size":
        noise = f"a noise of {fit['noise_sd']:.2g} ({fit['noise_source']})"
        reason = f"χ²/dof is {fit['chi2'] / fit['degrees']:.3g} at {noise}"
    return (
        f"no {what} of prior {settings['prior']!r} that was found explains this signal ({reason}, {_p_words(fit)}): do "
        f"not trust the shape; try more starts, {other}, another prior or diffusivity"
    )


def sentence(words: str | None) -> str:
    """A report's words with a capital and a full stop; nothing for none."""
    return f"{words[0].upper()}{words[1:]}." if words else ""


def _p_words(fit: Mapping[str, Any]) -> str:
    return f"p = {fit['p_value']:.2g}" if fit["p_value"] >= LEAST_P else f"p < {LEAST_P:g}"


def _with_interval(quantity: Mapping[str, Any]) -> str:
    unit = quantity["unit"] if quantity["unit"] in ("", "°") else f" {quantity['unit']}"
    interval = "" if quantity["low"] is None else f" ({quantity['low']:.3g} to {quantity['high']:.3g})"
    return f"{quantity['value']:.3g}{interval}{unit}"
