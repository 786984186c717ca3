"""Radius, length, bend, beads and volume of tubes whose values are known."""

import numpy as np
import pytest
import torch
from napari_remidi.shapes.symmetry import POINT_SYMMETRIC, ROUND, symmetry_of
from scipy.spatial.transform import Rotation

from napari_remidi.physics import TetMesh
from napari_remidi.shapes import Prior
from napari_remidi.shapes.families import SAMPLES, AxonFields, canonical, closed_axon
from napari_remidi.shapes.phantom import FINE, FINE_BASIS, fine_axon
from napari_remidi.shapes.quantities import UNITS, measured
from napari_remidi.shapes.tube import Tube

TUBE = Tube(rings=3, layers=41)


def tube_of(**fixed) -> np.ndarray:
    """Nodes of an axon of one of the families on the phantoms' fine mesh."""
    kind = fixed.pop("kind", "straight")
    return fine_axon(np.random.default_rng(0), kind, {"radius": 1.0, "length": 20.0, **fixed})[0].points


def test_a_cylinder_has_its_radius_length_and_volume() -> None:
    found = measured(TUBE.straight(1.5, 12.0), TUBE)
    assert set(found) == set(UNITS)
    for name in ("radius_mean", "radius_min", "radius_max"):
        assert found[name] == pytest.approx(1.5, rel=1e-9)
    assert found["length"] == pytest.approx(12.0, rel=1e-9)
    assert found["tortuosity"] == pytest.approx(1.0, rel=1e-9)
    assert found["volume"] == pytest.approx(np.pi * 1.5**2 * 12, rel=1e-9)
    assert found["bend"] == pytest.approx(0, abs=1e-6)
    assert found["bead_count"] == found["bead_amplitude"] == 0


def test_an_open_tube_is_measured_in_its_middle_half() -> None:
    found = measured(TUBE.straight(1.5, 40.0), TUBE, "open")
    assert found["length"] == pytest.approx(20.0, rel=1e-9)
    assert found["volume"] == pytest.approx(np.pi * 1.5**2 * 20, rel=1e-9)
    sides = 18 * 2 * 1.5 * TUBE.section[:, 0].max() * np.sin(np.pi / 18) * 20  # of an 18-gon's prism, without caps
    assert found["surface"] == pytest.approx(sides, rel=1e-9)


@pytest.mark.parametrize("bend", [0.0, 20.0, 75.0, 110.0])
def test_an_arc_bends_by_its_angle_and_fans_by_half_of_it(bend) -> None:
    found = measured(tube_of(kind="bent", bend=bend, plane_turn=0.0, length=30.0), FINE)
    half = np.deg2rad(bend) / 2
    # a parabola through a quarter of the arc: the next term is (bend/4)³/60
    assert found["bend"] == pytest.approx(bend, abs=0.5)
    assert found["fan"] == pytest.approx(bend / 2, abs=0.1)
    assert found["tortuosity"] == pytest.approx(half / np.sin(half) if bend else 1.0, rel=1e-3)
    assert found["length"] == pytest.approx(30.0, rel=1e-3)


def test_a_kink_fans_by_nearly_all_of_its_angle() -> None:
    found = measured(tube_of(kind="fanned", fan=30.0, fan_at=0.5, length=30.0), FINE)
    assert found["bend"] == pytest.approx(30.0, abs=1.0)
    assert found["fan"] > 0.8 * found["bend"]


@pytest.mark.parametrize("count", [1, 2, 3, 5, 8])
def test_beads_are_counted_and_sized(count) -> None:
    """Every bead's log radius stands out by `bead_size`: amplitude tanh(size/2)."""
    shape = {"kind": "beaded", "beads": count, "bead_size": 0.4, "bead_sharpness": 1, "length": 29.0, "radius": 0.8}
    whole = measured(tube_of(**shape, bead_phase=np.pi), FINE)  # necks at both ends
    assert whole["bead_count"] == count
    assert whole["bead_amplitude"] == pytest.approx(np.tanh(0.2), rel=0.03)
    for phase in (0.7, 2.5, 5.0):  # one bead may be cut in two, by both ends
        assert measured(tube_of(**shape, bead_phase=phase), FINE)["bead_count"] in (count, count + 1)


