"""Surface integrals over the walls between compartments, through which magnetisation passes or at which it relaxes.

With face mass F = a (1 + δ) / 12 on a triangle of area a, the nodes on the two sides of a permeable face are coupled by

    Q_f = κ √(ρ_a ρ_b) [ F  −F ]
                       [ −F  F ]

whose rows sum to zero: what leaves one side arrives on the other. A relaxing face adds ρ κ_s F to its own side.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_remidi.physics.matrices.elements import FACE_MASS, face_areas

Ints = NDArray[np.int64]
SIX = np.stack(np.triu_indices(6), axis=1)  # node pairs of the two sides of a face, 21 of them
THREE = np.stack(np.triu_indices(3), axis=1)  # node pairs of one side, 6


@dataclass(frozen=True, eq=False)
class Walls:
    """Faces through which magnetisation passes or at which it relaxes.

    Attributes
    ----------
    faces : (w, 3) the nodes of one side
    coupling : (w, k) what unit area and unit strength add to the entries of the face's k node pairs
    parameter : (w,) which κ (by interface) or κ_s (by compartment) acts
    sides : (w, 2) the compartments on both sides, twice the same where the wall relaxes
    """

    faces: Tensor
    coupling: Tensor
    parameter: Tensor
    sides: Tensor

    def to(self, device: torch.device | str) -> "Walls":
        """The same on another device."""
        return Walls(*(tensor.to(device) for tensor in (self.faces, self.coupling, self.parameter, self.sides)))

    def added(self, points: Tensor, strength: Tensor, spins: Tensor) -> Tensor:
        """Surface integrals of every node pair, (w k,), for strengths κ or κ_s and the compartments' spin densities."""
        weight = strength[self.parameter] * (spins[self.sides[:, 0]] * spins[self.sides[:, 1]]).sqrt()
        return ((weight * face_areas(points[self.faces]))[:, None] * self.coupling).flatten()


def permeable_walls(nodes: Ints, interface: Ints, labels: Ints) -> tuple[Walls, Ints]:
    """Walls that couple the two sides of faces, nodes (k, 2, 3), and their node pairs, (21 k, 2)."""
    pairs = nodes.reshape(-1, 6)[:, SIX]
    p, q = SIX.T
    flux = FACE_MASS.numpy()[p % 3, q % 3] * np.where((p < 3) == (q < 3), 1.0, -1.0)
    # where a way round the wall has none, the two sides are one node: both halves of Q fall on its diagonal
    twice = (pairs[..., 0] == pairs[..., 1]) & (p != q)
    return _walls(nodes[:, 0], flux * np.where(twice, 2.0, 1.0), interface, labels), pairs.reshape(-1, 2)


def relaxing_walls(nodes: Ints, labels: Ints) -> tuple[Walls, Ints]:
    """Walls that relax on one side, nodes (k, 3), and their node pairs, (6 k, 2)."""
    coupling = np.tile(FACE_MASS.numpy()[tuple(THREE.T)], (len(nodes), 1))
    sides = np.stack([labels, labels], axis=1)
    return _walls(nodes, coupling, labels, sides), nodes[:, THREE].reshape(-1, 2)


def _walls(faces: Ints, coupling: NDArray[np.float64], parameter: Ints, sides: Ints) -> Walls:
    return Walls(*(torch.as_tensor(array) for array in (faces, coupling, parameter, sides)))
