"""Radius, length, bend, beads and volume of tubes whose values are known."""

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from napari_remidi.physics import TetMesh
from napari_remidi.shapes.calibre import extension
from napari_remidi.shapes.families import closed_axon
from napari_remidi.shapes.phantom import FINE, FINE_BASIS, fine_axon
from napari_remidi.shapes.quantities import UNITS, quantities
from napari_remidi.shapes.tube import Tube

TUBE = Tube(rings=3, layers=41)


def tube_of(kind: str, **fixed: float) -> np.ndarray:
    """Nodes of an axon of one of the families on the phantoms' fine mesh."""
    axon = closed_axon(np.random.default_rng(0), kind, **{"radius": 1.0, "length": 20.0, **fixed})
    coefficients = FINE_BASIS.coefficients(axon.fields, np.log(axon.length))
    return FINE_BASIS.vertices(torch.as_tensor(coefficients), FINE).numpy()


def test_a_cylinder_has_its_radius_length_volume_and_surface() -> None:
    found = quantities(TUBE.straight(1.5, 12.0), TUBE)
    assert set(found) == set(UNITS)
    for name in ("radius_mean", "radius_min", "radius_max"):
        assert found[name] == pytest.approx(1.5, rel=1e-9)
    assert found["length"] == pytest.approx(12.0, rel=1e-9)
    assert found["tortuosity"] == pytest.approx(1.0, rel=1e-9)
    assert found["volume"] == pytest.approx(np.pi * 1.5**2 * 12, rel=1e-9)
    sides = 18 * 2 * 1.5 * TUBE.section[:, 0].max() * np.sin(np.pi / 18) * 12  # of an 18-gon's prism
    assert found["surface"] == pytest.approx(sides + 2 * np.pi * 1.5**2, rel=1e-9)
    assert found["bend"] == pytest.approx(0, abs=1e-5)
    assert found["fan"] == pytest.approx(0, abs=1e-5)
    assert found["bead_count"] == found["bead_amplitude"] == 0


def test_the_extension_is_the_distance_of_the_ends_in_greatest_radii() -> None:
    straight = TUBE.straight(1.5, 12.0)
    assert extension(straight, TUBE) == pytest.approx(8.0, rel=1e-9)
    assert extension(straight, TUBE, "open") == pytest.approx(4.0, rel=1e-9)
    np.testing.assert_allclose(extension(np.stack([straight, 3 * straight]), TUBE), 8.0)
    # a half circle of length 20 is 40/π across; 24 cosine orders flatten its ends
    half_circle = tube_of("bent", bend=180.0, plane_turn=0.0)
    assert extension(half_circle, FINE) == pytest.approx(40 / np.pi, rel=0.01)


def test_an_open_tube_is_measured_in_its_middle_half() -> None:
    found = quantities(TUBE.straight(1.5, 40.0), TUBE, "open")
    assert found["length"] == pytest.approx(20.0, rel=1e-9)
    assert found["volume"] == pytest.approx(np.pi * 1.5**2 * 20, rel=1e-9)
    sides = 18 * 2 * 1.5 * TUBE.section[:, 0].max() * np.sin(np.pi / 18) * 20  # without caps
    assert found["surface"] == pytest.approx(sides, rel=1e-9)


def test_the_radius_of_an_elliptic_section_is_that_of_its_area() -> None:
    found = quantities(TUBE.straight(1.0, 12.0) * [1.5, 0.6, 1.0], TUBE)
    assert found["radius_mean"] == pytest.approx(np.sqrt(1.5 * 0.6), rel=1e-9)


def test_a_sheared_cylinder_is_as_thick_as_its_volume_says() -> None:
    """Its level discs are slanted to the axis; shearing keeps the volume and lengthens the axis by 1/cos 45°."""
    points = TUBE.straight(1.5, 12.0)
    points[:, 0] += points[:, 2]
    found = quantities(points, TUBE)
    assert found["length"] == pytest.approx(12 * np.sqrt(2), rel=1e-9)
    assert found["volume"] == pytest.approx(np.pi * 1.5**2 * 12, rel=1e-9)
    assert np.pi * found["radius_mean"] ** 2 * found["length"] == pytest.approx(float(found["volume"]), rel=1e-9)


