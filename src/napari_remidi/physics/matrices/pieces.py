"""The parts of a substrate between which nothing passes, each with its own nodes and finite-element matrices.

With M_ρ, K_ρD and J_ρ the mass, stiffness and moments weighted by density and diffusivity, and Q the surface
integrals of the walls (`walls`), a piece obeys

    M_ρ ξ' = −(K_ρD + Q + M_ρ/T2 + i q f(t) g·J_ρ) ξ,          start and detection both M_ρ 1,

so that a piece's matrices go through `modes`, `reduced` and the propagators as a single cell's do, with a generator
in 1/ms in the place of the stiffness and a diffusivity of one. A substrate's signal is the mean of its pieces',
weighted by their amounts.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from napari_remidi.physics.matrices.assembly import Topology
from napari_remidi.physics.matrices.doubling import Doubled
from napari_remidi.physics.matrices.elements import PAIR_MASS, element_integrals
from napari_remidi.physics.matrices.walls import Walls, permeable_walls, relaxing_walls
from napari_remidi.physics.mesh import boundary_faces, signed_volumes
from napari_remidi.physics.substrate import Substrate

Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Piece:
    """One connected part of a substrate.

    Attributes
    ----------
    substrate : Substrate
    topology : Topology over the piece's own nodes
    node : (n',) the mesh's node of which each of the piece's nodes is a copy
    points : (n', 3) float64 µm, where they are
    labels : (m',) compartment of each of the piece's tetrahedra
    amount : ∫ρ, µm³ times the unit of the spin density
    baseline : 1/ms, the smallest 1/T2 in the piece; it is left out of the generator, and exp(−TE · baseline) is exact
    permeable, relaxing : Walls
    """

    substrate: Substrate
    topology: Topology
    node: Tensor
    points: Tensor
    labels: Tensor
    amount: float
    baseline: float
    permeable: Walls
    relaxing: Walls

    def entries(
        self,
        points: Tensor | None = None,
        diffusivity: Tensor | None = None,
        t2: Tensor | None = None,
        permeability: Tensor | None = None,
        relaxivity: Tensor | None = None,
    ) -> Tensor:
        """Mass, generator and moments of the piece, differentiable by torch in everything that is given.

        What is not given is the substrate's own. Which walls are closed, open or absent was decided with the
        substrate's κ and κ_s: a wall with κ = 0 or ∞, or with κ_s = 0, stays so whatever is given here.

        Parameters
        ----------
        points : (n', 3) float64 µm, the piece's nodes, ``mesh_points[piece.node]``: copies must stay together
        diffusivity : (C,) or (C, 3, 3) µm²/ms, by compartment of the substrate
        t2 : (C,) ms
        permeability : (I,) µm/ms, in the order of `Substrate.interfaces`
        relaxivity : (C,) µm/ms

        Returns
        -------
        (5, e) float64: M_ρ; K_ρD + Q + M_ρ/T2 − baseline M_ρ in 1/ms; J_ρ x, y, z, counted from the mean of
        `Piece.points`, which changes no signal
        """
        own = self.substrate
        speed = self._given(diffusivity, own.diffusivity)[self.labels]
        rate = 1 / self._given(t2, own.t2)[self.labels] - self.baseline
        spins = self._given(None, own.density)
        places = (self.points if points is None else points) - self.points.mean(dim=0)
        if speed.ndim == 1:
            speed = speed[:, None, None] * torch.eye(3, dtype=speed.dtype, device=speed.device)
        bulk, stiffness = element_integrals(places[self.topology.tetrahedra], speed)
        generator = stiffness + (rate * bulk[:, 0])[:, None] * PAIR_MASS.to(rate)
        weight = spins[self.labels][:, None]
        sums = self.topology.summed(places, weight * bulk, weight * generator)
        passing = self.permeable.added(places, self._given(permeability, own.permeabilities), spins)
        lost = self.relaxing.added(places, self._given(relaxivity, own.relaxivities), spins)
        walls = torch.zeros_like(sums[1]).index_add(0, self.topology.linked, torch.cat([passing, lost]))
        return torch.cat([sums[:1], sums[1:2] + walls, sums[2:]])

    @cached_property
    def volumes(self) -> NDArray[np.float64]:
        """Volume of each tetrahedron, (m',) µm³."""
        return signed_volumes(self.points.cpu().numpy(), self.topology.tetrahedra.cpu().numpy())

    @cached_property
    def wall(self) -> float:
        """Area of all its walls, µm²."""
        f = self.points.cpu().numpy()[boundary_faces(self.topology.tetrahedra.cpu().numpy())]
        return float(np.linalg.norm(np.cross(f[:, 1] - f[:, 0], f[:, 2] - f[:, 0]), axis=1).sum()) / 2

    @property
    def slowest(self) -> NDArray[np.float64]:
        """Least diffusivity in each tetrahedron, (m',) µm²/ms."""
        given = self.substrate.diffusivity
        return (given if given.ndim == 1 else np.linalg.eigvalsh(given)[:, 0])[self.labels.cpu().numpy()]

    def density(self, values: ArrayLike) -> Tensor:
        """A start density at the mesh's nodes, (n,), as one at the piece's, (n',); it multiplies the spin density."""
        return torch.as_tensor(np.asarray(values, dtype=np.float64), device=self.node.device)[self.node]

    def _given(self, value: Tensor | None, own: NDArray[np.float64]) -> Tensor:
        return torch.as_tensor(own, dtype=torch.float64, device=self.node.device) if value is None else value


def pieces(substrate: Substrate, device: torch.device | str = "cpu") -> tuple[Piece, ...]:
    """Split a substrate into the parts between which no magnetisation passes.

    Parameters
    ----------
    substrate : Substrate
    device : where the matrices are assembled; it must have float64

    Returns
    -------
    pieces, in the order of their first tetrahedra
    """
    doubled = Doubled.of(substrate)
    part = doubled.parts()
    relaxing = _relaxing_faces(substrate, doubled)
    return tuple(_piece(substrate, doubled, relaxing, part == index, device) for index in range(part.max() + 1))


def _piece(
    substrate: Substrate,
    doubled: Doubled,
    relaxing_faces: tuple[Ints, Ints],
    inside: NDArray[np.bool_],
    device: torch.device | str,
) -> Piece:
    mesh = substrate.mesh
    used, tets = np.unique(doubled.corners[inside], return_inverse=True)
    node, labels = doubled.node[used], mesh.labels[inside]
    crossed = doubled.open & inside[doubled.sides[:, 0]]
    permeable, across = permeable_walls(
        np.searchsorted(used, doubled.walls[crossed]), doubled.interface[crossed], mesh.labels[doubled.sides[crossed]]
    )
    faces, owners = relaxing_faces
    own = inside[owners]
    relaxing, along = relaxing_walls(np.searchsorted(used, faces[own]), mesh.labels[owners[own]])
    return Piece(
        substrate,
        Topology.of(tets.reshape(-1, 4), device, np.concatenate([across, along])),
        torch.as_tensor(node, device=device),
        torch.as_tensor(mesh.points[node], device=device),
        torch.as_tensor(labels, device=device),
        float((mesh.volumes[inside] * substrate.density[labels]).sum()),
        float((1 / substrate.t2[labels]).min()),
        permeable.to(device),
        relaxing.to(device),
    )


def _relaxing_faces(substrate: Substrate, doubled: Doubled) -> tuple[Ints, Ints]:
    """Faces that relax, (k, 3), and the tetrahedra that they bound, (k,)."""
    faces = np.concatenate([doubled.outer, doubled.walls[:, 0], doubled.walls[:, 1]])
    owners = np.concatenate([substrate.faces.inside, doubled.sides[:, 0], doubled.sides[:, 1]])
    relaxes = substrate.relaxivities[substrate.mesh.labels[owners]] > 0
    return faces[relaxes], owners[relaxes]
