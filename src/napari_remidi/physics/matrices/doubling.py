"""The nodes that compartments share, doubled where a wall lies between them."""

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.sparse.csgraph import connected_components

from napari_remidi.physics.substrate import Substrate

Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Doubled:
    """A substrate's tetrahedra over nodes of their own: a copy for every compartment, one for those without a wall.

    Attributes
    ----------
    corners : (m, 4) the tetrahedra's nodes among the copies
    node : (N,) the mesh's node of each copy, increasing
    walls : (k, 2, 3) the copies on both sides of faces between compartments, except where κ is infinite
    sides : (k, 2) the tetrahedra on both sides
    interface : (k,) which of `Substrate.interfaces` the face belongs to
    open : (k,) whether κ > 0
    outer : (s, 3) the copies on faces of the outer surface
    """

    corners: Ints
    node: Ints
    walls: Ints
    sides: Ints
    interface: Ints
    open: NDArray[np.bool_]
    outer: Ints

    @classmethod
    def of(cls, substrate: Substrate) -> "Doubled":
        """Double a substrate's nodes."""
        tets, faces = substrate.mesh.tetrahedra, substrate.faces
        interface = _interface(substrate)
        kappa = np.append(substrate.permeabilities, np.nan)[interface]
        corners, node = _copies(substrate, np.isinf(kappa))
        wall = np.isfinite(kappa)
        sides = faces.sides[wall]
        both = [_copies_on(tets, corners, sides[:, k], faces.inner[wall]) for k in (0, 1)]
        outer = _copies_on(tets, corners, faces.inside, faces.outer)
        return cls(corners, node, np.stack(both, axis=1), sides, interface[wall], kappa[wall] > 0, outer)

    def parts(self) -> Ints:
        """Number of the connected part that each tetrahedron belongs to, (m,), in the order of their first ones."""
        links = np.concatenate([self.corners[:, [0, k]] for k in (1, 2, 3)] + [self.walls[self.open, :, 0]])
        part = _components(links, len(self.node))[self.corners[:, 0]]
        _, first, part = np.unique(part, return_index=True, return_inverse=True)
        return _ranks(first)[part.ravel()]


def _copies(substrate: Substrate, absent: NDArray[np.bool_]) -> tuple[Ints, Ints]:
    """Copies of the nodes, merged on the inner faces where the wall is absent: corners (m, 4) and node (N,)."""
    mesh, faces = substrate.mesh, substrate.faces
    count = len(mesh.names)
    keys = mesh.tetrahedra * count + mesh.labels[:, None]
    copies, corners = np.unique(keys, return_inverse=True)
    corners = corners.reshape(keys.shape)
    if absent.any():
        labels = mesh.labels[faces.sides[absent]]
        both = [np.searchsorted(copies, faces.inner[absent] * count + labels[:, k, None]) for k in (0, 1)]
        merged = _components(np.stack(both, axis=-1).reshape(-1, 2), len(copies))
        _, first = np.unique(merged, return_index=True)
        corners, copies = _ranks(first)[merged[corners]], np.sort(copies[first])
    return corners, copies // count


def _interface(substrate: Substrate) -> Ints:
    """Index into `Substrate.interfaces` of every inner face; −1 within a compartment."""
    count = len(substrate.names)
    table = np.full((count, count), -1)
    for index, pair in enumerate(substrate.interfaces):
        a, b = map(substrate.names.index, pair)
        table[a, b] = table[b, a] = index
    labels = substrate.mesh.labels[substrate.faces.sides]
    return table[labels[:, 0], labels[:, 1]]


def _copies_on(tetrahedra: Ints, corners: Ints, owner: Ints, faces: Ints) -> Ints:
    """The copies that the owners' tetrahedra have of the nodes of faces, (k, 3)."""
    where = (tetrahedra[owner][:, None] == faces[..., None]).argmax(axis=-1)
    return np.take_along_axis(corners[owner], where, axis=1)


def _components(links: Ints, count: int) -> Ints:
    graph = sp.coo_matrix((np.ones(len(links), dtype=np.int8), links.T), (count, count))
    return connected_components(graph, directed=False)[1]


def _ranks(values: Ints) -> Ints:
    """Place of each value among all in increasing order."""
    ranks = np.empty_like(values)
    ranks[np.argsort(values)] = np.arange(len(values))
    return ranks