def test_a_taper_and_faint_swellings_are_no_beads() -> None:
    assert measured(tube_of(kind="tapered", taper=0.4), FINE)["bead_count"] == 0
    faint = tube_of(kind="beaded", beads=3, bead_size=0.05, bead_phase=1.0, bead_sharpness=1)
    assert measured(faint, FINE)["bead_count"] == 0


@pytest.mark.parametrize("seed", range(6))
def test_quantities_know_neither_place_nor_direction_nor_mirror(seed) -> None:
    mesh = fine_axon(np.random.default_rng(seed), "mixed", {})[0]
    found = measured(mesh.points, FINE)
    turn = Rotation.random(random_state=seed).as_matrix()
    for moved in (mesh.points @ turn.T + [3.0, -2.0, 1.0], -mesh.points):
        again = measured(moved, FINE)
        for name in set(UNITS) - {"volume"}:
            assert again[name] == pytest.approx(float(found[name]), rel=1e-6, abs=1e-6), name
        assert abs(again["volume"]) == pytest.approx(float(found["volume"]), rel=1e-9)  # inverted, it is negative
    assert found["volume"] == pytest.approx(mesh.volume, rel=1e-9)
    assert found["surface"] == pytest.approx(TetMesh(mesh.points, FINE.tetrahedra).surface.area, rel=1e-9)


def test_many_shapes_are_measured_as_each_of_them() -> None:
    prior = Prior.load("axon")
    with torch.no_grad():
        many = prior.decode_points(torch.as_tensor(0.5 * prior.sample(5))).numpy()
    together = measured(many, prior.tube)
    for index, shape in enumerate(many):
        for name, value in measured(shape, prior.tube).items():
            assert together[name][index] == pytest.approx(float(value), rel=1e-9, abs=1e-9)


def test_a_cylinder_is_round_and_point_symmetric() -> None:
    assert symmetry_of(TUBE.straight(1.5, 12.0), TUBE) == f"{ROUND}; {POINT_SYMMETRIC}"


@pytest.mark.parametrize(
    ("fixed", "expected"),
    [
        ({"kind": "tapered", "taper": 0.5}, ROUND),
        ({"kind": "elliptic", "ellipse": 0.2, "ellipse_turn": 0.0}, POINT_SYMMETRIC),
        ({"kind": "bent", "bend": 60.0, "plane_turn": 0.0}, None),
        ({"kind": "beaded", "beads": 2, "bead_size": 0.5, "bead_phase": np.pi / 3, "bead_sharpness": 1}, ROUND),
    ],
)
def test_symmetry_is_recognised_and_not_invented(fixed, expected) -> None:
    assert symmetry_of(tube_of(**fixed), FINE) == expected


def test_an_s_shape_is_its_own_twin() -> None:
    along = np.linspace(0, 1, SAMPLES)
    angles = np.deg2rad(40) * np.cos(2 * np.pi * along)  # even about the middle: the curve is odd
    fields = np.stack([angles, 0 * along, 0 * along, 0 * along, 0 * along])
    axon = canonical(AxonFields("s", fields, 20.0, {}))
    points = FINE_BASIS.vertices(torch.as_tensor(FINE_BASIS.coefficients(axon.fields, np.log(20.0))), FINE).numpy()
    assert symmetry_of(points, FINE) == POINT_SYMMETRIC
    assert symmetry_of(points, FINE, sd=5.0) == f"{ROUND}; {POINT_SYMMETRIC}"  # nothing else is known of it


def test_a_drawn_axon_has_the_radius_and_length_that_were_drawn() -> None:
    for seed in (13, 7):
        rng = np.random.default_rng(seed)
        drawn = closed_axon(np.random.default_rng(seed), "bent")
        mesh, _, _ = fine_axon(rng, "bent", {})
        found = measured(mesh.points, FINE)
        assert found["radius_mean"] == pytest.approx(drawn.parameters["radius"], rel=1e-3)
        assert found["length"] == pytest.approx(drawn.length, rel=2e-3)
