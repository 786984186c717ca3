"""What a protocol knows of its measurements."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some
from tests.scan.measured import BVALS, DIRECTIONS

from napari_remidi.errors import TimingError
from napari_remidi.scan import PRESETS, Protocol, spread_directions

GAMMA_SI = 267.522e6  # rad/(s T)


@given(b=some.floats(50, 30000), delta=some.floats(1, 30), gap=some.floats(0.1, 100))
def test_q_and_gradient_give_the_b_value_back(b, delta, gap):
    protocol = Protocol.pgse([0, b], [[0, 0, 0], [0, 0, 1]], delta, delta + gap)
    seconds, separation, tesla = delta * 1e-3, (delta + gap) * 1e-3, protocol.gradient_strength[1] * 1e-3
    si = (GAMMA_SI * tesla * seconds) ** 2 * (separation - seconds / 3)  # s/m²
    assert si * 1e-6 == pytest.approx(b, rel=1e-9)
    assert protocol.q[0] == 0


def test_the_papers_protocol_has_20_shells_at_each_of_3_separations():
    protocol = Protocol.paper()
    assert len(protocol) == 30 * 21 * 3
    assert len(protocol.shells) == 20 * 3
    assert {len(shell.indices) for shell in protocol.shells} == {30}
    assert protocol.is_b0.sum() == 90
    assert protocol.has_timing


def test_b_values_that_scatter_by_direction_are_one_shell():
    b = np.r_[np.zeros(3), 990 + np.arange(20), 1985 + np.arange(30), 2980 + np.arange(40)]
    protocol = Protocol.pgse(b, np.tile([0, 0, 1], (len(b), 1)), None, None)
    assert [len(shell.indices) for shell in protocol.shells] == [20, 30, 40]
    assert [shell.bval for shell in protocol.shells] == [999.5, 1999.5, 2999.5]


def test_b_values_without_gaps_are_not_all_one_shell():
    b = np.r_[0, np.arange(500, 5000, 10)]
    protocol = Protocol.pgse(b, np.tile([0, 0, 1], (len(b), 1)), None, None)
    assert all(np.ptp(b[shell.indices]) <= 0.1 * b[shell.indices].max() for shell in protocol.shells)
    assert sum(len(shell.indices) for shell in protocol.shells) == len(b) - 1


def test_shells_differ_in_timing_and_echo_time():
    b, g = [0, 1000, 1000, 1000, 1000], np.tile([0, 0, 1], (5, 1))
    protocol = Protocol.pgse(b, g, 5, [20, 20, 40, 40, 40], te=[60, 60, 60, 60.1, 80])
    assert [(shell.Delta, shell.te, len(shell.indices)) for shell in protocol.shells] == [
        (20, 60, 1),
        (40, 60.05, 2),
        (40, 80, 1),
    ]


def test_a_weak_shell_beside_true_zeros_is_measured():
    assert Protocol.pgse([0, 41, 1000], np.tile([0, 0, 1], (3, 1)), None, None).is_b0.tolist() == [True, False, False]


def test_the_weakest_measurement_serves_where_there_is_no_zero():
    assert Protocol.pgse([15, 1000], np.tile([0, 0, 1], (2, 1)), None, None).is_b0.tolist() == [True, False]


def test_b_vectors_may_be_anything_at_b0():
    bvecs = DIRECTIONS.copy()
    bvecs[0] = np.nan
    protocol = Protocol.pgse(BVALS, bvecs, 10, 30)
    np.testing.assert_allclose(protocol.bvecs, DIRECTIONS)


def test_timing_may_be_zero_or_unknown_at_b0():
    delta, Delta = np.r_[0, np.full(20, 10.0)], np.r_[np.nan, np.full(20, 30.0)]
    protocol = Protocol.pgse(BVALS, DIRECTIONS, delta, Delta)
    assert protocol.has_timing
    assert np.isfinite(protocol.q).all()


def test_unknown_timing_stays_unknown():
    protocol = Protocol.pgse(BVALS, DIRECTIONS, None, None)
    assert not protocol.has_timing
    assert protocol.timing_source == "not recorded"
    assert np.isnan(protocol.q[1:]).all()


def test_asking_for_unknown_timing_lists_every_preset():
    with pytest.raises(TimingError) as error:
        Protocol.pgse(BVALS, DIRECTIONS, None, None).require_timing()
    assert str(error.value) == (
        "the scan records no pulse timing, and the signal of an axon depends on it: give delta and Delta in ms, or one "
        "of the presets (delta/Delta ms): 'HCP WU-Minn' (10.6/43.1), 'MGH-USC HCP' (12.9/21.8), 'Connectome CDMD "
        "short' (8/19), 'Connectome CDMD long' (8/49), 'WAND AxCaliber' (11/18|30|42|55), 'HBCD' (14.2/43), 'ReMiDi "
        "paper' (5/10|25|50)"
    )


@pytest.mark.parametrize("name", [name for name, timing in PRESETS.items() if len(timing.Delta) == 1])
def test_a_preset_gives_timing_and_its_name(name):
    protocol = Protocol.pgse(BVALS, DIRECTIONS, None, None).with_preset(name)
    protocol.require_timing()
    assert protocol.timing_source == f"preset {name}"


def test_a_typed_number_is_told_from_a_recorded_one():
    recorded = Protocol.pgse(BVALS, DIRECTIONS, 10.6, 43.1, source="scheme file a.scheme")
    assert recorded.with_timing(None, 40.0).timing_source == "scheme file a.scheme; Delta typed"
    assert recorded.with_timing(10.0, 40.0).timing_source == "typed"


def test_a_protocol_survives_a_report():
    protocol = Protocol.pgse(BVALS, DIRECTIONS, np.r_[0, np.full(20, 10.0)], 30, te=np.r_[0, np.full(20, 60.0)])
    again = Protocol.from_dict(protocol.to_dict())
    for name in ("bvals", "bvecs", "delta", "Delta", "te"):
        np.testing.assert_array_equal(getattr(again, name), getattr(protocol, name))
    assert again.timing_source == protocol.timing_source


def test_a_subset_keeps_its_measurements():
    protocol = Protocol.paper()
    chosen = protocol.subset(protocol.bvals == 500)
    assert len(chosen) == 90
    assert set(chosen.Delta) == {10, 25, 50}


def test_turning_a_protocol_turns_its_directions():
    turn = np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])
    protocol = Protocol.pgse([0, 1000], [[0, 0, 0], [1, 0, 0]], 5, 20).rotated(turn)
    np.testing.assert_allclose(protocol.bvecs[1], [0, 1, 0], atol=1e-12)


def test_directions_spread_over_half_a_sphere():
    directions = spread_directions(30)
    np.testing.assert_allclose(np.linalg.norm(directions, axis=1), 1)
    cosine = np.abs(directions @ directions.T - np.eye(30))
    assert np.degrees(np.arccos(cosine.max())) > 10  # 30 directions: 21° at the very best
