"""A traced neuron becomes a closed mesh with the volume of its tree; what is no tree is refused with the line."""

import math
from pathlib import Path

import numpy as np
import pytest

from napari_remidi.errors import MeshError
from napari_remidi.physics.geometry import open_neuron
from napari_remidi.physics.geometry.swc import read_tree

SOMA, NEURITE, LENGTH = 4.0, 1.0, 15.0
TREE = f"# a soma and an axon\n1 1 0 0 0 {SOMA} -1\n\n2 2 0 0 {LENGTH / 2} {NEURITE} 1\n3 2 0 0 {LENGTH} {NEURITE} 2\n"
SOMA_VOLUME = 4 / 3 * math.pi * SOMA**3
IN_SOMA = 2 / 3 * math.pi * (SOMA**3 - (SOMA**2 - NEURITE**2) ** 1.5)  # of the axon, from the soma's centre on
AXON_VOLUME = math.pi * NEURITE**2 * LENGTH + 2 / 3 * math.pi * NEURITE**3 - IN_SOMA


def written(folder: Path, text: str) -> Path:
    (folder / "n.swc").write_text(text)
    return folder / "n.swc"


@pytest.mark.parametrize("edge_length", [None, 1.0, 0.5])
def test_soma_and_axon_have_their_volumes(tmp_path: Path, edge_length: float | None) -> None:
    """1 % is what smoothing may leave; the volume itself is measured to a few thousandths."""
    mesh = open_neuron(written(tmp_path, TREE), edge_length)
    assert mesh.names == ("soma", "axon")
    volumes = np.bincount(mesh.labels, mesh.volumes)
    assert volumes == pytest.approx([SOMA_VOLUME, AXON_VOLUME], rel=0.015)
    assert mesh.surface.is_watertight


def test_the_surface_lies_on_the_tree(tmp_path: Path) -> None:
    mesh = open_neuron(written(tmp_path, TREE), 0.5)
    p = mesh.points[mesh.surface_nodes]
    from_axis = np.linalg.norm(p - np.clip(p @ [0, 0, 1], 0, LENGTH)[:, None] * [0, 0, 1], axis=1) - NEURITE
    off = np.abs(np.minimum(np.linalg.norm(p, axis=1) - SOMA, from_axis))
    assert np.sqrt((off**2).mean()) < 0.1 * 0.5  # a tenth of an edge


def test_a_slanting_tapering_branch_is_measured_too(tmp_path: Path) -> None:
    """One round cone: two spheres and the frustum between the circles where its tangent lines touch them."""
    a, b, end = 2.0, 1.0, np.array([4.0, 5.0, 6.0])
    length = np.linalg.norm(end)
    sine, cosine = (a - b) / length, math.sqrt(1 - ((a - b) / length) ** 2)

    def cap(r: float, height: float) -> float:
        return math.pi * height**2 * (3 * r - height) / 3

    tall = (length + (b - a) * sine) * math.pi / 3 * cosine**2 * (a**2 + a * b + b**2)
    volume = tall + cap(a, a * (1 + sine)) + cap(b, b * (1 - sine))
    path = written(tmp_path, f"1 3 0 0 0 {a} -1\n2 3 {end[0]} {end[1]} {end[2]} {b} 1\n")
    mesh = open_neuron(path, 0.5)
    assert mesh.names == ("dendrite",)
    assert mesh.volume == pytest.approx(volume, rel=0.01)


def test_a_fork_is_one_piece(tmp_path: Path) -> None:
    fork = "1 3 0 0 0 1 -1\n2 3 0 0 6 1 1\n3 5 4 0 10 .8 2\n4 6 -4 1 10 .6 2\n5 7 -6 1 14 .6 4\n"
    mesh = open_neuron(written(tmp_path, fork))
    assert mesh.names == ("dendrite", "neurite")
    assert mesh.surface.is_watertight
    assert mesh.surface.body_count == 1


def test_voxels_that_would_touch_at_an_edge_are_joined(tmp_path: Path) -> None:
    """Thin neurites that leave a point at sharp angles meet in voxels that touch in every way there is."""
    rng = np.random.default_rng(0)
    ends = 12 * rng.normal(size=(14, 3))
    lines = [f"{n} 3 {x:.3f} {y:.3f} {z:.3f} 0.6 1" for n, (x, y, z) in enumerate(ends, 2)]
    mesh = open_neuron(written(tmp_path, "\n".join(["1 3 0 0 0 0.6 -1", *lines])), 0.6)
    assert mesh.surface.is_watertight
    assert mesh.surface.body_count == 1


