"""A waveform knows its b-tensor, and one that is wrong is refused in one sentence."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from scipy.integrate import quad_vec
from scipy.spatial.transform import Rotation

from napari_remidi.errors import ProtocolError, TimingError
from napari_remidi.scan import Protocol, Waveform, spread_directions

GAMMA = 2.67522e-4  # rad/(µm ms) for 1 mT/m
DIAGONAL = np.ones(3) / np.sqrt(3)


def random_waveform(seed: int, steps: int = 12) -> Waveform:
    samples = np.random.default_rng(seed).standard_normal((steps, 3)) * 60
    return Waveform.from_samples(samples - samples.mean(axis=0), dt=0.7)


def tensor_by_quadrature(waveform: Waveform) -> np.ndarray:
    """∫ k kᵀ dt with k from its definition, each step integrated by adaptive quadrature."""

    def integrand(t: float) -> np.ndarray:
        done = min(int(t / waveform.dt), len(waveform.gradient) - 1)
        k = GAMMA * (waveform.gradient[:done].sum(axis=0) * waveform.dt)
        k = k + GAMMA * waveform.gradient[done] * (t - done * waveform.dt)
        return np.outer(k, k)

    edges = np.arange(len(waveform.gradient) + 1) * waveform.dt
    steps = zip(edges, np.nextafter(edges[1:], 0), strict=False)
    return 1000 * sum(quad_vec(integrand, a, b)[0] for a, b in steps)


@pytest.mark.parametrize("seed", range(3))
def test_the_b_tensor_is_the_integral(seed):
    waveform = random_waveform(seed)
    tensor = tensor_by_quadrature(waveform)
    np.testing.assert_allclose(waveform.b_tensor, tensor, rtol=1e-9, atol=1e-9 * tensor.max())
    assert waveform.bval == pytest.approx(np.trace(tensor))


def test_pulses_have_stejskals_and_tanners_b():
    q = GAMMA * 80
    pulsed = Waveform.pgse([0, 0, -1], delta=10.6, Delta=43.1, G=80)
    assert pulsed.bval == pytest.approx(1000 * q**2 * 10.6**2 * (43.1 - 10.6 / 3), rel=1e-12)
    assert (pulsed.encoding, pulsed.duration, pulsed.peak) == ("LTE", pytest.approx(53.7), pytest.approx(80))
    np.testing.assert_allclose(pulsed.direction, [0, 0, -1], atol=1e-12)


def test_ramps_change_b_as_known():
    """b = q² (δ²(Δ − δ/3) + ε³/30 − δε²/6): Price, Concepts Magn. Reson. 9, 299 (1997); sixteen samples on a ramp."""
    q, delta, Delta, ramp = GAMMA * 80, 10.0, 30.0, 2.0
    b = 1000 * q**2 * (delta**2 * (Delta - delta / 3) + ramp**3 / 30 - delta * ramp**2 / 6)
    assert Waveform.trapezoid([1, 0, 0], delta, Delta, ramp, G=80).bval == pytest.approx(b, rel=1e-4)


@pytest.mark.parametrize(("phase", "factor"), [("cosine", 1.0), ("sine", 3.0)])
def test_oscillations_have_the_b_of_their_closed_form(phase, factor):
    """q²δ/ω² for two cosine lobes, three times that for sine; 64 samples a period leave 1e-3."""
    q, delta, periods = GAMMA * 300, 20.0, 3
    waveform = Waveform.ogse([0, 1, 0], delta, 25.0, periods, G=300, phase=phase)
    b = 1000 * factor * q**2 * delta / (2 * np.pi * periods / delta) ** 2
    assert waveform.bval == pytest.approx(b, rel=3e-3)
    fine = Waveform.ogse([0, 1, 0], delta, 25.0, periods, G=300, phase=phase, dt=0.01)
    assert fine.bval == pytest.approx(b, rel=1e-5)


def test_pulses_between_the_steps_keep_their_area_and_refocus():
    waveform = Waveform.pgse([1, 0, 0], delta=3.3, Delta=17.17, b=2000, dt=0.25)
    assert waveform.bval == pytest.approx(2000)
    assert waveform.peak == pytest.approx(Waveform.pgse([1, 0, 0], 3.3, 17.17, b=2000).peak, rel=1e-3)


def test_double_pulses_add_their_tensors():
    first, second = Waveform.pgse([1, 0, 0], 4, 15, G=100), Waveform.pgse([0, 1, 0], 4, 15, G=100)
    both = Waveform.double_pgse([[1, 0, 0], [0, 1, 0]], 4, 15, 10, G=100)
    np.testing.assert_allclose(both.b_tensor, first.b_tensor + second.b_tensor, rtol=1e-12, atol=1e-9)
    assert both.duration == pytest.approx(44)


def test_spherical_encoding_weights_every_direction_alike():
    waveform = Waveform.spherical(delta=20, Delta=25, b=2000)
    assert waveform.b_delta == pytest.approx(0, abs=1e-12)
    np.testing.assert_allclose(waveform.b_tensor, np.eye(3) * 2000 / 3, atol=1e-8)
    assert (waveform.encoding, waveform.direction.tolist()) == ("STE", [0, 0, 0])
    assert waveform.gradient[len(waveform.gradient) // 2].tolist() == [0, 0, 0]  # nothing during the refocusing pulse


@pytest.mark.parametrize("normal", [[0, 0, 1], [0.6, 0, 0.8], DIAGONAL])
def test_planar_encoding_weights_a_plane_alike(normal):
    waveform = Waveform.planar(normal, delta=20, Delta=25, b=2000)
    np.testing.assert_allclose(waveform.b_tensor, 1000 * (np.eye(3) - np.outer(normal, normal)), atol=1e-8)
    assert (waveform.encoding, waveform.b_delta) == ("PTE", pytest.approx(-0.5))
    np.testing.assert_allclose(waveform.direction, normal, atol=1e-6)


@settings(deadline=None, max_examples=25)
@given(seed=some.integers(0, 10**6), factor=some.floats(0.1, 10), angles=some.tuples(*[some.floats(-3, 3)] * 3))
def test_turning_and_scaling_do_to_the_tensor_what_they_should(seed, factor, angles):
    waveform, rotation = random_waveform(seed), Rotation.from_rotvec(angles).as_matrix()
    tensor = waveform.b_tensor
    np.testing.assert_allclose(
        waveform.rotated(rotation).b_tensor, rotation @ tensor @ rotation.T, atol=1e-9 * tensor.max()
    )
    assert waveform.scaled(b=factor * waveform.bval).peak == pytest.approx(waveform.peak * np.sqrt(factor))
    assert waveform.scaled(G=factor * waveform.peak).bval == pytest.approx(waveform.bval * factor**2)
    assert -0.5 <= waveform.b_delta <= 1


def test_strength_and_b_may_both_be_given_if_they_agree():
    alone = Waveform.pgse([1, 0, 0], 5, 25, G=100)
    assert Waveform.pgse([1, 0, 0], 5, 25, G=100, b=round(alone.bval)).peak == alone.peak


@pytest.mark.parametrize("kind", ["text", "timed", "commas", "npy"])
def test_a_file_gives_the_samples_back(kind, tmp_path: Path):
    waveform = Waveform.trapezoid(DIAGONAL, 4, 12, 1, G=60)
    path = tmp_path / ("lobes.npy" if kind == "npy" else "lobes.txt")
    times = np.arange(len(waveform.gradient)) * waveform.dt
    table = waveform.gradient if kind == "text" else np.column_stack([times, waveform.gradient])
    if kind == "npy":
        np.save(path, table)
    else:
        np.savetxt(path, table, delimiter=", " if kind == "commas" else " ", header="t gx gy gz", fmt="%.12g")
    opened = Waveform.open(path, dt=waveform.dt if kind == "text" else None)
    np.testing.assert_allclose(opened.gradient, waveform.gradient, rtol=0, atol=1e-9)
    assert (opened.dt, opened.name) == (pytest.approx(waveform.dt), "lobes")
    assert Waveform.open(path, dt=waveform.dt, b=1500).bval == pytest.approx(1500)


LOBES = np.repeat([[40.0, 0, 0], [-40.0, 0, 0]], 10, axis=0)

REFUSED = {
    "not refocused": (
        lambda: Waveform(np.abs(LOBES), 0.5, "lobes"),
        "lobes is not refocused: at its end, 10 ms, 400 mT/m·ms are left of the 400 reached at 10 ms: give the "
        "effective gradient (signs reversed after each refocusing pulse), or correct its samples",
    ),
    "one sample missing": (
        lambda: Waveform(LOBES[:-1], 0.5),
        "waveform is not refocused: at its end, 9.5 ms, 20 mT/m·ms are left of the 200 reached at 5 ms: give the "
        "effective gradient (signs reversed after each refocusing pulse), or correct its samples",
    ),
    "wrong shape": (
        lambda: Waveform(LOBES[:, 0], 0.5),
        "waveform: samples of shape (20,); a waveform needs (T, 3), in mT/m",
    ),
    "too short": (
        lambda: Waveform(LOBES[:1], 0.5),
        "waveform: 1 sample is too short; a waveform that refocuses has at least 2",
    ),
    "words": (
        lambda: Waveform([["a"] * 3] * 4, 0.5),
        "waveform: samples are no numbers; a waveform needs (T, 3), in mT/m",
    ),
    "NaN": (
        lambda: Waveform(np.where(np.arange(20)[:, None] == 7, np.nan, LOBES), 0.5),
        "waveform: 1 of 20 samples are NaN or infinite (the first is number 7, counted from 0); correct them",
    ),
    "no step": (lambda: Waveform(LOBES, 0.0), "waveform: dt is 0 ms; a step must be positive"),
    "seconds": (
        lambda: Waveform(LOBES, 0.0005),
        "waveform: 20 steps of 0.0005 ms last 0.01 ms, which looks like seconds: give dt in milliseconds (0.5)",
    ),
    "early echo": (
        lambda: Waveform(LOBES, 0.5, te=8),
        "waveform: the echo time 8 ms is before the waveform's end at 10 ms; correct it",
    ),
    "times of the wrong length": (
        lambda: Waveform.from_samples(LOBES, times=np.arange(19)),
        "waveform: 19 times for 20 samples; give one for each",
    ),
    "uneven times": (
        lambda: Waveform.from_samples(LOBES, times=np.r_[np.arange(19), 20.0]),
        "waveform: the step after sample 0 is 1 ms and the mean one 1.05263 ms; resample it on equal steps",
    ),
    "dt and times": (
        lambda: Waveform.from_samples(LOBES, 0.5, times=np.arange(20.0)),
        "waveform: dt is 0.5 ms, but its times are 1 ms apart; give one of the two",
    ),
    "neither dt nor times": (
        lambda: Waveform.from_samples(LOBES),
        "waveform: no step; give dt in ms, or a column of times before gx gy gz",
    ),
    "b and G disagree": (
        lambda: Waveform.pgse([1, 0, 0], 5, 25, G=100, b=1000),
        "PGSE: G 100 mT/m gives b 417.48 s/mm², but b 1000 s/mm² is given too; give one of the two",
    ),
    "neither b nor G": (
        lambda: Waveform.spherical(20, 25),
        "STE: no strength; give the peak G in mT/m, or b in s/mm²",
    ),
    "negative b": (
        lambda: Waveform.planar([0, 0, 1], 20, 25, b=-1),
        "PTE: b is -1 s/mm²; it cannot be negative or infinite",
    ),
    "nothing to scale": (
        lambda: Waveform(0 * LOBES, 0.5).scaled(b=1000),
        "waveform: all samples are zero, so that no factor gives it a strength",
    ),
    "direction": (
        lambda: Waveform.pgse([1, 1, 0], 5, 25, b=1000),
        "PGSE: direction has length 1.41: give a unit vector of three numbers",
    ),
    "one direction of two": (
        lambda: Waveform.double_pgse([[1, 0, 0]], 5, 25, 10, b=1000),
        "double PGSE: 1 directions; give two, one for each pair of pulses",
    ),
    "overlap": (
        lambda: Waveform.pgse([1, 0, 0], 25, 5, b=1000),
        "PGSE: Delta 5 ms is shorter than delta 25 ms, so that pulses overlap: Delta counts from one pulse's start "
        "to the next one's",
    ),
    "ramps overlap": (
        lambda: Waveform.trapezoid([1, 0, 0], 5, 5.5, 1, b=1000),
        "trapezoid: Delta 5.5 ms is shorter than delta + ramp 6 ms, so that pulses overlap: Delta counts from one "
        "pulse's start to the next one's",
    ),
    "long ramp": (
        lambda: Waveform.trapezoid([1, 0, 0], 5, 25, 6, b=1000),
        "trapezoid: ramp 6 ms is longer than delta 5 ms, which holds it; shorten it",
    ),
    "short mixing": (
        lambda: Waveform.double_pgse([[1, 0, 0]] * 2, 5, 25, 1, b=1000),
        "double PGSE: mixing 1 ms is shorter than delta 5 ms, so that pulses overlap: mixing counts from one pulse's "
        "start to the next one's",
    ),
    "pulses in seconds": (
        lambda: Waveform.pgse([1, 0, 0], 0.005, 0.025, b=1000),
        "PGSE: Delta is 0.025 ms, which looks like seconds: give all times in milliseconds (25)",
    ),
    "no duration": (lambda: Waveform.pgse([1, 0, 0], 0, 25, b=1000), "PGSE: delta is 0 ms; it must be positive"),
    "half a period": (
        lambda: Waveform.ogse([1, 0, 0], 20, 25, 1.5, b=500),
        "cosine OGSE: 1.5 periods; a lobe refocuses with a whole number of them, from 1",
    ),
    "unknown phase": (
        lambda: Waveform.ogse([1, 0, 0], 20, 25, 2, b=500, phase="tangent"),
        "OGSE phase 'tangent' is unknown; choose 'cosine' or 'sine'",
    ),
    "no waveform": (
        lambda: Protocol.of_waveforms([Waveform(LOBES, 0.5), LOBES]),
        "measurement 1 is a ndarray; give a Waveform for each",
    ),
}


@pytest.mark.parametrize(("make", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_a_wrong_waveform_is_refused(make, message):
    with pytest.raises(ProtocolError) as caught:
        make()
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("w.txt", "1 2 3\n4 5\n", "w.txt: not a table of numbers with rows of equal length"),
        ("w.txt", "1 2\n-1 -2\n", "w.txt: a 2×2 table; a waveform has columns gx gy gz, or t gx gy gz"),
        ("w.txt", "", "w.txt: a 0 table; a waveform has columns gx gy gz, or t gx gy gz"),
        ("w.npy", "no array", "w.npy: not a NumPy array of numbers that can be read"),
        (
            "w.txt",
            "0 0.04 0 0\n5 -0.04 0 0\n",
            "w: gradients up to 0.04 mT/m, which looks like T/m: give mT/m (40), or scale it with G or b",
        ),
    ],
)
def test_a_wrong_file_is_refused(tmp_path: Path, name, content, message):
    (tmp_path / name).write_text(content)
    with pytest.raises(ProtocolError) as caught:
        Waveform.open(tmp_path / name)
    assert str(caught.value) == message


def test_a_missing_file_is_named(tmp_path: Path):
    with pytest.raises(ProtocolError, match=r"none\.txt: no such file"):
        Waveform.open(tmp_path / "none.txt")


@pytest.fixture
def mixed() -> Protocol:
    pulsed = Protocol.pgse([0, 1000], [[0, 0, 0], [0, 0, 1]], 5, 25, te=60, source="typed")
    waves = [
        *(Waveform.pgse(d, 5, 25, b=b) for b in (1000, 2000) for d in spread_directions(3)),
        *(Waveform.planar(d, 20, 25, b=1000, te=80) for d in spread_directions(4)),
        Waveform.spherical(20, 25, b=1000, te=80),
        Waveform.spherical(20, 25, b=1005, te=80).rotated(Rotation.from_rotvec([1, 2, 3]).as_matrix()),
        Waveform.ogse([1, 0, 0], 20, 25, 2, b=1000),
    ]
    return pulsed + Protocol.of_waveforms(waves) + Protocol.pgse([3000], [[0, 1, 0]], 5, 25)


def test_one_protocol_mixes_pulses_and_waveforms(mixed):
    assert len(mixed) == 16
    assert mixed.has_timing
    mixed.require_timing()
    assert mixed.is_b0.tolist() == [True] + [False] * 15
    np.testing.assert_allclose(mixed.bvals[2:8], [1000] * 3 + [2000] * 3)
    np.testing.assert_allclose(mixed.bvecs[2:5], spread_directions(3), atol=1e-9)
    assert np.isnan(mixed.q).tolist() == mixed.is_waveform.tolist() == [False] * 2 + [True] * 13 + [False]
    assert np.isnan(mixed.delta).tolist() == mixed.is_waveform.tolist()
    assert mixed.gradient_strength[2] == pytest.approx(mixed.gradient_strength[1])
    np.testing.assert_array_equal(mixed.te, [60, 60, *[np.nan] * 6, *[80] * 6, np.nan, np.nan])
    assert mixed.timing_source == "typed; waveforms; given"


def test_shells_of_waveforms_share_form_and_b(mixed):
    found = [(s.waveform, s.encoding, round(s.bval), len(s.indices), s.te) for s in mixed.shells]
    assert found == [
        (None, "LTE", 3000, 1, None),
        (None, "LTE", 1000, 1, 60.0),
        ("PGSE", "LTE", 1000, 3, None),
        ("PGSE", "LTE", 2000, 3, None),
        ("PTE", "PTE", 1000, 4, 80.0),
        ("STE", "STE", 1002, 2, 80.0),
        ("cosine OGSE", "LTE", 1000, 1, None),
    ]
    assert "b 3000 × 1, b 1000 × 1, LTE b 1000 × 3, LTE b 2000 × 3 and 3 shells more" in repr(mixed)


def test_a_mixed_protocol_survives_subsets_turns_and_reports(mixed):
    again = Protocol.from_dict(mixed.to_dict())
    for name in ("bvals", "bvecs", "delta", "Delta", "te"):
        np.testing.assert_allclose(getattr(again, name), getattr(mixed, name), atol=1e-12)
    assert again.timing_source == mixed.timing_source
    np.testing.assert_array_equal(again.waveforms[8].gradient, mixed.waveforms[8].gradient)

    part = mixed.subset([0, 10, 1])
    assert [w is None for w in part.waveforms] == [True, False, True]
    assert mixed.subset([0, 1]).waveforms is None
    assert len(mixed.subset(mixed.is_waveform)) == 13
    only = mixed.subset(mixed.is_waveform)
    assert len(Protocol.from_dict(only.to_dict())) == 13

    turn = np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])
    turned = mixed.rotated(turn)
    np.testing.assert_allclose(turned.bvecs[2:8], [turn @ w.direction for w in mixed.waveforms[2:8]], atol=1e-9)
    np.testing.assert_allclose(turned.waveforms[2].direction, turned.bvecs[2], atol=1e-9)


def test_timing_typed_for_pulses_leaves_waveforms_alone():
    waves = Protocol.of_waveforms([Waveform.pgse([1, 0, 0], 5, 25, b=1000)])
    asked = Protocol.pgse([0, 1000], [[0, 0, 0], [0, 0, 1]], None, None) + waves
    with pytest.raises(TimingError):
        asked.require_timing()
    known = asked.with_timing(5, 25)
    known.require_timing()
    assert np.isnan(known.delta).tolist() == [False, False, True]
    waves.require_timing()
