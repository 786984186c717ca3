"""Shape: a surface as the window draws it, in micrometres, with its uncertainty and its twin."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree


@dataclass(frozen=True, eq=False)
class Shape:
    """A surface to draw.

    Parameters
    ----------
    points : (n, 3) float, µm, x y z of the world
    faces : (k, 3) int, outward
    sd : (n,) float or None, µm
        Standard deviation of every vertex.
    """

    points: NDArray[np.float64]
    faces: NDArray[np.int64]
    sd: NDArray[np.float64] | None = None

    def outside(self) -> "Shape":
        """The same surface without the nodes that no face uses (the inner nodes of a tetrahedral mesh)."""
        used, renumbered = np.unique(self.faces, return_inverse=True)
        sd = None if self.sd is None else np.asarray(self.sd)[used]
        return Shape(np.asarray(self.points)[used], renumbered.reshape(-1, 3), sd)

    @property
    def centred(self) -> NDArray[np.float64]:
        """(n, 3) µm: the points about the surface's centre of area; a signal does not tell where an axon lies."""
        corners = self.points[self.faces]
        areas = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
        return self.points - areas @ corners.mean(axis=1) / areas.sum()

    def mirrored(self) -> "Shape":
        """Its twin: the surface through its centre, which gives the same signal."""
        return Shape(-self.centred, self.faces[:, ::-1], self.sd)

    def nearer_twin(self, other: "Shape") -> "Shape":
        """This surface or its mirror, whichever lies closer to the other."""
        tree = cKDTree(other.outside().centred)
        distance = {twin: tree.query(twin.outside().centred)[0].mean() for twin in (self, self.mirrored())}
        return min(distance, key=distance.__getitem__)
