"""Closed surfaces of any triangulation, written on the reference tube, and the surfaces that cannot be."""

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
import trimesh

from napari_remidi.errors import InputError, MeshError
from napari_remidi.physics import TetMesh
from napari_remidi.physics.geometry.crossings import crossing_faces
from napari_remidi.shapes.registration import TOLERANCE, Registration, register, register_folder
from napari_remidi.shapes.tube import Tube

TUBE = Tube(3, 41)


def swept(centre: Callable, radius: Callable, rings: int = 90, around: int = 40) -> trimesh.Trimesh:
    """A surface with flat ends about a curve, staggered triangles; centre(s) (3,) and radius(s, angle) µm, s 0 to 1."""
    share = np.linspace(0, 1, rings)
    line = np.stack([centre(s) for s in share])
    tangents = np.gradient(line, axis=0)
    first, nodes = np.array([0.3, 0.9, 0.1]), []
    for ring, (s, point, tangent) in enumerate(zip(share, line, tangents, strict=True)):
        along = tangent / np.linalg.norm(tangent)
        first = first - (first @ along) * along
        first = first / np.linalg.norm(first)
        angle = 2 * np.pi * (np.arange(around) + ring % 2 / 2) / around
        flat = np.outer(np.cos(angle), first) + np.outer(np.sin(angle), np.cross(along, first))
        nodes.append(point + np.broadcast_to(radius(s, angle), angle.shape)[:, None] * flat)
    faces, last = [], (rings - 1) * around
    for j in range(around):
        k = (j + 1) % around
        for low in range(0, last, around):
            a, b, c, d = low + j, low + k, low + around + j, low + around + k
            faces += [[a, b, c], [b, d, c]] if low // around % 2 == 0 else [[a, b, d], [a, d, c]]
        faces += [[last + around, k, j], [last + around + 1, last + j, last + k]]
    return trimesh.Trimesh(np.concatenate([*nodes, line[[0, -1]]]), faces, process=False)


def bent(radius: float, length: float, degrees: float) -> trimesh.Trimesh:
    turn = np.deg2rad(degrees)
    return swept(
        lambda s: length / turn * np.array([np.cos(turn * (s - 0.5)), 0, np.sin(turn * (s - 0.5))]),
        lambda s, angle: radius,
    )


def sheared(k: float) -> trimesh.Trimesh:
    """Horizontal discs along a parabola, x += k z², as the paper bends its cylinders."""
    cylinder = trimesh.creation.cylinder(1.2, 15.0, sections=48).subdivide_to_size(1.0)
    shift = np.outer(k * cylinder.vertices[:, 2] ** 2, [1, 0, 0])
    return trimesh.Trimesh(cylinder.vertices + shift, cylinder.faces, process=False)


def beaded(count: int, size: float) -> trimesh.Trimesh:
    heights = np.linspace(-10, 10, 120)
    radii = np.exp(size * np.cos(2 * np.pi * count * heights / 20))
    profile = np.array([[0, -10], *np.c_[radii, heights], [0, 10]])
    return trimesh.creation.revolve(profile, sections=40)


SURFACES = {
    "thin": lambda: trimesh.creation.cylinder(0.5, 25.0, sections=64),
    "thick": lambda: trimesh.creation.cylinder(3.0, 25.0, sections=64),
    "stubby": lambda: trimesh.creation.cylinder(3.0, 8.0, sections=64),
    "elliptic": lambda: trimesh.creation.cylinder(1.5, 15.0, sections=64).apply_scale([1.4, 0.75, 1]),
    "two beads": lambda: beaded(2, 0.4),
    "four beads": lambda: beaded(4, 0.4),
    "bent": lambda: bent(1.2, 22.0, 120),
    "half a ring": lambda: bent(1.2, 22.0, 180),
    "thick and bent": lambda: bent(3.0, 25.0, 100),
    "sheared": lambda: sheared(0.05),
    "S, elliptic and tapered": lambda: swept(
        lambda s: np.array([2 * np.sin(2 * np.pi * s), 0, 20 * s]),
        lambda s, angle: np.exp(0.3 * (s - 0.5)) / np.sqrt(1 + 0.5 * np.cos(angle) ** 2),
    ),
    "rounded ends": lambda: trimesh.creation.capsule(height=12.0, radius=1.0, count=[40, 40]),
}


