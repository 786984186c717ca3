"""The triangles of a tetrahedral mesh, each with the tetrahedra on its sides."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_remidi.physics.mesh import FACES


@dataclass(frozen=True, eq=False)
class Faces:
    """Faces between tetrahedra, and those of the outer surface.

    Attributes
    ----------
    inner : (k, 3) node indices of faces that two tetrahedra share
    sides : (k, 2) the two tetrahedra
    outer : (s, 3) node indices of faces that belong to one tetrahedron only
    inside : (s,) that tetrahedron
    """

    inner: NDArray[np.int64]
    sides: NDArray[np.int64]
    outer: NDArray[np.int64]
    inside: NDArray[np.int64]

    @classmethod
    def of(cls, tetrahedra: NDArray[np.int64]) -> "Faces":
        """Find the faces of tetrahedra, (m, 4), of which no three share one."""
        faces = np.sort(tetrahedra[:, FACES].reshape(-1, 3), axis=1)
        owner = np.repeat(np.arange(len(tetrahedra)), 4)
        order = np.lexsort(faces.T)
        faces, owner = faces[order], owner[order]
        again = np.r_[False, (faces[1:] == faces[:-1]).all(axis=1)]
        first = np.r_[again[1:], False]
        alone = ~(again | first)
        return cls(faces[first], np.stack([owner[first], owner[again]], axis=1), faces[alone], owner[alone])
