"""A preview: what it learns from, what it says, where it is kept, and what is refused."""

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from scipy.spatial.transform import Rotation

from napari_remidi.cli import main
from napari_remidi.errors import InputError
from napari_remidi.inversion import Inverter, Settings
from napari_remidi.inversion.preview import Preview
from napari_remidi.inversion.preview.examples import DEGREE, TurnedSignals, noisy, random_rotations
from napari_remidi.inversion.preview.harmonics import Harmonics
from napari_remidi.inversion.preview.training import Outline, distance
from napari_remidi.inversion.sphere import half_sphere, monomials
from napari_remidi.inversion.starts import StartLibrary, build_library
from napari_remidi.physics import TetMesh, simulate
from napari_remidi.results import reconstruct
from napari_remidi.scan import Protocol, Waveform, spread_directions
from napari_remidi.shapes import Prior

TINY = {"shapes": 64, "steps": 20}
FEW = {"starts": 1, "iterations": 2, "device": "cpu", "noise_sd": 0.02}


@pytest.fixture(scope="module")
def prior() -> Prior:
    return Prior.load("axon")


@pytest.fixture(scope="module")
def steps(protocol, prior) -> list:
    return list(Preview.train(protocol, prior, **TINY))


@pytest.fixture(scope="module")
def preview(steps) -> Preview:
    return steps[-1]


@pytest.fixture(scope="module")
def signal(protocol, prior) -> np.ndarray:
    mesh = prior.decode(0.5 * np.asarray(prior.exemplars[10]))
    turn = Rotation.from_rotvec([0.4, -0.7, 0.2]).as_matrix()
    return simulate(TetMesh(mesh.points @ turn.T, mesh.tetrahedra), protocol, 2.0, device="cpu")


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setattr("napari_remidi.inversion.preview.store.user_cache_path", lambda name: tmp_path / name)
    return tmp_path


def test_harmonics_do_not_depend_on_the_orientation() -> None:
    directions = spread_directions(200)
    protocol = Protocol.pgse(np.full(200, 1000.0), directions, 5.0, 25.0)
    harmonics, generator = Harmonics(protocol), torch.Generator().manual_seed(0)
    rotations = random_rotations(20, generator)
    along = torch.as_tensor(directions, dtype=torch.float32) @ rotations
    signals = torch.exp(-(along.square() * torch.tensor([0.2, 0.6, 1.5])).sum(dim=2))
    polynomials = harmonics.polynomials(signals)
    frames = harmonics.frames(polynomials)
    assert torch.linalg.det(frames) == pytest.approx(1, abs=1e-5)
    alike = (frames * rotations[:, :, [1, 0, 2]]).sum(dim=1).abs()
    torch.testing.assert_close(alike[:, 2], torch.ones(20), atol=1e-3, rtol=0)
    turned = harmonics.turned(polynomials, frames)
    torch.testing.assert_close(turned, turned[:1].expand_as(turned), atol=2e-3, rtol=0)


def test_turned_signals_are_those_of_turned_polynomials(protocol) -> None:
    generator = torch.Generator().manual_seed(1)
    coefficients = torch.randn(2, 91, len(protocol.shells), generator=generator)
    rotations = random_rotations(2, generator)
    signals = TurnedSignals(protocol)(coefficients, rotations)
    shell = protocol.shells[3]
    for row in shell.indices[:3]:
        body = rotations[1].T @ torch.as_tensor(protocol.bvecs[row], dtype=torch.float32)
        assert signals[1, row] == pytest.approx(float(monomials(body, DEGREE) @ coefficients[1, :, 3]), abs=1e-4)
    assert (signals[:, protocol.is_b0] == 1).all()


def test_noise_is_rician() -> None:
    floor = noisy(torch.zeros(2000, 500), torch.Generator().manual_seed(0))
    sd = floor.square().mean(dim=1).div(2).sqrt()  # of the channels
    assert floor.mean(dim=1).div(sd).mean() == pytest.approx(np.sqrt(np.pi / 2), abs=0.01)
    assert 1 / 105 < sd.min() < 1 / 90
    assert 1 / 11 < sd.max() < 1 / 9.5