TURN = trimesh.transformations.random_rotation_matrix(np.random.default_rng(3).random(3))
SHIFT = np.array([30, -12, 5])


def elsewhere(surface: trimesh.Trimesh) -> trimesh.Trimesh:
    return surface.copy().apply_transform(TURN).apply_translation(SHIFT)


@lru_cache
def registered(kind: str) -> Registration:
    return register(elsewhere(SURFACES[kind]()), TUBE, kind)


def lobed() -> trimesh.Trimesh:
    ball = trimesh.creation.icosphere(5)
    turns = 2 * np.pi * np.arange(3) / 3
    towards = ball.vertices @ np.stack([np.cos(turns), np.sin(turns), 0 * turns])
    return trimesh.Trimesh(ball.vertices * (1 + 6 * np.exp(12 * (towards - 1))).max(axis=1)[:, None], ball.faces)


def opened() -> trimesh.Trimesh:
    surface = bent(1.2, 22.0, 60)
    surface.update_faces(np.arange(len(surface.faces)) != 100)
    return surface


REFUSED = {
    "open": (opened, r"^axon\.ply is not watertight \(3 of \d+ edges .* trimesh\.repair\.fill_holes$"),
    "in parts": (
        lambda: bent(1, 20, 40) + bent(1, 20, 40).apply_translation([5, 0, 0]),
        r"^axon\.ply is in 2 parts: write each",
    ),
    "crossing": (
        lambda: swept(lambda s: np.array([(t := 5 * s - 2.5) ** 3 - 4 * t, t**2, 0]), lambda s, angle: 0.3),
        r"^axon\.ply crosses itself \(\d+ pairs of faces, the first near \(.*\) µm\): mesh it again",
    ),
    "torus": (lambda: trimesh.creation.torus(4, 1), r"^axon\.ply has holes through it like a torus \(genus 1\)"),
    "branched": (lobed, r"^axon\.ply branches: .* parts; cut it into unbranched segments$"),
    "ball": (lambda: trimesh.creation.icosphere(3, 2.0), r"^axon\.ply is more a ball than a tube \(4 by 4 by 4 µm\)"),
    "mm": (lambda: bent(1.2, 22, 60).apply_scale(1e-3), r"looks like mm: multiply its coordinates by 1000 to have µm$"),
    "m": (lambda: bent(1.2, 22, 60).apply_scale(1e-6), r"looks like m: multiply its coordinates by 1e6 to have µm$"),
    "nm": (
        lambda: bent(1.2, 22, 60).apply_scale(1e3),
        r"looks like nm: multiply its coordinates by 0\.001 to have µm$",
    ),
    "square": (
        lambda: trimesh.creation.box((3, 3, 12)),
        r"^axon\.ply is no tube of elliptic sections: the best fit is 0\.\d+ µm from it",
    ),
    "empty": (lambda: trimesh.Trimesh(), r"^axon\.ply has no triangles"),
}


@pytest.mark.parametrize("kind", SURFACES)
def test_a_tube_of_any_triangulation_is_written_on_the_template(kind: str) -> None:
    surface, found = elsewhere(SURFACES[kind]()), registered(kind)
    mesh = TetMesh(found.points, TUBE.tetrahedra)
    assert found.name == kind
    assert found.mean_um <= TOLERANCE
    assert found.mean_um < found.percentile_99_um < 0.1
    # the template's 18 sides: 0.6 % of the radius on average, which leaves the volume; 1 % is a radius off by 0.5 %
    assert mesh.volume == pytest.approx(surface.volume, rel=0.01)
    vertices = mesh.surface.vertices
    # nodes stand out of the surface by the equal-area scale, 2 % of the radius, at most
    assert np.abs(trimesh.proximity.closest_point(surface, vertices)[1]).max() < 0.15


def test_the_distances_are_those_between_the_surfaces() -> None:
    surface, found = elsewhere(SURFACES["four beads"]()), registered("four beads")
    mesh = TetMesh(found.points, TUBE.tetrahedra).surface
    both = [
        trimesh.proximity.closest_point(other, trimesh.sample.sample_surface(one, 3000, seed=9)[0])[1]
        for one, other in ((mesh, surface), (surface, mesh))
    ]
    # other samples: the standard error of a mean of 6000 is 2 %
    assert found.mean_um == pytest.approx(np.mean(both), rel=0.1)
    assert found.percentile_99_um == pytest.approx(np.percentile(both, 99), rel=0.2)


