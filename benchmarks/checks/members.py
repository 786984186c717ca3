"""Signals whose source is known: axons of the prior's families that no training has seen, and things that are none.

Axons are placed on a tube of their own, finer than the template's and finer in its spectrum, and simulated there and at
half the spacing; the signal is extrapolated to no spacing.
"""

from dataclasses import dataclass
from itertools import count

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from napari_remidi.physics import Simulator, TetMesh
from napari_remidi.physics.geometry import sphere
from napari_remidi.scan import Protocol
from napari_remidi.shapes.families import closed_axon
from napari_remidi.shapes.phantom import FINE_BASIS
from napari_remidi.shapes.sections import AxonFields
from napari_remidi.shapes.tube import Tube

Floats = NDArray[np.float64]
TUBE = Tube(rings=2, layers=85, sectors=12)
MODES = 100
LEAST_ANGLE = 20.0  # degrees, between axons that cross
BALL_RADIUS = (1.0, 5.0)  # µm
BALL_NODES = 2057


@dataclass(frozen=True, eq=False)
class Member:
    """An axon of a family, turned at random.

    Attributes
    ----------
    axon : AxonFields
    rotation : (3, 3), body to world
    """

    axon: AxonFields
    rotation: Floats

    @classmethod
    def drawn(cls, seed: list[int]) -> "Member":
        rng = np.random.default_rng(seed)
        return cls(closed_axon(rng), Rotation.random(random_state=rng).as_matrix())

    def points(self, tube: Tube) -> Floats:
        """Nodes in the world, (n, 3) µm."""
        coefficients = FINE_BASIS.coefficients(self.axon.fields, np.log(self.axon.length))
        return FINE_BASIS.vertices(torch.as_tensor(coefficients), tube).numpy() @ self.rotation.T

    def mesh(self, tube: Tube) -> TetMesh:
        return TetMesh(self.points(tube), tube.tetrahedra)

    def signal(self, protocol: Protocol, diffusivity: float) -> Floats:
        """S/S0, (M,): the error of linear elements falls with the square of their size (Richardson)."""
        coarse, fine = (
            Simulator(self.mesh(tube), diffusivity, modes=MODES, device="cpu").run(protocol).signal
            for tube in (TUBE, TUBE.halved())
        )
        return np.asarray(fine + (fine - coarse) / 3)


def crossing(protocol: Protocol, diffusivity: float, seed: list[int]) -> Floats:
    """Half the signal of one axon, half that of another."""
    return np.asarray(sum(member.signal(protocol, diffusivity) for member in pair(seed)) / 2)


def pair(seed: list[int]) -> tuple[Member, Member]:
    """Two axons that cross; of two that run side by side the signal is often that of one."""
    first = Member.drawn([*seed, 0])
    others = (Member.drawn([*seed, 1 + attempt]) for attempt in count())
    return first, next(other for other in others if angle_between(first, other) >= LEAST_ANGLE)


def angle_between(one: Member, other: Member) -> float:
    """Of the lines from end to end, the bodies' z axes, degrees, 0 to 90."""
    return float(np.rad2deg(np.arccos(min(1.0, abs(one.rotation[:, 2] @ other.rotation[:, 2])))))


def ball(protocol: Protocol, diffusivity: float, seed: list[int]) -> Floats:
    """Of a sphere of radius 1 to 5 µm."""
    radius = np.random.default_rng(seed).uniform(*BALL_RADIUS)
    return np.asarray(Simulator(sphere(radius, BALL_NODES), diffusivity, device="cpu").run(protocol).signal)


def nothing(protocol: Protocol, diffusivity: float, seed: list[int]) -> Floats:
    """Numbers between zero and one, whatever the gradient."""
    return np.where(protocol.is_b0, 1.0, np.random.default_rng(seed).uniform(0, 1, len(protocol)))
