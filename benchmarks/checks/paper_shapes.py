"""The ReMiDi paper's shapes (arXiv 2502.01988), its formulas applied to the nodes of a straight cylinder.

The cylinder is a stack of prisms cut in tetrahedra; neither the template's tube nor its spectral basis has a part in
it. Signals come from two meshes of it, the finer of ten times the template's nodes, extrapolated to no spacing. Which
cylinders and how far they are deformed comes from the families the prior knows, drawn with seeds that no training has.
"""

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from napari_remidi.physics import Simulator, TetMesh
from napari_remidi.physics.geometry.discs import disc
from napari_remidi.physics.geometry.layers import concentric_layers
from napari_remidi.physics.geometry.prisms import extruded
from napari_remidi.scan import Protocol
from napari_remidi.shapes.families import closed_axon
from napari_remidi.shapes.sections import AxonFields

Floats = NDArray[np.float64]
MESHES = ((4, 128), (6, 192))  # divisions of a section (six nodes around to each), slices: 7869 and 24511 nodes
MODES = 150
KEPT = 32  # shapes that are ready for another protocol


@dataclass(frozen=True, eq=False)
class Truth:
    """A shape to be found.

    Attributes
    ----------
    axon : the same shape as the prior's family has it; its `kind` is "sheared", "rippled" or "hinged", the paper's
        bending and twisting, beading and fanning, its `parameters` are the deformation's, radius and height µm
    rotation : (3, 3), body to world
    """

    axon: AxonFields
    rotation: Floats

    @cached_property
    def mesh(self) -> TetMesh:
        """The finer one, in the world."""
        return self.meshed(*MESHES[-1])

    def meshed(self, division: int, slices: int) -> TetMesh:
        """In the world, as fine as one likes."""
        mesh = deformed_cylinder(self.axon.kind, self.axon.parameters, division, slices)
        return TetMesh(mesh.points @ self.rotation.T, mesh.tetrahedra)

    def signal(self, protocol: Protocol, diffusivity: float, device: str) -> Floats:
        """S/S0, (M,): the error of linear elements falls with the square of their size (Richardson)."""
        coarse, fine = (simulator.run(protocol).signal for simulator in simulators(self, diffusivity, device))
        ratio = MESHES[1][0] / MESHES[0][0]
        return np.asarray(fine + (fine - coarse) / (ratio**2 - 1))


@lru_cache(maxsize=KEPT)
def simulators(truth: Truth, diffusivity: float, device: str) -> list[Simulator]:
    """One for each mesh. Their modes take twenty seconds, and then every protocol one."""
    return [Simulator(truth.meshed(*mesh), diffusivity, modes=MODES, device=device) for mesh in MESHES]


def random_truth(kind: str, fixed: dict[str, float], seed: list[int]) -> Truth:
    """A shape with some of its parameters fixed, turned at random; the same for the same seed."""
    rng = np.random.default_rng(seed)
    axon = closed_axon(rng, kind, **fixed)
    return Truth(axon, Rotation.random(random_state=rng).as_matrix())


def deformed_cylinder(kind: str, parameters: dict[str, Any], division: int, slices: int) -> TetMesh:
    """A cylinder standing on z = 0, its nodes moved."""
    radius = parameters["radius"]
    height = parameters["height"] if kind == "sheared" else parameters["length"]
    section, triangles, _ = disc(concentric_layers([radius], division))
    points, tetrahedra = extruded(section, triangles, np.linspace(0, height, slices + 1))
    if kind == "sheared":
        moved = bent_and_twisted(points, radius, height, parameters["shear"], parameters["twist"])
    elif kind == "rippled":
        moved = beaded(points, height, parameters["beads"], parameters["amplitude"])
    else:
        moved = fanned(points, height, np.deg2rad(parameters["fan"]), parameters["fan_at"])
    return TetMesh(moved, tetrahedra)


def bent_and_twisted(points: Floats, radius: float, height: float, bend: float, twist: float) -> Floats:
    """x ← x + 30 β w (z/h)², w the width and z from −h/2 to h/2, then a turn by τ z/h about z."""
    x, y, z = points.T
    z = z - height / 2
    x = x + 30 * bend * 2 * radius * (z / height) ** 2
    turn = twist * z / height
    return np.column_stack([x * np.cos(turn) - y * np.sin(turn), x * np.sin(turn) + y * np.cos(turn), z])


def beaded(points: Floats, height: float, beads: float, amplitude: float) -> Floats:
    """r ← r (1 + a sin 2πk z̄), z̄ from 0 to 1."""
    x, y, z = points.T
    swell = 1 + amplitude * np.sin(2 * np.pi * beads * z / height)
    return np.column_stack([x * swell, y * swell, z])


def fanned(points: Floats, height: float, fan: float, fan_at: float) -> Floats:
    """Straight up to a share of the height, from there on along a circle's arc that turns by `fan` (rad) in all."""
    if fan == 0:
        return points
    x, y, z = points.T
    knee = fan_at * height
    curvature = fan / (height - knee)
    angle = curvature * np.clip(z - knee, 0, None)
    arc_x = (1 - np.cos(angle)) / curvature
    arc_z = np.minimum(z, knee) + np.sin(angle) / curvature
    return np.column_stack([arc_x + x * np.cos(angle), y, arc_z - x * np.sin(angle)])