def test_every_section_is_an_affine_image_of_the_disc_evenly_spaced() -> None:
    found = registered("sheared")
    layers = found.points.reshape(TUBE.layers, -1, 3)
    rho, angle = TUBE.section.T
    disc = np.stack([np.ones_like(rho), rho * np.cos(angle), rho * np.sin(angle)], axis=1)
    for layer in layers:
        np.testing.assert_allclose(disc @ np.linalg.lstsq(disc, layer, rcond=None)[0], layer, atol=1e-9)
    steps = np.linalg.norm(np.diff(layers[:, 0], axis=0), axis=1)
    assert steps.std() < 0.01 * steps.mean()


def test_tilted_ends_are_found() -> None:
    """The ends of the sheared cylinder stay horizontal, though its axis leans by 37 degrees there."""
    layers = ((registered("sheared").points - SHIFT) @ TURN[:3, :3]).reshape(TUBE.layers, -1, 3)
    for end in (0, -1):
        assert np.ptp(layers[end, :, 2]) < 0.1
        assert abs(layers[end, :, 2]).mean() == pytest.approx(7.5, abs=0.05)


def test_normals_that_point_inward_do_not_matter() -> None:
    inside_out = elsewhere(SURFACES["bent"]())
    inside_out.invert()
    np.testing.assert_allclose(register(inside_out, TUBE).mean_um, registered("bent").mean_um, rtol=0.2)


@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_no_tube_is_refused_with_the_reason(kind: str) -> None:
    make, message = REFUSED[kind]
    with pytest.raises(MeshError, match=message):
        register(make(), TUBE, "axon.ply")


def test_a_vertex_that_is_not_a_number_is_refused() -> None:
    surface = bent(1.2, 22.0, 60)
    surface.vertices[7] = np.nan
    with pytest.raises(MeshError, match=r"^axon: 1 of \d+ vertices are not finite"):
        register(surface, TUBE, "axon")


def test_a_fine_closed_surface_does_not_cross_itself() -> None:
    surface = elsewhere(trimesh.creation.capsule(height=12.0, radius=1.5, count=[80, 80]))
    assert len(crossing_faces(surface.vertices, surface.faces)) == 0


def test_crossings_are_those_found_pair_by_pair() -> None:
    rng = np.random.default_rng(0)
    soup = rng.normal(size=(60, 3, 3))
    found = {tuple(pair) for pair in crossing_faces(soup.reshape(-1, 3), np.arange(180).reshape(-1, 3))}

    def pierces(start: np.ndarray, end: np.ndarray, triangle: np.ndarray) -> bool:
        a, b, c = triangle
        share, v, w = np.linalg.solve(np.stack([start - end, b - a, c - a], axis=1), start - a)
        return 0 < share < 1 and v > 0 and w > 0 and v + w < 1

    expected = {
        (i, j)
        for i in range(60)
        for j in range(i + 1, 60)
        if any(
            pierces(one[k], one[k - 1], other)
            for one, other in ((soup[i], soup[j]), (soup[j], soup[i]))
            for k in range(3)
        )
    }
    assert len(expected) > 50
    assert found == expected


def test_a_folder_is_read_in_order_and_what_fails_is_set_aside(tmp_path: Path) -> None:
    bent(1.2, 22.0, 60).export(tmp_path / "c.ply")
    trimesh.creation.cylinder(1.0, 15.0, sections=48).export(tmp_path / "a.STL")
    trimesh.creation.cylinder(1.5, 12.0, sections=48).export(tmp_path / "e.obj")
    trimesh.creation.torus(4, 1).export(tmp_path / "b.ply")
    (tmp_path / "d.obj").write_text("f nothing\n")
    (tmp_path / "notes.txt").write_text("not a surface")
    told: list[float] = []
    found, set_aside = register_folder(tmp_path, TUBE, told.append)
    assert [one.name for one in found] == ["a.STL", "c.ply", "e.obj"]
    assert list(set_aside) == ["b.ply", "d.obj"]
    assert "torus" in set_aside["b.ply"]
    assert set_aside["d.obj"].startswith("d.obj ")
    assert told == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])


def test_a_folder_without_surfaces_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere: no such folder; give one with surfaces"):
        register_folder(tmp_path / "nowhere", TUBE)
    with pytest.raises(InputError, match=r"has no PLY, STL or OBJ files: put the surfaces there"):
        register_folder(tmp_path, TUBE)
