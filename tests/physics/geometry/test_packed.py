"""Packed axons and the space around them fill their box exactly and share their walls."""

import measures
import numpy as np
import pytest

from napari_remidi.errors import MeshError
from napari_remidi.physics import Substrate
from napari_remidi.physics.geometry import packed_cylinders
from napari_remidi.physics.matrices.pieces import pieces

THREE = [[1.5, 1.5], [3.6, 1.5], [2.5, 3.5]]


def test_three_axons_in_myelin_fill_their_box() -> None:
    radii, sheath = np.array([0.7, 0.8, 0.75]), np.array([0.2, 0.15, 0.25])
    mesh = packed_cylinders(THREE, radii, (5, 5), 3, 0.4, sheath)
    axons, wholes = 3 * np.pi * (radii**2).sum(), 3 * np.pi * ((radii + sheath) ** 2).sum()
    assert mesh.names == ("axon", "myelin", "extra")
    for name, volume in {"axon": axons, "myelin": wholes - axons, "extra": 75 - wholes}.items():
        assert measures.volume_of(mesh, name) == pytest.approx(volume, rel=1e-12)
    assert measures.area(mesh, mesh.boundary) == pytest.approx(2 * 25 + 4 * 15)
    assert len(measures.interface(mesh, "axon", "extra")) == 0
    assert measures.shapes(mesh).min() > 0.05


def test_every_wall_is_shared_all_around() -> None:
    mesh = packed_cylinders(THREE, 0.9, (5, 5), 2, 0.5)
    wall = measures.interface(mesh, "axon", "extra")
    distance = np.linalg.norm(mesh.points[wall][..., None, :2] - np.array(THREE), axis=-1)
    owner = distance.mean(axis=1).argmin(axis=1)
    for k in range(3):
        corners = distance[owner == k, :, k]
        assert np.ptp(corners) < 1e-12
        levels = len(np.unique(mesh.points[:, 2]))
        sides = len(np.unique(wall[owner == k])) / levels
        around = sides * 2 * corners.mean() * np.sin(np.pi / sides)
        assert measures.area(mesh, wall[owner == k]) == pytest.approx(around * 2, rel=1e-12)


@pytest.mark.parametrize("seed", range(4))
def test_any_packing_of_separate_circles_can_be_meshed(seed: int) -> None:
    rng = np.random.default_rng(seed)
    centres: list[np.ndarray] = []
    radii: list[float] = []
    for _ in range(60):
        place, radius = rng.random(2) * [4, 3], rng.uniform(0.2, 0.6)
        from_wall = np.minimum(place, [4, 3] - place).min()
        if from_wall > radius + 0.06 and all(
            np.linalg.norm(place - c) > radius + r + 0.06 for c, r in zip(centres, radii, strict=True)
        ):
            centres.append(place)
            radii.append(radius)
    mesh = packed_cylinders(centres, radii, (4, 3), 1, 0.5)
    assert measures.volume_of(mesh, "axon") == pytest.approx(np.pi * np.square(radii).sum(), rel=1e-12)
    assert mesh.volume == pytest.approx(12, rel=1e-12)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"radii": 1.1},
            "1 pairs of cylinders overlap, most of all 0 and 1, by 0.1 µm: move them apart or make them thinner",
        ),
        (
            {"radii": [0.9, 0.9, 1.6], "centres": [[1.5, 1.5], [7, 1.5], [3, 4]]},
            "2 cylinders leave the box, most of all 1, by 2.9 µm: move it inside or enlarge the box",
        ),
        (
            {"radii": 1.04},
            "cylinder 0 is 0.02 µm from its neighbour or the wall, too close for an edge length of 0.4 µm: "
            "move it away or give an edge length below 0.2 µm",
        ),
        ({"radii": [0.5, 0.5]}, "2 values of the radius for 3 cylinders: give one for each or one for all"),
        ({"radii": [0.5, -0.5, 0.5]}, "the radius of cylinder 1 is -0.5 µm: give a positive length"),
        ({"sheath": 0.0}, "the thickness of the sheath of cylinder 0 is 0 µm: give a positive length"),
        ({"height": 0.0}, "the height is 0 µm: give a positive length"),
        ({"edge_length": 0.0}, "the edge length is 0 µm: give a positive length"),
        (
            {"centres": [[1, 1, 1]]},
            "centres have shape (1, 3); give x and y of every cylinder, (k, 2), in µm",
        ),
        ({"centres": [[1, 1], [3, np.nan]]}, "the centre of cylinder 1 is not finite; give x and y in µm"),
        ({"centres": [], "radii": []}, "no cylinders to pack; for a box alone there is geometry.box"),
    ],
)
def test_impossible_packings_are_refused(change: dict, message: str) -> None:
    wanted = {"centres": [[1.5, 1.5], [3.6, 1.5], [2.5, 3.7]], "radii": 0.8, "size": (5, 5), "height": 2.0}
    with pytest.raises(MeshError) as caught:
        packed_cylinders(**{**wanted, "edge_length": 0.4, **change})
    assert str(caught.value) == message


def test_axons_myelin_and_the_space_between_are_one_piece_each_where_nothing_passes() -> None:
    mesh = packed_cylinders(THREE, 0.7, (5, 5), 2, 0.5, sheath=0.2)
    assert len(pieces(Substrate(mesh))) == 3 + 3 + 1
    assert len(pieces(Substrate(mesh, permeability={("axon", "myelin"): 0.01}))) == 3 + 1
