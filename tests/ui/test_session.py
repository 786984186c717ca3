"""What the user has chosen, without Qt."""

import numpy as np
import pytest
from tests.ui.conftest import VOXEL, make_scan

from napari_remidi.errors import InputError, RemidiError, ScanError, TimingError
from napari_remidi.ui.session import MISSING, TYPED, Session, Timing, timings


@pytest.fixture
def session(scan):
    session = Session()
    session.use_scan(scan)
    return session


def test_a_pick_reads_the_voxels_signal(session, scan):
    session.pick(VOXEL)
    np.testing.assert_allclose(session.signal, scan.voxel(*VOXEL))
    assert session.ready


def test_a_bad_pick_keeps_the_last_one(session):
    session.pick(VOXEL)
    with pytest.raises(ScanError):
        session.pick((0, 0, 0))
    assert session.voxel == VOXEL


def test_another_scan_forgets_the_voxel(session):
    session.pick(VOXEL)
    session.use_scan(make_scan())
    assert session.voxel is None
    assert not session.ready


def test_the_truth_is_known_where_the_scan_knows_it(session):
    session.pick(VOXEL)
    assert session.truth is not None
    session.pick((1, 1, 1))
    assert session.truth is None


def test_a_request_holds_signal_timing_noise_and_truth(session, scan):
    session.pick(VOXEL)
    request = session.request({"starts": 2})
    assert request.settings == {"starts": 2, "noise_sd": scan.noise_sd(*VOXEL)}
    assert request.protocol.has_timing
    assert request.truth is not None


def test_no_voxel_no_request(session):
    with pytest.raises(InputError, match="click one"):
        session.request({})


def test_no_scan_no_pick():
    with pytest.raises(InputError, match="No scan is chosen"):
        Session().pick(VOXEL)


def test_missing_timing_is_asked_for_never_assumed():
    session = Session()
    session.use_scan(make_scan(delta=None, Delta=None))
    session.pick(VOXEL)
    assert session.timing_source == MISSING
    with pytest.raises(TimingError):
        session.request({})
    session.use_timing(Timing(TYPED, 5.0, 20.0))
    assert session.timing_source == TYPED
    assert session.request({}).protocol.Delta[-1] == 20.0


def test_an_unusable_timing_is_not_replaced_by_another(session):
    session.pick(VOXEL)
    with pytest.raises(RemidiError):
        session.use_timing(Timing(TYPED, 30.0, 20.0))
    with pytest.raises(TimingError, match="not usable as typed"):
        session.request({})


def test_a_scans_own_timing_is_offered_first_and_typing_last(scan):
    offered = [timing.label for timing in timings(scan)]
    assert offered[0] == "from the scan"
    assert offered[-1] == TYPED
    assert any("HCP" in label for label in offered)


def test_a_scan_without_timing_has_none_of_its_own_to_offer():
    assert "from the scan" not in [timing.label for timing in timings(make_scan(delta=None, Delta=None))]
