"""From a signal to a shape, and everything that can be wrong with the request."""

import numpy as np
import pytest

from napari_remidi.errors import Cancelled, InputError, PriorError, ProtocolError, TimingError
from napari_remidi.inversion import Inverter, Iterate, Settings
from napari_remidi.inversion.rotation import rotations_about
from napari_remidi.physics import TetMesh, simulate
from napari_remidi.physics.geometry.balls import sphere
from napari_remidi.results import Axon, chamfer, inverter_for, reconstruct
from napari_remidi.scan import Protocol, Waveform
from napari_remidi.shapes import Prior
from napari_remidi.shapes.quantities import quantities

NOISE = 0.01


@pytest.fixture(scope="module")
def truth() -> TetMesh:
    """A bent axon of the prior's own family, in an orientation that is no axis."""
    prior = Prior.load("axon")
    mesh = prior.decode(np.asarray(prior.exemplars[300]) * 0.6)
    turn = rotations_about(np.array([0.6, -0.48, 0.64]), turns=3, tilts=())[1]
    return TetMesh(mesh.points @ turn.T, mesh.tetrahedra)


@pytest.fixture(scope="module")
def signal(truth: TetMesh, protocol: Protocol) -> np.ndarray:
    rng = np.random.default_rng(3)
    noise = NOISE * rng.standard_normal((2, len(protocol)))
    return np.hypot(simulate(truth, protocol, 2.0, device="cpu") + noise[0], noise[1])


@pytest.fixture(scope="module")
def inverter(protocol: Protocol) -> Inverter:
    return inverter_for(protocol, "axon", noise_sd=NOISE, device="cpu", starts=2, iterations=12)


@pytest.fixture(scope="module")
def unknowing(protocol: Protocol) -> Inverter:
    """One that has to find the noise for itself, from all starts: of two, one may end in a stout axon with a bead that
    explains a sphere.
    """
    return inverter_for(protocol, "axon", device="cpu")


@pytest.fixture(scope="module")
def found(signal, protocol, inverter) -> tuple[Axon, list[Iterate]]:
    """What is found of the truth, and what was told on the way."""
    told: list[Iterate] = []
    return reconstruct(signal, protocol, inverter=inverter, progress=told.append), told


@pytest.mark.slow
def test_an_axon_is_found_again_within_its_error_bars(truth, found, inverter) -> None:
    axon, told = found
    assert chamfer(axon.surface, truth.surface) < 0.25
    assert axon.solution.chi2_per_dof == pytest.approx(1, abs=0.4)
    assert axon.report()["explained"] is True
    for name, value in quantities(truth.points, inverter.prior.tube).items():
        measured = axon.solution.quantities[name]
        # twice the interval: 11 quantities, each outside its own once in ten times
        reach = 2 * (measured["high"] - measured["value"])
        assert value == pytest.approx(measured["value"], abs=max(reach, 1e-6)), name
    assert axon.surface.is_watertight
    assert axon.surface.volume > 0
    assert TetMesh(axon.points, axon.tetrahedra).points.shape == axon.points.shape
    shares = [iterate.fraction for iterate in told]
    assert shares == sorted(shares)
    refined = [iterate.chi2_per_dof for iterate in told if iterate.stage == "refining"]
    assert refined[-1] <= refined[0]
    assert len(axon.history) == axon.solution.iterations


@pytest.mark.parametrize("stage", ["starting", "refining"])
def test_a_cancelled_run_gives_its_best_shape_so_far_and_says_so(signal, protocol, inverter, found, stage) -> None:
    seen = []

    def stop(iterate: Iterate) -> bool:
        seen.append(iterate)
        return iterate.stage != stage

    axon = reconstruct(signal, protocol, inverter=inverter, progress=stop)
    assert seen[-1].stage == stage  # it stops within a step
    assert axon.cancelled
    report = axon.report()
    assert report["stop_reason"] == "cancelled"
    assert report["warning"].startswith("the run was cancelled: this is its best shape so far")
    assert axon.surface.is_watertight
    if stage == "refining":
        assert axon.solution.chi2_per_dof == pytest.approx(seen[-1].chi2_per_dof, rel=0.05)
    again = reconstruct(signal, protocol, inverter=inverter)  # nothing of it is left behind
    np.testing.assert_allclose(again.points, found[0].points, atol=1e-6)


def test_a_run_cancelled_before_there_is_a_shape_gives_none(signal, protocol) -> None:
    with pytest.raises(Cancelled, match=r"^cancelled before there was a shape; nothing was saved$"):
        reconstruct(signal, protocol, device="cpu", progress=lambda iterate: False)


def test_the_same_request_gives_the_same_axon_also_after_a_closed_generator(signal, protocol, inverter, found) -> None:
    steps = inverter.run(signal)
    next(steps)
    steps.close()
    again = reconstruct(signal, protocol, inverter=inverter)
    assert again.solution.iterations > 0
    np.testing.assert_allclose(again.points, found[0].points, atol=1e-6)


