"""A mesh comes back from a file as it was; what a simulation cannot use is named, with the remedy."""

from pathlib import Path

import meshes
import meshio
import numpy as np
import pytest

from napari_remidi.errors import MeshError, OutputError
from napari_remidi.physics import TetMesh
from napari_remidi.physics.geometry import open_mesh, save_mesh

CORNERS = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 1]], dtype=float)
TWO = np.array([[0, 1, 2, 3], [1, 2, 3, 4]])
SUFFIXES = (".msh", ".vtu", ".vtk", ".npz")


def two_compartments() -> TetMesh:
    mesh = meshes.box((3, 2, 2), (3.0, 2.0, 2.0))
    inner = mesh.points[mesh.tetrahedra].mean(axis=1)[:, 0] < 1
    return TetMesh(mesh.points, mesh.tetrahedra, np.where(inner, 0, 1), ["axon", "space, outside é"])


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_mesh_comes_back_as_it_was(tmp_path: Path, suffix: str) -> None:
    mesh = two_compartments()
    save_mesh(mesh, tmp_path / f"cell{suffix}")
    again = open_mesh(tmp_path / f"cell{suffix}")
    np.testing.assert_array_equal(again.points, mesh.points)
    np.testing.assert_array_equal(again.tetrahedra, mesh.tetrahedra)
    np.testing.assert_array_equal(again.labels, mesh.labels)
    assert again.names == mesh.names


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_mesh_without_compartments_stays_one_cell(tmp_path: Path, suffix: str) -> None:
    save_mesh(TetMesh(CORNERS, TWO), tmp_path / f"cell{suffix}")
    assert open_mesh(tmp_path / f"cell{suffix}").names == ("cell",)


def test_surfaces_lines_and_unused_nodes_are_left_out(tmp_path: Path) -> None:
    points = np.concatenate([[[9, 9, 9]], CORNERS])
    cells = [("triangle", TWO[:, :3] + 1), ("tetra", TWO[:1] + 1), ("line", [[0, 1]]), ("tetra", TWO[1:] + 1)]
    tags = {"medit:ref": [np.array([5, 5]), np.array([7]), np.array([1]), np.array([3])]}
    meshio.write(tmp_path / "cell.vtu", meshio.Mesh(points, cells, cell_data=tags))
    mesh = open_mesh(tmp_path / "cell.vtu")
    assert len(mesh.points) == 5
    assert mesh.labels.tolist() == [1, 0]
    assert mesh.names == ("3", "7")


def test_gmsh_groups_give_the_names(tmp_path: Path) -> None:
    (tmp_path / "cell.msh").write_text(GMSH_4)
    mesh = open_mesh(tmp_path / "cell.msh")
    assert mesh.names == (
        "myelin",
        "axon",
    )  # in the order of their numbers 3 and 8; the surface's group is no compartment
    assert mesh.labels.tolist() == [1, 0]


def test_mm_are_scaled(tmp_path: Path) -> None:
    meshio.write(tmp_path / "cell.vtk", meshio.Mesh(CORNERS / 1000, [("tetra", TWO)]))
    assert open_mesh(tmp_path / "cell.vtk", scale=1000).volume == pytest.approx(0.5)
    with pytest.raises(MeshError) as caught:
        open_mesh(tmp_path / "cell.vtk")
    assert str(caught.value) == (
        "the mesh is 0.001 µm long, which is no cell's size; give its points in µm "
        "(open_mesh(path, scale=1000) reads mm)"
    )


def test_the_other_order_of_nodes_is_turned(tmp_path: Path) -> None:
    meshio.write(tmp_path / "cell.vtu", meshio.Mesh(CORNERS, [("tetra", TWO[:, [1, 0, 2, 3]])]))
    assert open_mesh(tmp_path / "cell.vtu").volume == pytest.approx(0.5)


