"""Figures as sentences."""

from napari_remidi.ui.readout import Readout, summary


def test_a_report_becomes_a_few_lines():
    report = {
        "chi2_per_dof": 1.034,
        "variance_explained": 0.99812,
        "explained": True,
        "fit": {"p_value": 0.317, "failed": None},
        "quantities": {
            "radius_mean": {"value": 2.013, "sd": 0.041, "low": 1.95, "high": 2.08, "unit": "µm"},
            "bend": {"value": 41.2, "sd": None, "low": None, "high": None, "unit": "°"},
        },
        "fractions": {"intra": 0.6, "extra": 0.4, "free": 0.0},
        "chamfer_um": 0.1234,
        "seconds": 5.61,
        "iterations": 12,
    }
    assert summary(report) == [
        ("χ²/dof", "1.03"),
        ("Fit test", "passed (p = 0.32)"),
        ("Variance explained", "99.81 %"),
        ("Radius", "2.01 (1.95 to 2.08) µm"),
        ("Bend", "41.2°"),
        ("Fractions", "intra 0.60, extra 0.40"),
        ("Distance to the truth", "0.123 µm (Chamfer)"),
        ("Time", "5.6 s, 12 steps"),
    ]


def test_what_is_not_known_is_not_shown():
    names = [name for name, _ in summary({"chi2_per_dof": 1.0, "chamfer_um": None, "fractions": {"intra": 1.0}})]
    assert names == ["χ²/dof"]


def test_a_warning_stands_out_and_a_symmetry_is_said(qtbot):
    readout = Readout()
    qtbot.addWidget(readout)
    readout.show_results(
        {"chi2_per_dof": 9.0, "warning": "no axon explains this signal", "symmetry": "round"}, (1, 2, 3)
    )
    assert readout.warning.text() == "No axon explains this signal."
    assert readout.warning.objectName() == "loud"
    assert not readout.warning.isHidden()
    assert readout.twin_note.text().endswith("Round.")
    readout.show_results({"chi2_per_dof": 1.0, "warning": None, "symmetry": None}, (1, 2, 3))
    assert readout.warning.isHidden()
