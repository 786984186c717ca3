"""What a report says to people."""

from dataclasses import replace

import pytest

from napari_remidi.results.words import fit_words, quantity_lines, sentence, warning_of, warnings_of
from napari_remidi.scan import Protocol

FIT = {
    "chi2": 990.0, "degrees": 520.0, "noise_sd": 0.02, "noise_source": "given", "structure": 3.4, "p_value": 4e-31,
    "p_constant": 0.0, "explained": False,
}  # fmt: skip
SETTINGS = {"prior": "axon", "model": "axon"}


def test_quantities_come_with_their_interval_and_unit() -> None:
    length = {"value": 16.02, "sd": 0.3, "low": 15.5, "high": 16.5, "unit": "µm"}
    bend = {"value": 41.0, "sd": None, "low": None, "high": None, "unit": "°"}
    beads = {"value": 3.0, "sd": 0.5, "low": 2.0, "high": 4.0, "unit": ""}
    assert quantity_lines({"quantities": {"bead_count": beads, "length": length, "bend": bend}}) == [
        ("Length", "16 (15.5 to 16.5) µm"),
        ("Bend", "41°"),
        ("Beads", "3 (2 to 4)"),
    ]
    assert quantity_lines({}) == []


@pytest.mark.parametrize(
    ("fit", "words"),
    [
        ({"p_value": 0.317, "failed": None, "explained": True}, "passed (p = 0.32)"),
        ({"p_value": 4e-31, "failed": "size", "explained": False}, "failed (p < 0.0001)"),
        ({"p_value": 0.5, "failed": "information", "explained": False}, "failed (no more than a constant)"),
        ({"p_value": 2e-7, "failed": "shape", "explained": False}, "failed (no axon's shape, p < 0.0001)"),
        (
            {"p_value": None, "failed": None, "explained": None},
            "not possible: the noise is unknown and the directions are few",
        ),
    ],
)
def test_the_fit_test_is_said_in_a_few_words(fit, words) -> None:
    assert fit_words({"fit": fit, "explained": fit["explained"]}) == words


@pytest.mark.parametrize(
    ("failed", "model", "expected"),
    [
        (
            "size",
            "axon",
            "no axon of prior 'axon' that was found explains this signal (χ²/dof is 1.9 at a noise of 0.02 (given), "
            "p < 0.0001): do not trust the shape; try more starts, model 'voxel' for tissue, another prior or "
            "diffusivity",
        ),
        (
            "structure",
            "voxel",
            "no tissue with axons of prior 'axon' that was found explains this signal (the smooth part of its residual "
            "is 3.4 times what noise leaves there, p < 0.0001): do not trust the shape; try more starts, a voxel of "
            "one fibre bundle, another prior or diffusivity",
        ),
    ],
)
def test_a_signal_that_is_not_explained_is_warned_of_in_one_sentence(failed, model, expected) -> None:
    assert warning_of({**FIT, "failed": failed}, {**SETTINGS, "model": model}) == expected


def test_a_signal_of_noise_is_called_that() -> None:
    fit = {**FIT, "failed": "information", "p_value": 0.4, "p_constant": 0.3}
    assert warning_of(fit, SETTINGS) == (
        "the fit explains no more of this signal than a constant does (p = 0.3): the noise hides the shape; choose "
        "another voxel, or average more measurements"
    )


def test_a_shape_that_is_no_axon_is_called_that() -> None:
    fit = {**FIT, "failed": "shape", "p_value": 1.4e-6, "extension": 1.51, "least_extension": 2.515}
    assert warning_of(fit, SETTINGS) == (
        "the shape that explains this signal is no axon of prior 'axon' (its ends are 1.5 greatest radii apart, those "
        "of the prior's axons 2.5 or more, p < 0.0001): the signal may be that of a round cell; do not trust the "
        "shape; choose another voxel, or a prior of such shapes"
    )


@pytest.mark.parametrize("explained", [True, None])
def test_there_is_no_warning_without_a_reason(explained) -> None:
    assert warning_of({**FIT, "explained": explained}, SETTINGS) is None


ONE_B = (
    "all weighted measurements have one b-value, 3000 s/mm²: the result leans on the assumed diffusivity and on the "
    "prior; add a second b-value"
)


@pytest.mark.parametrize(
    ("change", "value", "expected"),
    [
        ({}, 1.19, "all weighted"),
        (
            {},
            1.6,
            "1 of 14 values of the signal are above 1.2 of S0, up to 1.6, which diffusion cannot make: look for "
            f"artefacts, and check that the signal was divided by that at b = 0. {ONE_B[0].upper()}{ONE_B[1:]}",
        ),
        ({"noise_sd": 0.2}, 1.6, ONE_B),
        (
            {"stop_reason": "cancelled"},
            1.0,
            "the run was cancelled: this is its best shape so far, and neither its fit nor its error bars are a "
            f"result's. {ONE_B[0].upper()}{ONE_B[1:]}",
        ),
    ],
)
def test_what_stands_against_a_result_is_said_a_sentence_each(axon, change, value, expected) -> None:
    signal = axon.measured.copy()
    signal[5] = value
    assert warnings_of(replace(axon.solution, **change), signal, axon.protocol).startswith(expected)


def test_nothing_is_said_where_nothing_stands_against_a_result(axon) -> None:
    assert warnings_of(axon.solution, axon.measured, Protocol.paper()) is None


def test_words_become_a_sentence() -> None:
    assert sentence("round: all turns fit") == "Round: all turns fit."
    assert sentence(None) == ""