def test_a_damaged_mesh_is_not_turned(tmp_path: Path) -> None:
    cells = [TWO[0], TWO[1][[1, 0, 2, 3]]]
    meshio.write(tmp_path / "cell.vtu", meshio.Mesh(CORNERS, [("tetra", cells)]))
    with pytest.raises(MeshError, match=r"^1 of 2 tetrahedra are inverted \(the first is number 1"):
        open_mesh(tmp_path / "cell.vtu")


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        (
            [("hexahedron", [range(8)])],
            "1 cells are of type hexahedron: mesh the volume again with tetrahedra only (in Gmsh: without Recombine)",
        ),
        (
            [("tetra", [[0, 1, 2, 3]]), ("wedge", [range(6)])],
            "1 cells are of type wedge: mesh the volume again with tetrahedra only (in Gmsh: without Recombine)",
        ),
        (
            [("tetra10", [range(10)])],
            "1 tetrahedra are of higher order (tetra10): mesh the volume again with first-order elements "
            "(in Gmsh: SetOrder 1)",
        ),
        (
            [("triangle", [[0, 1, 2], [1, 2, 3]])],
            "no tetrahedra in it, but 2 triangle: mesh the volume, or open a closed surface with TetMesh.from_surface",
        ),
    ],
)
def test_other_cells_are_refused(tmp_path: Path, cells: list, message: str) -> None:
    points = np.random.default_rng(0).random((10, 3))
    meshio.write(tmp_path / "cell.vtu", meshio.Mesh(points, cells))
    with pytest.raises(MeshError) as caught:
        open_mesh(tmp_path / "cell.vtu")
    assert str(caught.value) == f"{tmp_path / 'cell.vtu'}: {message}"


def test_nodes_written_twice_are_refused(tmp_path: Path) -> None:
    torn = np.concatenate([CORNERS[TWO[0]], CORNERS[TWO[1]]])
    meshio.write(tmp_path / "cell.vtu", meshio.Mesh(torn, [("tetra", [[0, 1, 2, 3], [4, 5, 6, 7]])]))
    with pytest.raises(MeshError) as caught:
        open_mesh(tmp_path / "cell.vtu")
    assert str(caught.value) == (
        f"{tmp_path / 'cell.vtu'}: 3 of 8 nodes lie exactly on another, which would tear the mesh there: merge "
        "duplicate nodes (in Gmsh: Coherence Mesh) and write it again"
    )


def test_labels_are_whole_numbers(tmp_path: Path) -> None:
    meshio.write(tmp_path / "cell.vtu", meshio.Mesh(CORNERS, [("tetra", TWO)], cell_data={"label": [[0.5, 1]]}))
    with pytest.raises(MeshError, match="'label' are not one whole number a tetrahedron: write them as integers"):
        open_mesh(tmp_path / "cell.vtu")


@pytest.mark.parametrize("suffix", [".msh", ".vtu", ".vtk", ".mesh", ".npz"])
def test_broken_files_are_one_sentence(tmp_path: Path, suffix: str, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / f"cell{suffix}"
    path.write_bytes(b"\x00 nothing a mesh would hold")
    with pytest.raises(MeshError) as caught:
        open_mesh(path)
    assert str(caught.value).startswith(f"{path}: no")
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_files_cut_short_are_refused(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"cell{suffix}"
    save_mesh(two_compartments(), path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(MeshError):
        open_mesh(path)


@pytest.mark.parametrize(
    ("name", "scale", "message"),
    [
        ("absent.msh", 1.0, "absent.msh: no such file"),
        ("here.stl", 1.0, "here.stl: no tetrahedral mesh is known by the suffix '.stl'; "
         "give one of .msh, .vtu, .vtk, .mesh, .npz"),
        ("here.stl", 0.0, "scale 0: give the positive factor from the file's unit to µm, 1000 for mm"),
    ],
)  # fmt: skip
def test_what_cannot_be_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, scale: float, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("here.stl").touch()
    with pytest.raises(MeshError) as caught:
        open_mesh(name, scale)
    assert str(caught.value) == message


def test_an_unknown_suffix_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(OutputError) as caught:
        save_mesh(TetMesh(CORNERS, TWO), tmp_path / "cell.obj")
    assert (
        str(caught.value) == f"{tmp_path / 'cell.obj'}: meshes are written as .msh, .vtu, .vtk or .npz, not as '.obj'"
    )


GMSH_4 = """$MeshFormat
4.1 0 8
$EndMeshFormat
$PhysicalNames
3
2 8 "wall"
3 3 "myelin"
3 8 "axon"
$EndPhysicalNames
$Entities
0 0 0 2
1 0 0 0 1 1 1 1 8 0
2 0 0 0 1 1 1 1 3 0
$EndEntities
$Nodes
1 5 1 5
3 1 0 5
1
2
3
4
5
0 0 0
1 0 0
0 1 0
0 0 1
1 1 1
$EndNodes
$Elements
2 2 1 2
3 1 4 1
1 1 2 3 4
3 2 4 1
2 2 3 4 5
$EndElements
"""
