"""A tight extra-cellular layer around any mesh: its surface moved outward, the gap filled with prisms."""

import numpy as np
from numpy.typing import NDArray

from napari_remidi.errors import MeshError
from napari_remidi.physics.geometry.overlap import points_inside
from napari_remidi.physics.geometry.prisms import prism_tetrahedra
from napari_remidi.physics.mesh import TetMesh, signed_volumes

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

# at an edge a node moves further than the thickness, so that the faces move by it; at a spike no further than this
LARGEST_STRETCH = 2.0


def tight_wrap(mesh: TetMesh, thickness: float, layers: int = 2, name: str = "extra") -> TetMesh:
    """The mesh in a layer of even thickness that shares the nodes of its surface.

    Every surface node moves along the mean normal of its faces, weighted by their angles there, far enough that these
    faces move by the thickness on average.

    Parameters
    ----------
    mesh : whose surface is closed, µm; its nodes, elements and compartments are kept as they are, in their order
    thickness : µm
    layers : how many layers of elements
    name : of the new compartment

    Raises
    ------
    MeshError
        For a thickness that is not positive, a name in use, or a layer that folds over or runs into itself or the
        mesh: checked at the nodes and the middles of the edges and faces of its outer surface.
    """
    _check_request(mesh, thickness, layers, name)
    start, faces = mesh.surface_nodes, np.searchsorted(mesh.surface_nodes, mesh.boundary)
    outward = _offsets(mesh.points[start], faces)
    steps = thickness * np.arange(1, layers + 1) / layers
    points = np.concatenate([mesh.points, *(mesh.points[start] + step * outward for step in steps)])
    numbers = np.concatenate([start, np.arange(len(mesh.points), len(points))])  # of the surface, layer after layer
    lows = range(0, len(start) * layers, len(start))
    wrap = numbers[np.concatenate([prism_tetrahedra(faces, low, low + len(start)) for low in lows])]
    tetrahedra = np.concatenate([mesh.tetrahedra, wrap])
    _check_unfolded(points, wrap, thickness)
    _check_outside(points, tetrahedra, points[-len(start) :], faces, thickness)
    labels = np.concatenate([mesh.labels, np.full(len(wrap), len(mesh.names))])
    return TetMesh(points, tetrahedra, labels, (*mesh.names, name))


def _offsets(points: Floats, faces: Ints) -> Floats:
    """By how much each node moves for a layer of thickness 1, (s, 3)."""
    normals, angles = _normals(points, faces), _angles(points, faces)
    summed, total = np.zeros_like(points), np.zeros(len(points))
    for corner in range(3):
        np.add.at(summed, faces[:, corner], angles[:, corner, None] * normals)
        np.add.at(total, faces[:, corner], angles[:, corner])
    length = np.linalg.norm(summed, axis=1)
    mean_cosine = length / total  # of the angles between the mean normal and the faces' own
    stretch = 1 / np.maximum(mean_cosine, 1 / LARGEST_STRETCH)
    return summed * (stretch / np.maximum(length, np.finfo(float).tiny))[:, None]


def _normals(points: Floats, faces: Ints) -> Floats:
    p = points[faces]
    normals = np.cross(p[:, 1] - p[:, 0], p[:, 2] - p[:, 0])
    return normals / np.linalg.norm(normals, axis=1, keepdims=True)


def _angles(points: Floats, faces: Ints) -> Floats:
    """Angle at each corner of each face, (k, 3)."""
    p = points[faces]
    ahead, back = np.roll(p, -1, axis=1) - p, np.roll(p, 1, axis=1) - p
    return np.arctan2(np.linalg.norm(np.cross(ahead, back), axis=2), (ahead * back).sum(axis=2))


def _check_request(mesh: TetMesh, thickness: float, layers: int, name: str) -> None:
    if not (np.isfinite(thickness) and thickness > 0 and layers >= 1):
        raise MeshError(f"{layers} layers over {thickness:g} µm make no wrap; give at least 1 and a positive thickness")
    if name in mesh.names:
        raise MeshError(f"the mesh has a compartment {name!r} already; give the wrap another name")


def _check_unfolded(points: Floats, wrap: Ints, thickness: float) -> None:
    folded = np.flatnonzero(signed_volumes(points, wrap) <= 0)
    if len(folded):
        x, y, z = points[wrap[folded[0]]].mean(axis=0)
        raise MeshError(
            f"{len(folded)} of {len(wrap)} elements of a layer of {thickness:g} µm fold over (the first at "
            f"({x:.2f}, {y:.2f}, {z:.2f}) µm): make the layer thinner or smooth the surface there"
        )


def _check_outside(points: Floats, tetrahedra: Ints, outer: Floats, faces: Ints, thickness: float) -> None:
    middles = [(outer[faces] + np.roll(outer[faces], 1, axis=1)).reshape(-1, 3) / 2, outer[faces].mean(axis=1)]
    probes = np.concatenate([outer, *middles])
    inside = points_inside(probes, points, tetrahedra)
    if len(inside):
        x, y, z = probes[inside[0]]
        raise MeshError(
            f"a layer of {thickness:g} µm runs into itself or the mesh at {len(inside)} of {len(probes)} points of its "
            f"outer surface (the first at ({x:.2f}, {y:.2f}, {z:.2f}) µm): make the layer thinner"
        )
