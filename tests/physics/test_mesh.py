"""A mesh that no simulation can trust is refused with the count, the place and the remedy."""

import meshes
import numpy as np
import pytest
import trimesh

from napari_remidi.errors import MeshError
from napari_remidi.physics import TetMesh

CORNERS = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 1]], dtype=float)
TWO = np.array([[0, 1, 2, 3], [1, 2, 3, 4]])


def test_a_good_mesh_knows_its_surface() -> None:
    mesh = TetMesh(CORNERS, TWO)
    assert mesh.surface.is_watertight
    assert mesh.surface.volume == pytest.approx(mesh.volume)
    assert mesh.volume == pytest.approx(1 / 6 + 1 / 3)


def test_inverted_tetrahedra_are_counted_and_located() -> None:
    with pytest.raises(MeshError) as caught:
        TetMesh(CORNERS, [[0, 2, 1, 3], TWO[1]])
    assert str(caught.value) == (
        "1 of 2 tetrahedra are inverted (the first is number 0, at (0.25, 0.25, 0.25) µm): "
        "swap two of their nodes or mesh the surface again"
    )


def test_slivers_are_refused() -> None:
    flat = CORNERS[:4] * [1, 1, 1e-4]
    with pytest.raises(MeshError, match=r"1 of 1 tetrahedra are slivers, too flat to simulate \(the first is number 0"):
        TetMesh(flat, [[0, 1, 2, 3]])


@pytest.mark.parametrize(
    ("points", "tetrahedra", "message"),
    [
        (CORNERS[:4, :2], [[0, 1, 2, 3]], "points have shape (4, 2); a mesh needs (n, 3), in µm"),
        (CORNERS[:4], [[0, 1, 2]], "tetrahedra have shape (1, 3); a mesh needs (m, 4) node indices with m > 0"),
        (
            CORNERS[:4],
            [[0, 1, 2, 4]],
            "tetrahedra name nodes 0 to 4, but there are 4 points, counted from 0",
        ),
        (CORNERS, [[0, 1, 2, 3]], "1 of 5 points belong to no tetrahedron; remove them before simulating"),
        (
            np.where(CORNERS[:4] == 1, np.nan, CORNERS[:4]),
            [[0, 1, 2, 3]],
            "3 of 4 points are not finite; check how the mesh was made or read",
        ),
        (
            CORNERS[:4] * 1e-6,
            [[0, 1, 2, 3]],
            "the mesh is 1e-06 µm long, which is no cell's size; give its points in µm "
            "(open_mesh(path, scale=1000) reads mm)",
        ),
    ],
)
def test_broken_arrays_are_refused(points: np.ndarray, tetrahedra: list, message: str) -> None:
    with pytest.raises(MeshError) as caught:
        TetMesh(points, tetrahedra)
    assert str(caught.value) == message


def test_a_mesh_that_overlaps_itself_is_refused() -> None:
    with pytest.raises(MeshError, match="faces are shared by more than two tetrahedra"):
        TetMesh(np.vstack([CORNERS, [2.0, 2, 2]]), [TWO[0], TWO[1], [1, 2, 3, 5]])


def test_an_open_surface_is_refused() -> None:
    sphere = trimesh.creation.icosphere(2)
    holed = trimesh.Trimesh(sphere.vertices, sphere.faces[1:], process=False)
    with pytest.raises(MeshError) as caught:
        TetMesh.from_surface(holed)
    assert str(caught.value) == (
        "the surface is open (3 edges belong to one face only): close its holes "
        "(for example trimesh.repair.fill_holes) before simulating"
    )


def test_an_inverted_surface_is_refused() -> None:
    sphere = trimesh.creation.icosphere(2)
    sphere.invert()
    with pytest.raises(MeshError) as caught:
        TetMesh.from_surface(sphere)
    assert str(caught.value) == (
        f"the surface is inside out (volume {sphere.volume:.3g} µm³): "
        "flip its faces (surface.invert()) before simulating"
    )


def test_tetrahedra_may_belong_to_named_compartments() -> None:
    block = meshes.box((2, 1, 1), (2.0, 1.0, 1.0))
    right = block.points[block.tetrahedra].mean(axis=1)[:, 0] > 1
    mesh = TetMesh(block.points, block.tetrahedra, right.astype(int), ["axon", "myelin"])
    assert mesh.names == ("axon", "myelin")
    assert mesh.volumes[mesh.labels == 1].sum() == pytest.approx(1)
    assert block.names == ("cell",)


@pytest.mark.parametrize(
    ("labels", "names", "message"),
    [
        ([0], None, r"labels have shape \(1,\) and type int64; give one whole number for each of the 6 tetrahedra"),
        ([0.5] * 6, None, r"labels have shape \(6,\) and type float64"),
        ([0, 2, 2, 2, 2, 2], None, "tetrahedra are labelled 0, 2, but the names 0, 1, 2 belong to labels 0 to 2"),
        ([0] * 6, ["axon", "myelin"], "labelled 0, but the names axon, myelin belong to labels 0 to 1"),
        ([0, 1, 1, 1, 1, 1], ["axon", "axon"], "give a sequence of different names, one for each label"),
    ],
)
def test_labels_that_do_not_fit_are_refused(labels: list, names: list | None, message: str) -> None:
    block = meshes.box((1, 1, 1), (1.0, 1.0, 1.0))
    with pytest.raises(MeshError, match=message):
        TetMesh(block.points, block.tetrahedra, labels, names)
