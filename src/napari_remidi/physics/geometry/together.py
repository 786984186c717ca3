"""Several meshes in one."""

from collections import Counter

import numpy as np

from napari_remidi.errors import MeshError
from napari_remidi.physics.geometry.overlap import points_inside
from napari_remidi.physics.mesh import TetMesh


def separate(*meshes: TetMesh) -> TetMesh:
    """Several meshes side by side as one; no nodes are shared, so nothing flows between them.

    A compartment keeps its name if no other mesh has it; otherwise the mesh's number is added: "axon 0", "axon 1".

    Parameters
    ----------
    meshes : in one system of coordinates, µm

    Raises
    ------
    MeshError
        Without meshes, or where two of them overlap: a node or the middle of a tetrahedron or outer face of one lies
        inside a tetrahedron of the other. Touching is allowed. An overlap thinner than the elements can go unnoticed.
    """
    if not meshes:
        raise MeshError("no meshes to put side by side; give at least one")
    for k, mesh in enumerate(meshes):
        for other in range(k):
            _check_apart(meshes[other], mesh, other, k)
    users = Counter(name for mesh in meshes for name in mesh.names)
    names = [
        name if users[name] == 1 else f"{name} {number}" for number, mesh in enumerate(meshes) for name in mesh.names
    ]
    nodes = np.cumsum([0, *(len(mesh.points) for mesh in meshes)])
    kinds = np.cumsum([0, *(len(mesh.names) for mesh in meshes)])
    return TetMesh(
        np.concatenate([mesh.points for mesh in meshes]),
        np.concatenate([mesh.tetrahedra + start for mesh, start in zip(meshes, nodes, strict=False)]),
        np.concatenate([mesh.labels + start for mesh, start in zip(meshes, kinds, strict=False)]),
        names,
    )


def _check_apart(a: TetMesh, b: TetMesh, number_a: int, number_b: int) -> None:
    low = np.maximum(a.points.min(axis=0), b.points.min(axis=0))
    high = np.minimum(a.points.max(axis=0), b.points.max(axis=0))
    if np.any(low >= high):
        return
    for mine, yours in ((a, b), (b, a)):
        middles = [mine.points[elements].mean(axis=1) for elements in (mine.boundary, mine.tetrahedra)]
        probes = np.concatenate([mine.points, *middles])
        inside = points_inside(probes, yours.points, yours.tetrahedra)
        if len(inside):
            x, y, z = probes[inside[0]]
            raise MeshError(
                f"meshes {number_a} and {number_b} overlap, for example at ({x:.2f}, {y:.2f}, {z:.2f}) µm: "
                "move them apart"
            )
