"""The engine's thread: what voxels share is prepared once, and errors come back as sentences."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
from tests.ui.conftest import VOXEL, FakeEngine, make_scan

from napari_remidi.inversion import Settings
from napari_remidi.ui.background import Failure
from napari_remidi.ui.run import SharedEngine, steps
from napari_remidi.ui.session import Session


@pytest.fixture
def request_():
    session = Session()
    session.use_scan(make_scan())
    session.pick(VOXEL)
    return session.request({"starts": 1})


def outcome(running):
    """What a generator returns."""
    while True:
        try:
            next(running)
        except StopIteration as end:
            return end.value


@pytest.fixture
def made(monkeypatch):
    """The inverters the shared engine makes; each run yields the noise its inverter was told."""
    inverters = []

    def inverter_for(protocol, **settings):
        inverters.append(SimpleNamespace(settings=Settings(**settings)))
        return inverters[-1]

    def reconstruct_steps(signal, protocol, inverter, source):
        yield inverter.settings.noise_sd

    monkeypatch.setattr("napari_remidi.results.inverter_for", inverter_for, raising=False)
    monkeypatch.setattr("napari_remidi.results.reconstruct_steps", reconstruct_steps, raising=False)
    return inverters


def test_voxels_of_one_protocol_share_what_is_prepared_but_not_their_noise(made, scan):
    engine = SharedEngine()
    noises = [list(engine(None, scan.protocol, noise_sd=sd, starts=2)) for sd in (0.01, 0.03, None)]
    assert noises == [[0.01], [0.03], [None]]
    assert len(made) == 1


def test_another_protocol_or_setting_is_prepared_anew(made, scan):
    engine = SharedEngine()
    for protocol, starts in ((scan.protocol, 2), (scan.protocol, 3), (replace(scan.protocol), 3)):
        list(engine(None, protocol, starts=starts))
    assert len(made) == 3


@pytest.mark.parametrize("error", [RuntimeError("out of memory"), MemoryError("host"), ValueError("odd")])
def test_any_error_comes_back_as_a_sentence(request_, error):
    failure = outcome(steps(request_, FakeEngine(steps=1, error=error)))
    assert isinstance(failure, Failure)
    assert str(error) in failure.message


def test_the_truth_is_compared_in_the_worker(request_):
    axon = outcome(steps(request_, FakeEngine(steps=1)))
    assert axon.report()["chamfer_um"] == 0.1