@pytest.mark.parametrize(
    ("kind", "known"),
    [
        (1.0, True),
        (2.0, True),
        (3.0, True),
        (4.5, True),
        (2.0, False),
        (4.5, False),
        ("two crossing axons", True),
        ("two crossing axons", False),
        ("noise", True),
        ("noise", False),
    ],
)
def test_what_no_axon_explains_is_flagged(truth, protocol, inverter, unknowing, kind, known) -> None:
    rng = np.random.default_rng(1)
    if isinstance(kind, float):  # of a sphere
        clean = simulate(sphere(kind), protocol, 2.0, device="cpu")
    elif kind == "noise":
        clean = np.where(protocol.is_b0, 1.0, rng.uniform(0, 1, len(protocol)))
    else:
        other = TetMesh(truth.points[:, [2, 0, 1]], truth.tetrahedra)  # a third of a turn about (1, 1, 1)
        clean = np.mean([simulate(mesh, protocol, 2.0, device="cpu") for mesh in (truth, other)], axis=0)
    noise = NOISE * rng.standard_normal((2, len(protocol)))
    axon = reconstruct(np.hypot(clean + noise[0], noise[1]), protocol, inverter=inverter if known else unknowing)
    report = axon.report()
    assert report["explained"] is False
    assert report["warning"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s[:-1], r"^the signal has shape \(167,\), the protocol 168 measurements: give one value for each$"),
        (
            lambda s: np.where(np.arange(168) < 2, np.nan, s),
            "^2 of 168 values of the signal are NaN or infinite; choose another voxel$",
        ),
        (
            lambda s: np.where(np.arange(168) < 3, -0.1, s),
            "^3 of 168 values of the signal are negative; give magnitudes, S/S0$",
        ),
        (lambda s: 800 * s, r"^the signal reaches .*; give S/S0, which is near one without a gradient$"),
    ],
)
def test_a_signal_that_is_none_is_refused(signal, protocol, inverter, change, message) -> None:
    with pytest.raises(InputError, match=message):
        reconstruct(change(signal), protocol, inverter=inverter)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"model": "tissue"}, "^model 'tissue' is unknown; choose 'axon' "),
        ({"diffusivity": 2000.0}, "^diffusivity 2000.0 is outside 0.01 to 10 µm²/ms"),
        ({"starts": 0}, "^starts is 0; it must be 1 or more$"),
        ({"noise_sd": 50}, "^noise_sd 50 is outside 0 to 1; give the noise of S/S0"),
        ({"modes": 3}, "^modes is 3; it must be 10 or more$"),
        ({"colour": "red"}, "^unknown setting colour; known are "),
        ({"device": "abacus"}, "abacus"),
    ],
)
def test_a_setting_that_makes_no_sense_is_refused(protocol, setting, message) -> None:
    with pytest.raises(InputError, match=message):
        inverter_for(protocol, "axon", **setting)


def test_a_protocol_without_timing_is_refused(protocol) -> None:
    untimed = Protocol.pgse(protocol.bvals, protocol.bvecs, None, None)
    with pytest.raises(TimingError, match="HCP WU-Minn"):
        inverter_for(untimed, "axon")


def test_waveforms_are_refused_with_the_remedy(protocol) -> None:
    mixed = protocol + Protocol.of_waveforms([Waveform.spherical(20, 25, b=1000)])
    message = (
        r"^1 of 169 measurements have waveforms, and a reconstruction takes pulsed ones: keep those, "
        r"protocol\.subset\(~protocol\.is_waveform\)$"
    )
    with pytest.raises(InputError, match=message):
        inverter_for(mixed, "axon")


@pytest.mark.parametrize(("prior", "model"), [("axon", "axon"), ("axon-open", "voxel")])
def test_a_protocol_without_gradients_is_refused(protocol, prior, model) -> None:
    message = "^all 8 measurements have b = 0: give a protocol with weighted ones$"
    with pytest.raises(ProtocolError, match=message):
        inverter_for(protocol.subset(protocol.is_b0), prior, model=model)


@pytest.mark.parametrize("which", [[0, 1], [0, 0, 0]], ids=["two", "one, three times"])
def test_too_few_directions_are_refused(protocol, which) -> None:
    directions = np.tile(np.eye(3)[which], (3, 1))
    few = Protocol.pgse(np.repeat([0.0, 1000.0, 3000.0], len(which)), directions, 5.0, 25.0)
    with pytest.raises(ProtocolError, match="has 3 different directions, and nothing else says how an axon lies: "):
        inverter_for(few, "axon")


def test_tissue_needs_open_ends(protocol) -> None:
    message = "^model 'voxel' needs a prior of axons with open ends, and 'axon' has closed ones: choose 'axon-open'$"
    with pytest.raises(PriorError, match=message):
        inverter_for(protocol, "axon", model="voxel")


def test_settings_survive_a_report() -> None:
    settings = Settings(model="voxel", prior="axon-open", noise_sd=0.01)
    assert Settings.from_dict(settings.to_dict()) == settings


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_voxel_of_white_matter_is_explained(cat_cord) -> None:
    """The cat spinal cord at a white-matter voxel: an analytic cylinder with tensor and free water reaches 99.7 %."""
    import napari_remidi as remidi

    scan = remidi.Scan.open(cat_cord.image, scheme=cat_cord.scheme)
    voxel = (46, 26, 0)  # the lateral column
    axon = reconstruct(
        scan.voxel(*voxel), scan.protocol, "axon-open", noise_sd=scan.noise_sd(*voxel), device="cpu", model="voxel"
    )
    report = axon.report()
    assert report["variance_explained"] >= 0.995
    assert axon.surface.is_watertight
    assert TetMesh(axon.points, axon.tetrahedra).surface.volume > 0
    assert set(report["fractions"]) == {"intra", "extra", "free"}
    assert report["parameters"]["model"] == "voxel"