def test_the_soma_of_three_points_is_a_sphere(tmp_path: Path) -> None:
    soma = "1 1 0 0 0 4 -1\n2 1 0 -4 0 4 1\n3 1 0 4 0 4 1\n"
    mesh = open_neuron(written(tmp_path, soma), 1.0)
    assert mesh.volume == pytest.approx(SOMA_VOLUME, rel=0.01)


def test_a_neurite_leaves_the_soma_with_its_own_radius(tmp_path: Path) -> None:
    cones = read_tree(written(tmp_path, TREE))
    assert cones.start_radii.tolist() == [SOMA, NEURITE, NEURITE]
    assert cones.kinds.tolist() == [0, 1, 1]
    assert cones.lines.tolist() == [2, 4, 5]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 1 0 0 0 4 -1\n2 2 0 0 9 1 7\n", ", line 2: the parent of point 2, 7, is not in the file: add it, or give "
         "the root of the tree the parent -1"),
        ("1 1 0 0 0 4 -1\n2 2 0 0 9 1 3\n3 2 0 0 9 1 2\n", ", line 2: point 2 is its own ancestor: give it the parent "
         "that lies nearer to the soma"),
        ("1 1 0 0 0 4 -1\n# \n2 2 0 0 9 1 -1\n", ", line 3: a second root, after that at line 1: connect the two "
         "trees, or write each to a file of its own"),
        ("1 1 0 0 0 0 -1\n", ", line 1: point 1 has radius 0 µm: give it a positive radius"),
        ("1 1 0 0 0 4 -1\n2 2 0 0 9 -1 1\n", ", line 2: point 2 has radius -1 µm: give it a positive radius"),
        ("1 1 0 0 zero 4 -1\n", ", line 1: '1 1 0 0 zero 4 -1' is not number, type, x, y, z, radius and parent: "
         "correct or remove it"),
        ("1 1 0 0 nan 4 -1\n", ", line 1: '1 1 0 0 nan 4 -1' is not number, type, x, y, z, radius and parent: "
         "correct or remove it"),
        ("1 1 0 0 0 4\n", ", line 1: '1 1 0 0 0 4' is not number, type, x, y, z, radius and parent: "
         "correct or remove it"),
        ("1 1 0 0 0 4 -1\n1 2 0 0 9 1 1\n", ", line 2: point 1 stands at line 1 already: number it anew"),
        ("# nothing\n", ": no points in it; an SWC file has lines of number, type, x, y, z, radius and parent"),
    ],
)  # fmt: skip
def test_what_is_no_tree_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(MeshError) as caught:
        open_neuron(written(tmp_path, text))
    assert str(caught.value) == f"{tmp_path / 'n.swc'}{message}"


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(MeshError) as caught:
        open_neuron(tmp_path / "none.swc")
    assert str(caught.value) == f"{tmp_path / 'none.swc'}: no such file"


@pytest.mark.parametrize(
    ("text", "edge_length", "message"),
    [
        (TREE, 1.5, ": edges of 1.5 µm are too coarse for the thinnest radius, 1 µm at line 4: "
         "give an edge_length of 1 µm or less"),
        (TREE, 0.05, ": edges of 0.05 µm would make 1.5e+07 tetrahedra (at most 6e+06): "
         "give an edge_length of 0.0687 to 1 µm"),
        ("1 1 0 0 0 30 -1\n2 2 0 0 200 0.2 1\n", None, ": edges of 0.133 µm would make 2.9e+08 tetrahedra (at most "
         "6e+06), and edges that fit (0.484 µm) are too coarse for the thinnest radius, 0.2 µm at line 2: cut the "
         "neuron into parts or leave its thinnest neurites out"),
        (TREE, 0.0, "edge length 0 µm: give a positive length"),
    ],
)  # fmt: skip
def test_edges_that_do_not_fit(tmp_path: Path, text: str, edge_length: float | None, message: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(MeshError) as caught:
        open_neuron(path, edge_length)
    assert str(caught.value).removeprefix(str(path)) == message
