"""Figures as sentences."""

from napari_remidi.ui.readout import summary


def test_a_report_becomes_a_few_lines():
    report = {
        "chi2_per_dof": 1.034,
        "variance_explained": 0.99812,
        "radius_um": {"mean": 2.013, "sd": 0.041},
        "fractions": {"intra": 0.6, "extra": 0.4, "free": 0.0},
        "chamfer_um": 0.1234,
        "seconds": 5.61,
        "iterations": 12,
    }
    assert summary(report) == [
        ("χ² per degree of freedom", "1.03"),
        ("Variance explained", "99.81 %"),
        ("Radius", "2.01 ± 0.04 µm"),
        ("Fractions", "intra 0.60, extra 0.40"),
        ("Distance to the truth", "0.123 µm (Chamfer)"),
        ("Time", "5.6 s, 12 steps"),
    ]


def test_what_is_not_known_is_not_shown():
    names = [name for name, _ in summary({"chi2_per_dof": 1.0, "chamfer_um": None, "fractions": {"intra": 1.0}})]
    assert names == ["χ² per degree of freedom"]
