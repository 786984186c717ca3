"""What the tests of recipes measure on a mesh."""

import numpy as np
from numpy.typing import NDArray

from napari_remidi.physics import TetMesh


def shapes(mesh: TetMesh) -> NDArray[np.float64]:
    """1 for a regular tetrahedron, 0 for a flat one: volume over mean squared edge to the power 3/2."""
    p = mesh.points[mesh.tetrahedra]
    edges = p[:, [0, 0, 0, 1, 1, 2]] - p[:, [1, 2, 3, 2, 3, 3]]
    return mesh.volumes * 6 * np.sqrt(2) / (edges**2).sum(axis=2).mean(axis=1) ** 1.5


def volume_of(mesh: TetMesh, name: str) -> float:
    return float(mesh.volumes[mesh.labels == mesh.names.index(name)].sum())


def interface(mesh: TetMesh, a: str, b: str) -> NDArray[np.int64]:
    """Faces (k, 3) that a tetrahedron of one compartment shares with one of the other."""
    found = []
    for name in (a, b):
        tets = mesh.tetrahedra[mesh.labels == mesh.names.index(name)]
        found.append(np.unique(np.sort(tets[:, [[1, 2, 3], [0, 2, 3], [0, 1, 3], [0, 1, 2]]].reshape(-1, 3)), axis=0))
    both, count = np.unique(np.concatenate(found), axis=0, return_counts=True)
    return both[count == 2]


def area(mesh: TetMesh, faces: NDArray[np.int64]) -> float:
    p = mesh.points[faces]
    return float(np.linalg.norm(np.cross(p[:, 1] - p[:, 0], p[:, 2] - p[:, 0]), axis=1).sum() / 2)


def moved(mesh: TetMesh, by: tuple[float, float, float]) -> TetMesh:
    return TetMesh(mesh.points + by, mesh.tetrahedra, mesh.labels, mesh.names)