def test_the_distance_of_shapes_knows_twins_and_ends(prior) -> None:
    centres, moments = Outline(prior)(torch.as_tensor(prior.exemplars[:4], dtype=torch.float32))
    turned_round = centres.flip(1), moments.flip(1)
    for c, m in ((centres, moments), (-centres, moments), turned_round, (-turned_round[0], turned_round[1])):
        assert distance(c, m, centres, moments).max() < 0.01
    assert distance(centres, 1.21 * moments, centres, moments) == pytest.approx(
        0.21 * (moments.square().sum(dim=(2, 3)) / moments.diagonal(dim1=2, dim2=3).sum(2)).sqrt().mean(dim=1), abs=2e-3
    )
    assert distance(centres[:1], moments[:1], centres[1:2], moments[1:2]) > 0.1


def test_training_tells_its_share_and_ends_with_a_preview(steps) -> None:
    *told, last = steps
    assert isinstance(last, Preview)
    stages = list(dict.fromkeys(what for what, _ in told))
    assert stages == ["simulating axons", "training the surrogate", "training the preview"]
    for stage in stages:
        shares = [share for what, share in told if what == stage]
        assert shares == sorted(shares)
        assert shares[-1] == 1


def test_hypotheses_come_best_first(preview, signal) -> None:
    guesses = preview.run(signal)
    assert len(guesses) > 1
    assert [guess.score for guess in guesses] == sorted(guess.score for guess in guesses)
    for guess in guesses:
        np.testing.assert_allclose(guess.rotation @ guess.rotation.T, np.eye(3), atol=1e-5)
        assert np.linalg.det(guess.rotation) > 0
    mesh = preview.mesh(signal)
    assert mesh.surface.is_watertight
    best = preview.shape(guesses[0])
    np.testing.assert_allclose(mesh.points, best.points.numpy() @ guesses[0].rotation.T)


def test_hypotheses_turn_with_the_signal(preview, prior, protocol, signal) -> None:
    turn = Rotation.from_rotvec([0.9, 0.3, -0.4]).as_matrix()
    turned = Preview(protocol.rotated(turn), prior, 2.0, preview.network, preview.surrogate)
    mine, others = preview.run(signal)[0], turned.run(signal)[0]
    np.testing.assert_allclose(others.rotation, turn @ mine.rotation, atol=0.02)
    np.testing.assert_allclose(others.latent, mine.latent, atol=0.05)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s[:-1], "^the signal has 167 values, the preview is for 168$"),
        (lambda s: np.where(np.arange(168) < 2, np.nan, s), "^2 of 168 values of the signal are not finite; choose"),
    ],
)
def test_a_signal_that_is_none_is_refused(preview, signal, change, message) -> None:
    with pytest.raises(InputError, match=message):
        preview.run(change(signal))


def test_a_saved_preview_says_the_same(preview, protocol, prior, signal, tmp_path) -> None:
    path = tmp_path / "preview.safetensors"
    preview.save(path)
    again = Preview.load(path, protocol, prior)
    np.testing.assert_array_equal(again.run(signal)[0].latent, preview.run(signal)[0].latent)


def test_a_preview_for_something_else_is_refused(preview, protocol, prior, tmp_path) -> None:
    path = tmp_path / "preview.safetensors"
    preview.save(path)
    other = protocol.subset(np.arange(len(protocol)) % 3 > 0)
    message = "for another protocol, prior or diffusivity; .* train-preview$"
    for protocol_, settings in ((other, Settings()), (protocol, Settings(diffusivity=1.7))):
        with pytest.raises(InputError, match=message):
            Preview.load(path, protocol_, prior, settings)
        with pytest.raises(InputError, match=message):
            Inverter(protocol_, prior, settings, preview)