@pytest.mark.parametrize("bend", [0.0, 20.0, 75.0, 110.0])
def test_an_arc_bends_by_its_angle(bend: float) -> None:
    found = quantities(tube_of("bent", bend=bend, plane_turn=0.0, length=30.0), FINE)
    half = np.deg2rad(bend) / 2
    # 24 cosine orders flatten the ends of the arc by a hundredth
    assert found["bend"] == pytest.approx(bend, rel=0.01, abs=0.02)
    assert found["fan"] == pytest.approx(bend, rel=0.01, abs=0.02)
    assert found["tortuosity"] == pytest.approx(half / np.sin(half) if bend else 1.0, rel=1e-3)
    assert found["length"] == pytest.approx(30.0, rel=1e-3)


@pytest.mark.parametrize("fan", [15.0, 40.0, 60.0])
@pytest.mark.parametrize("fan_at", [0.3, 0.5, 0.7])
def test_the_paper_s_fan_has_its_angle(fan: float, fan_at: float) -> None:
    found = quantities(tube_of("hinged", fan=fan, fan_at=fan_at, length=30.0), FINE)
    assert found["fan"] == pytest.approx(fan, rel=0.02)
    assert found["bend"] == pytest.approx(fan, rel=0.02)


def test_an_s_fans_and_does_not_bend() -> None:
    along = np.linspace(-0.5, 0.5, TUBE.layers)
    points = TUBE.straight(0.8, 30.0)
    points[:, 0] += np.repeat(30 * 0.06 * np.sin(2 * np.pi * along), len(TUBE.section))
    found = quantities(points, TUBE)
    slopes = 0.06 * 2 * np.pi * np.array([1, -1])  # in the middle and at both ends
    # a cubic over a quarter of the wave turns less than the wave by a few parts in a hundred
    assert found["fan"] == pytest.approx(np.degrees(np.ptp(np.arctan(slopes))), rel=0.05)
    assert found["bend"] == pytest.approx(0, abs=0.1)


@pytest.mark.parametrize("count", [1, 2, 3, 5, 8])
@pytest.mark.parametrize("amplitude", [0.15, 0.4])
def test_the_paper_s_beads_are_counted_and_sized(count: int, amplitude: float) -> None:
    found = quantities(tube_of("rippled", beads=count, amplitude=amplitude, length=29.0), FINE)
    assert found["bead_count"] == count
    assert found["bead_amplitude"] == pytest.approx(amplitude, rel=0.04)


@pytest.mark.parametrize("phase", [0.7, 2.5, 5.0])
def test_beads_are_counted_wherever_they_begin(phase: float) -> None:
    beads = tube_of("beaded", beads=4, bead_size=0.4, bead_sharpness=1, bead_phase=phase, length=29.0)
    found = quantities(beads, FINE)
    assert found["bead_count"] in (3, 4)  # the end may cut one at its widest
    assert found["bead_amplitude"] == pytest.approx(np.tanh(0.2), rel=0.03)


def test_the_slant_of_the_paper_s_bends_is_no_bead() -> None:
    assert quantities(tube_of("sheared", shear=0.5, twist=0.2, height=20.0), FINE)["bead_count"] == 0


def test_a_taper_and_faint_swellings_are_no_beads() -> None:
    assert quantities(tube_of("tapered", taper=0.4), FINE)["bead_count"] == 0
    faint = tube_of("beaded", beads=3, bead_size=0.08, bead_phase=1.0, bead_sharpness=1)
    assert quantities(faint, FINE)["bead_count"] == 0


@pytest.mark.parametrize("seed", range(4))
def test_quantities_know_neither_place_nor_direction_nor_mirror(seed: int) -> None:
    mesh = fine_axon(np.random.default_rng(seed), "mixed", {})[0]
    found = quantities(mesh.points, FINE)
    turn = Rotation.random(random_state=seed).as_matrix()
    for moved in (mesh.points @ turn.T + [3.0, -2.0, 1.0], -mesh.points):
        again = quantities(moved, FINE)
        for name in UNITS:
            assert again[name] == pytest.approx(float(found[name]), rel=1e-6, abs=1e-6), name
    assert found["volume"] == pytest.approx(mesh.volume, rel=1e-9)
    assert found["surface"] == pytest.approx(TetMesh(mesh.points, FINE.tetrahedra).surface.area, rel=1e-9)


def test_many_shapes_are_measured_as_each_of_them() -> None:
    many = np.stack([tube_of("bent", bend=60.0), tube_of("rippled", beads=2.0, amplitude=0.3)])
    together = quantities(many, FINE)
    for index, shape in enumerate(many):
        for name, value in quantities(shape, FINE).items():
            assert together[name][index] == pytest.approx(float(value), rel=1e-9, abs=1e-9)
