"""Cylinders have the true volume and section, alone, in myelin and in a sleeve."""

import measures
import numpy as np
import pytest

from napari_remidi.errors import MeshError
from napari_remidi.physics import TetMesh
from napari_remidi.physics.geometry import cylinder, myelinated_cylinder


@pytest.mark.parametrize("nodes", [300, 1500, 6000])
def test_a_cylinder_has_its_volume_and_about_the_nodes_asked_for(nodes: int) -> None:
    axon = cylinder(1.5, 8, nodes)
    assert axon.volume == pytest.approx(np.pi * 1.5**2 * 8, rel=1e-12)
    assert len(axon.points) == pytest.approx(nodes, rel=0.06)  # whole slices only: half of one's 37 nodes for 300
    assert axon.surface.is_watertight
    assert measures.shapes(axon).min() > 0.5


def test_a_long_thin_axon_keeps_to_the_nodes_asked_for_by_stretching() -> None:
    axon = cylinder(0.3, 100, 1500)
    assert len(axon.points) == pytest.approx(1500, rel=0.02)
    assert axon.volume == pytest.approx(np.pi * 0.3**2 * 100, rel=1e-12)


def test_rings_and_slices_lie_equally_close_at_the_wall_and_rings_closest_there() -> None:
    axon = cylinder(3, 9, 5000)
    rings = np.unique(np.linalg.norm(axon.points[:, :2], axis=1).round(9))
    slices = np.unique(axon.points[:, 2])
    assert (np.diff(rings[1:], 2) < 0).all()
    assert np.diff(slices) == pytest.approx(9 / (len(slices) - 1))
    # whole rings and slices for a given number of nodes: one ring more changes the ratio by half
    assert np.diff(rings)[-1] == pytest.approx(np.diff(slices)[0], rel=0.25)


def test_every_section_has_its_circle_s_area() -> None:
    axon = myelinated_cylinder(1.0, 1.4, 6.0, sleeve=2.0)
    for name, ring in {"axon": 1.0**2, "myelin": 1.4**2 - 1.0**2, "extra": 2.0**2 - 1.4**2}.items():
        floor = floor_of(axon, name)
        assert measures.area(axon, floor) == pytest.approx(np.pi * ring, rel=1e-12)
        assert measures.volume_of(axon, name) == pytest.approx(np.pi * ring * 6, rel=1e-12)


def test_compartments_share_the_faces_between_them() -> None:
    axon = myelinated_cylinder(1.0, 1.4, 6.0, sleeve=2.0)
    for (a, b), radius in {("axon", "myelin"): 1.0, ("myelin", "extra"): 1.4}.items():
        wall = measures.interface(axon, a, b)
        distance = np.linalg.norm(axon.points[wall][..., :2], axis=-1)
        assert np.ptp(distance) < 1e-12
        assert distance.mean() == pytest.approx(radius, rel=0.05)
        sides = len(np.unique(wall)) / len(np.unique(axon.points[:, 2]))
        around = sides * 2 * distance.mean() * np.sin(np.pi / sides)
        assert measures.area(axon, wall) == pytest.approx(around * 6, rel=1e-12)
    assert len(measures.interface(axon, "axon", "extra")) == 0
    assert myelinated_cylinder(1.0, 1.4, 6.0).names == ("axon", "myelin")


def test_a_thin_sheath_keeps_good_elements() -> None:
    assert measures.shapes(myelinated_cylinder(1.0, 1.05, 4.0)).min() > 0.03  # layers of 0.025 µm, nodes 0.2 µm apart


def floor_of(mesh: TetMesh, name: str) -> np.ndarray:
    faces = np.sort(
        mesh.tetrahedra[mesh.labels == mesh.names.index(name)][:, [[1, 2, 3], [0, 2, 3], [0, 1, 3], [0, 1, 2]]]
    )
    faces = faces.reshape(-1, 3)
    return faces[np.all(mesh.points[faces][..., 2] == 0, axis=1)]


@pytest.mark.parametrize(
    ("radii", "height", "message"),
    [
        ((1.0, 0.8), 5.0, "radii 1, 0.8 µm: give positive lengths from the inside out, each larger"),
        ((0.0, 0.8), 5.0, "radii 0, 0.8 µm: give positive lengths from the inside out, each larger"),
        ((1.0, 1.4), 0.0, "a height of 0 µm makes no cylinder; give a positive length"),
    ],
)
def test_impossible_cylinders_are_refused(radii: tuple[float, float], height: float, message: str) -> None:
    with pytest.raises(MeshError) as caught:
        myelinated_cylinder(*radii, height)
    assert str(caught.value) == message