def test_the_cache_is_found_and_a_damaged_file_left_aside(preview, protocol, prior, cache) -> None:
    assert Preview.for_protocol(protocol, prior) is None
    preview.save(preview.cache_path)
    assert preview.cache_path.is_relative_to(cache)
    assert isinstance(Preview.for_protocol(protocol, prior), Preview)
    assert Preview.for_protocol(protocol, prior, Settings(diffusivity=1.7)) is None
    content = preview.cache_path.read_bytes()
    for damaged in (content[: len(content) // 2], b"", content[:8] + b"}" + content[9:]):
        preview.cache_path.write_bytes(damaged)
        with pytest.warns(
            UserWarning, match=r"not a preview that can be read; make it again with train-preview; going"
        ):
            assert Preview.for_protocol(protocol, prior) is None


@pytest.mark.parametrize(
    ("name", "settings", "change", "message"),
    [
        ("axon-open", {}, None, "^a preview is for one axon with closed ends, not for prior 'axon-open'"),
        ("axon", {"fit_diffusivity": True}, None, "^a preview takes the diffusivity as known: give it"),
        ("axon", {}, lambda p: p.subset(np.arange(168) % 20 < 4), "^no shell of the protocol has 6 directions"),
        (
            "axon",
            {},
            lambda p: p + Protocol.of_waveforms([Waveform.spherical(20, 25, b=1000)]),
            "^1 of 169 measurements have waveforms, and a preview takes pulsed ones only$",
        ),
    ],
)
def test_what_no_preview_can_be_made_for_is_refused(protocol, name, settings, change, message) -> None:
    asked = protocol if change is None else change(protocol)
    with pytest.raises(InputError, match=message):
        next(Preview.train(asked, Prior.load(name), Settings(**settings)))
    assert Preview.for_protocol(asked, Prior.load(name), Settings(**settings)) is None


def test_a_reconstruction_begins_with_the_preview(preview, protocol, prior, signal) -> None:
    inverter = Inverter(protocol, prior, Settings(noise_sd=0.01, device="cpu", starts=2), preview)
    library = build_library(inverter.prior, protocol, inverter.settings, inverter.device, count=8)
    inverter._library = next(step for step in library if isinstance(step, StartLibrary))
    steps = inverter.run(signal)
    first = next(steps)
    assert first.stage == "preview"
    np.testing.assert_allclose(first.points, preview.mesh(signal, 0.01).points)
    next(iterate for iterate in steps if iterate.stage == "starting")
    guesses = preview.run(signal, 0.01)
    kept = [guess for guess in guesses if preview.shape(guess) is not None]
    points = [point for some in inverter._candidates(signal, inverter._coarse, guesses) for point in some]
    assert len(points) > len(kept) > 0
    for point, guess in zip(points, kept, strict=False):
        np.testing.assert_allclose(point.parameters[: prior.latent_dim], guess.latent)
        np.testing.assert_allclose(point.rotation, guess.rotation)


def test_a_result_says_whether_a_preview_gave_its_starts(preview, protocol, prior, signal, cache) -> None:
    def used(**settings) -> bool:
        return reconstruct(signal, protocol, prior=prior, **FEW, **settings).solution.settings["preview"]

    assert used() is False
    with pytest.raises(InputError, match="there is no preview for this protocol, prior and diffusivity"):
        used(preview=True)
    preview.save(preview.cache_path)
    assert used() is True
    assert used(preview=False) is False


def test_the_command_writes_where_reconstruct_looks(preview, steps, cache, monkeypatch) -> None:
    monkeypatch.setattr(Preview, "train", lambda *args, **kwargs: iter(steps))
    result = CliRunner().invoke(main, ["train-preview", "--json"])
    assert result.exit_code == 0, result.output
    assert preview.cache_path.is_file()


def test_an_interrupted_command_leaves_nothing(steps, cache, monkeypatch) -> None:
    def interrupted(*args, **kwargs):
        yield steps[0]
        raise KeyboardInterrupt

    monkeypatch.setattr(Preview, "train", interrupted)
    result = CliRunner().invoke(main, ["train-preview"])
    assert result.exit_code != 0
    assert list(cache.rglob("*")) == []


def test_polynomials_hold_harmonics_of_degree_eight() -> None:
    nodes = torch.as_tensor(half_sphere(60))
    assert torch.linalg.matrix_rank(monomials(nodes, 8)) == 45
    assert monomials(nodes, 8).shape == (60, 45)
