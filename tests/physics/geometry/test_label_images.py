"""A label image becomes a mesh that fits together, with smooth walls and every label's volume kept."""

import numpy as np
import pytest
import trimesh

from napari_remidi.errors import MeshError
from napari_remidi.physics import TetMesh
from napari_remidi.physics.geometry import from_labels
from napari_remidi.physics.geometry.label_images import MOST_VOXELS
from napari_remidi.physics.geometry.smoothing import FLATTEST, quality

CENTRE = 10.0
RADIUS = np.linalg.norm(np.stack(np.indices((20, 20, 20)), axis=-1) + 0.5 - CENTRE, axis=-1)
SHELL = np.where(RADIUS < 4, 2, np.where(RADIUS < 8, 5, 0))


def volumes_of(mesh: TetMesh) -> np.ndarray:
    return np.bincount(mesh.labels, mesh.volumes)


def test_each_label_keeps_the_volume_of_its_voxels() -> None:
    mesh = from_labels(SHELL, 0.5, {2: "axon", 5: "myelin"})
    assert mesh.names == ("axon", "myelin")
    voxels = np.array([(label == SHELL).sum() for label in (2, 5)]) * 0.5**3
    assert volumes_of(mesh) == pytest.approx(voxels, rel=0.01)
    assert mesh.surface.is_watertight


def test_the_staircase_becomes_round() -> None:
    """A ball of 8 voxels' radius: the staircase has half again the area of the ball, a smooth wall 3 % more at most."""
    stairs, smooth = (from_labels(SHELL > 0, 0.5, smooth=steps).surface for steps in (0, 10))
    ball = np.pi ** (1 / 3) * (6 * stairs.volume) ** (2 / 3)
    assert stairs.area / ball == pytest.approx(1.5, abs=0.05)
    assert 1 < smooth.area / ball < 1.03
    assert np.ptp(np.linalg.norm(smooth.vertices - CENTRE / 2, axis=1)) < 0.5  # less than a voxel between high and low


def test_without_smoothing_the_voxels_stay() -> None:
    mesh = from_labels(SHELL, (0.5, 0.25, 1.0), smooth=0)
    assert volumes_of(mesh) == pytest.approx([(label == SHELL).sum() * 0.125 for label in (2, 5)], rel=1e-12)
    assert mesh.names == ("2", "5")
    assert len(mesh.tetrahedra) == 6 * (SHELL > 0).sum()


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("voxel", [(1.0, 1.0, 1.0), (0.3, 0.3, 1.5)])
def test_noise_is_meshed_without_slivers(seed: int, voxel: tuple[float, ...]) -> None:
    """Labels at random touch in faces, edges and corners in every way there is."""
    image = np.random.default_rng(seed).integers(0, 4, (6, 7, 5))
    mesh = from_labels(image, voxel)
    counts = np.bincount(image.ravel())[1:]
    assert volumes_of(mesh) == pytest.approx(counts * np.prod(voxel), rel=0.01)
    untouched = quality(from_labels(image, voxel, smooth=0).points, mesh.tetrahedra)
    assert (quality(mesh.points, mesh.tetrahedra) >= np.minimum(FLATTEST, untouched / 2) * (1 - 1e-9)).all()


def test_where_the_image_ends_the_cut_stays_flat() -> None:
    image = np.ones((6, 6, 6), dtype=np.uint8)
    image[2:4, 2:4] = 2
    mesh = from_labels(image, 0.5)
    assert mesh.volume == pytest.approx(27, rel=1e-9)
    np.testing.assert_allclose(mesh.surface.bounds, [[0, 0, 0], [3, 3, 3]], atol=1e-12)
    assert isinstance(mesh.surface, trimesh.Trimesh)
    assert mesh.surface.area == pytest.approx(54, rel=1e-9)


def test_parts_that_touch_at_an_edge_or_a_corner_are_kept() -> None:
    for offset in ((1, 1, 0), (1, 1, 1)):
        image = np.zeros((4, 4, 4), dtype=int)
        image[1, 1, 1] = image[tuple(np.add(1, offset))] = 1
        assert from_labels(image, 1.0).volume == pytest.approx(2, rel=0.01)


def test_a_small_label_stops_no_other() -> None:
    image = np.array(SHELL)
    image[0, 0, 0] = 7
    mesh = from_labels(image, 0.5)
    assert volumes_of(mesh)[2] == pytest.approx(0.125, rel=0.01)
    assert np.ptp(np.linalg.norm(mesh.points[np.unique(mesh.tetrahedra[mesh.labels == 0])] - 5, axis=1)) > 1
    assert mesh.surface.area < 1.1 * from_labels(SHELL, 0.5).surface.area


@pytest.mark.parametrize(
    ("image", "options", "message"),
    [
        (np.ones((4, 4)), {}, "the label image has shape (4, 4); give three axes, (i, j, k)"),
        (
            np.ones((2, 2, 2)),
            {},
            "the label image holds float64; labels are whole numbers: convert them, image.astype(int)",
        ),
        (
            np.where(SHELL == 5, -1, SHELL),
            {},
            "1896 voxels have negative labels (the first, (2, 7, 9), has -1): use 0 for outside and positive numbers "
            "for compartments",
        ),
        (np.zeros((3, 3, 3), int), {}, "the label image of shape (3, 3, 3) is 0 throughout: nothing in it is labelled"),
        (
            SHELL,
            {"voxel_size": 0.0005},
            "voxels of 0.0005 × 0.0005 × 0.0005 µm are finer than any microscope's: if they are in mm, multiply "
            "by 1000",
        ),
        (
            SHELL,
            {"voxel_size": (16, 16, 30)},
            "voxels of 16 × 16 × 30 µm are too coarse for a cell: if they are in nm, divide by 1000",
        ),
        (
            SHELL,
            {"voxel_size": [1.0, 0.0, 1.0]},
            "voxel size [1.0, 0.0, 1.0]: give one positive length in µm, or one for each of the three axes",
        ),
        (SHELL, {"smooth": -1}, "-1 steps of smoothing: give 0 or more"),
        (
            SHELL,
            {"names": {2: "axon"}},
            "the image has labels 2, 5, but names are given for 2: name each label of the image",
        ),
        (
            np.ones((200, 100, 100), np.int8),
            {},
            f"2000000 labelled voxels are too many for one mesh (at most {MOST_VOXELS}): use voxels 1.3 times as long",
        ),
    ],
)
def test_images_that_are_no_labels_are_refused(image: np.ndarray, options: dict, message: str) -> None:
    with pytest.raises(MeshError) as caught:
        from_labels(image, **{"voxel_size": 0.5, **options})
    assert str(caught.value) == message
