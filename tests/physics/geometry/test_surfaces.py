"""Surfaces, nested or side by side, are filled with tetrahedra that know which one they are in."""

import sys
from pathlib import Path

import numpy as np
import pytest
import trimesh

from napari_remidi.errors import MeshError
from napari_remidi.physics import TetMesh
from napari_remidi.physics.geometry import from_surfaces
from napari_remidi.physics.geometry.smoothing import Walls

OUTER, INNER = trimesh.creation.icosphere(2, 5.0), trimesh.creation.icosphere(2, 3.0)


def cube(x: float) -> trimesh.Trimesh:
    return trimesh.creation.box((4, 4, 4), trimesh.transformations.translation_matrix((x, 0, 0)))


def interface_nodes(mesh: TetMesh) -> np.ndarray:
    walls = Walls.of(mesh.tetrahedra, mesh.labels, len(mesh.points))
    return mesh.points[np.unique(walls.faces[walls.outer >= 0])]


def test_the_inner_surface_is_a_compartment_of_its_own() -> None:
    pytest.importorskip("pytetwild")
    mesh = from_surfaces({"axon": INNER, "myelin": OUTER}, 1.5)
    assert mesh.names == ("axon", "myelin")
    volumes = np.bincount(mesh.labels, mesh.volumes)
    # the mesher may move surfaces by 1e-3 of the diagonal: 0.017 µm of a radius of 3 µm is 1.7 % of the volume
    assert volumes == pytest.approx([INNER.volume, OUTER.volume - INNER.volume], rel=0.017)
    off = np.abs(INNER.nearest.on_surface(interface_nodes(mesh))[1])
    assert off.max() < 1e-3 * np.linalg.norm(OUTER.extents)


def test_surfaces_side_by_side_share_their_wall(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pytetwild")
    cube(4).export(tmp_path / "right.stl")
    monkeypatch.chdir(tmp_path)
    mesh = from_surfaces({"left": cube(0), "right": tmp_path / "right.stl"}, 1.5)
    assert np.bincount(mesh.labels, mesh.volumes) == pytest.approx([64, 64], rel=1e-3)
    wall = interface_nodes(mesh)
    assert len(wall) > 8
    np.testing.assert_allclose(wall[:, 0], 2, atol=1e-2)
    assert [file.name for file in tmp_path.iterdir()] == ["right.stl"]  # the mesher leaves nothing behind


def test_a_compartment_thinner_than_the_surfaces_can_be_kept_is_refused() -> None:
    pytest.importorskip("pytetwild")
    thin = trimesh.creation.icosphere(1, 3.02)
    core = trimesh.creation.icosphere(1, 3.0)
    far = trimesh.creation.icosphere(1, 1.0)
    far.apply_translation((60, 0, 0))
    with pytest.raises(MeshError, match=r"^compartment 'sheath' fills .* µm³: give a smaller edge_length$"):
        from_surfaces({"axon": core, "sheath": thin, "cell": far}, 4.0)


@pytest.mark.parametrize(
    ("surfaces", "edge_length", "message"),
    [
        ({}, None, "no surfaces: give at least one, {'cell': surface}"),
        ({"cell": OUTER}, 0.0, "edge length 0 µm: give a positive length"),
        (
            {"a": OUTER, "b": trimesh.Trimesh(INNER.vertices, INNER.faces[1:])},
            None,
            "surface 'b': the surface is open (3 edges belong to one face only): close its holes (for example "
            "trimesh.repair.fill_holes) before simulating",
        ),
        ({"a": Path("none.stl")}, None, "surface 'a': none.stl: no such file"),
        (
            {"a": cube(0), "b": cube(2.5)},
            None,
            "surface 'b' crosses 'a' (50% of its vertices are inside): compartments lie inside each other or side by "
            "side; shrink or move one",
        ),
    ],
)
def test_surfaces_that_hold_no_compartments(surfaces: dict, edge_length: float | None, message: str) -> None:
    with pytest.raises(MeshError) as caught:
        from_surfaces(surfaces, edge_length)
    assert str(caught.value) == message


def test_without_the_mesher_the_way_to_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pytetwild", None)
    with pytest.raises(MeshError) as caught:
        from_surfaces({"cell": OUTER})
    assert str(caught.value) == (
        "filling a surface with tetrahedra needs the optional mesher: pip install 'napari-remidi[mesh]'"
    )
