"""The signal plot shows every shell once, and the fit on top."""

from types import SimpleNamespace

import numpy as np
import pytest
from tests.ui.conftest import TURN, VOXEL

from napari_remidi.ui.plot import SignalPlot, angles_to, curve, some_of
from napari_remidi.ui.style import Palette


@pytest.fixture
def plot(qtbot):
    plot = SignalPlot(Palette.of("dark"))
    qtbot.addWidget(plot)
    return plot


def test_dots_are_the_measurements_of_each_shell(plot, scan):
    signal = scan.voxel(*VOXEL)
    plot.show_signal(signal, scan.protocol)
    assert len(plot.axes.lines) == 2
    for line, shell in zip(plot.axes.lines, scan.protocol.shells, strict=True):
        np.testing.assert_allclose(line.get_ydata(), signal[shell.indices])


def test_angles_are_to_the_fibre(plot, scan):
    plot.show_signal(scan.voxel(*VOXEL), scan.protocol)
    shell = scan.protocol.shells[0]
    expected = angles_to(TURN[:, 2], scan.protocol.bvecs[shell.indices])
    # the tensor of a signal with 1 % noise finds its axis within two degrees
    np.testing.assert_allclose(plot.axes.lines[0].get_xdata(), expected, atol=2.0)


def test_a_new_fit_replaces_the_last(plot, scan):
    plot.show_signal(scan.voxel(*VOXEL), scan.protocol)
    for _ in range(3):
        plot.show_fit(scan.voxel(*VOXEL))
    assert len(plot.axes.lines) == 4


def test_a_cleared_plot_takes_no_fit(plot, scan):
    plot.clear("nothing yet")
    plot.show_fit(scan.voxel(*VOXEL))
    assert not plot.axes.lines


def test_angles_do_not_tell_a_gradient_from_its_opposite():
    bvecs = np.array([[0, 0, 1.0], [0, 0, -1.0], [1.0, 0, 0]])
    np.testing.assert_allclose(angles_to(np.array([0, 0, 1.0]), bvecs), [0, 0, 90])


def test_a_curve_keeps_the_mean():
    angle, value = np.linspace(0, 90, 30), np.linspace(0, 1, 30)
    x, y = curve(angle, value)
    assert np.all(np.diff(x) > 0)
    assert y.mean() == pytest.approx(0.5)


def test_too_many_shells_are_thinned_from_lowest_to_highest(scan):
    shells = [SimpleNamespace(bval=b, delta=5.0, Delta=10.0) for b in range(500, 10001, 500)]
    chosen = [shell.bval for shell in some_of(shells, 6)]
    assert len(chosen) == 6
    assert (chosen[0], chosen[-1]) == (500, 10000)


def test_of_several_timings_the_middle_one_is_drawn():
    shells = [
        SimpleNamespace(bval=b, delta=5.0, Delta=t) for b in (1000, 3000, 6000, 10000) for t in (10.0, 25.0, 50.0)
    ]
    assert [(shell.bval, shell.Delta) for shell in some_of(shells, 6)] == [
        (1000, 25.0),
        (3000, 25.0),
        (6000, 25.0),
        (10000, 25.0),
    ]
