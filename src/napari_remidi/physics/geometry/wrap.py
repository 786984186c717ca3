"""A tight extra-cellular layer around any mesh: its surface moved outward, the gap filled with prisms."""

import numpy as np
from numpy.typing import NDArray

from napari_remidi.errors import MeshError
from napari_remidi.physics.geometry.overlap import points_inside
from napari_remidi.physics.geometry.prisms import positively_oriented, prism_tetrahedra
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
        mesh: checked at the new nodes and the middles of the new elements and outer faces.
    """
    _check_request(mesh, thickness, layers, name)
    start, faces = mesh.surface_nodes, np.searchsorted(mesh.surface_nodes, mesh.boundary)
    outward = _offsets(mesh.points[start], faces)
    steps = thickness * np.arange(1, layers + 1) / layers
    points = np.concatenate([mesh.points, *(mesh.points[start] + step * outward for step in steps)])
    numbers = np.concatenate([start, np.arange(len(mesh.points), len(points))])  # of the surface, layer after layer
    prisms = np.concatenate([prism_tetrahedra(faces, k * len(start), (k + 1) * len(start)) for k in range(layers)])
    # the orientation that an unfolded prism gives: judged on the prism with its faces straight up
    wrap = _as_unfolded(mesh.points[start], faces, numbers[prisms], prisms, layers)
    _check_unfolded(points, wrap)
    outer = points[-len(start) :]
    _check_apart(points, np.concatenate([mesh.tetrahedra, wrap]), wrap, outer, faces)
    return TetMesh(
        points,
        np.concatenate([mesh.tetrahedra, wrap]),
        np.concatenate([mesh.labels, np.full(len(wrap), len(mesh.names))]),
        (*mesh.names, name),
    )
