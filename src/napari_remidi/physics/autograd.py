"""The simulation as a torch function: gradients of any loss with respect to nodes and diffusivity.

    points, D --mesh_entries--> M, K, J --frozen_model--> small matrices --propagated--> S

Each arrow has a backward of its own, none of them through an eigenvector, so that round sections, balls and cubes give
gradients as clean as any other shape's. A gradient costs about two signals, whatever the number of nodes.
"""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from napari_remidi.errors import InputError, MeshError
from napari_remidi.physics.assembly import Topology
from napari_remidi.physics.devices import algebra_device, choose_device, memory_guard
from napari_remidi.physics.frozen import frozen_model, mesh_entries
from napari_remidi.physics.mesh import TetMesh, signed_volumes
from napari_remidi.physics.modes import sparse_modes
from napari_remidi.physics.propagation import Sequences, propagated
from napari_remidi.physics.simulation import WINDOW, Ends, central_density, modes_needed

if TYPE_CHECKING:
    from napari_remidi.scan import Protocol


def differentiable_signal(
    mesh: TetMesh,
    protocol: "Protocol",
    points: Tensor | None = None,
    diffusivity: Tensor | float = 2.0,
    modes: int | None = None,
    ends: Ends = "closed",
    device: str = "auto",
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """Signal of a cell with impermeable walls, as a function that torch can differentiate.

    For many calls with one mesh and protocol (an optimiser's), make a `DifferentiableSimulator` once.

    Parameters
    ----------
    mesh : TetMesh, µm; gives the tetrahedra, and the nodes where `points` does not
    protocol : Protocol with timing
    points : (n, 3) µm, the mesh's nodes, moved anywhere that turns no tetrahedron inside out
    diffusivity : µm²/ms, one number or a symmetric tensor (3, 3)
    modes, ends, device, dtype : as in `simulate`

    Returns
    -------
    (M,) S/S0 in `dtype`; its backward gives ∂/∂points (n, 3) and ∂/∂diffusivity, once (no second derivatives)

    Raises
    ------
    InputError, TimingError, OutOfMemory
        As `simulate` does.
    MeshError
        Where the points turn tetrahedra inside out.
    """
    return DifferentiableSimulator(mesh, protocol, modes, ends, device, dtype)(points, diffusivity)


@dataclass(frozen=True, eq=False)
class DifferentiableSimulator:
    """One mesh's tetrahedra and one protocol, prepared for many differentiable simulations.

    Parameters as in `differentiable_signal`. Called with nodes and diffusivity, it returns the signal.
    """

    mesh: TetMesh
    protocol: "Protocol"
    modes: int | None = None
    ends: Ends = "closed"
    device: str = "auto"
    dtype: torch.dtype = torch.float32

    def __post_init__(self) -> None:
        self.protocol.require_timing()
        if self.ends not in ("closed", "open"):
            raise InputError(f"ends {self.ends!r} is unknown; choose 'closed' or 'open'")

    def __call__(self, points: Tensor | None = None, diffusivity: Tensor | float = 2.0) -> Tensor:
        """Signal of every measurement, (M,), for nodes (n, 3) µm and a diffusivity in µm²/ms."""
        nodes = self._nodes(points)
        speed = _checked_diffusivity(diffusivity).to(nodes)
        with memory_guard(self._target, f"differentiating {len(nodes)} nodes and {len(self.protocol)} measurements"):
            entries = mesh_entries(self._topology, nodes, speed)
            mean = float(speed.detach().mean() if speed.ndim == 0 else speed.detach().diagonal().mean())
            count = self.modes or modes_needed(self.mesh, self.protocol, mean)
            decay, vectors = sparse_modes(self._topology, entries.detach(), count)
            density = None if self.ends == "closed" else open_density(nodes, self.protocol, mean)
            return propagated(frozen_model(self._topology, entries, decay, vectors, density), self._sequences)

    @cached_property
    def _target(self) -> torch.device:
        return choose_device(self.device)

    @cached_property
    def _topology(self) -> Topology:
        return Topology.of(self.mesh.tetrahedra, algebra_device(self._target))

    @cached_property
    def _sequences(self) -> Sequences:
        return Sequences.of(self.protocol, self._target, self.dtype)

    def _nodes(self, points: Tensor | None) -> Tensor:
        """Nodes in float64 where the algebra runs, unfolded."""
        given = torch.tensor(self.mesh.points) if points is None else points
        if given.shape != self.mesh.points.shape:
            raise MeshError(f"points have shape {tuple(given.shape)}; the mesh needs {self.mesh.points.shape}, in µm")
        nodes = given.to(algebra_device(self._target), torch.float64)
        volumes = signed_volumes(nodes.detach().cpu().numpy(), self.mesh.tetrahedra)
        if folded := int((~(volumes > 0)).sum()):
            raise MeshError(
                f"{folded} of {len(volumes)} tetrahedra are inside out at these points (the first is number "
                f"{int((~(volumes > 0)).argmax())}): take a smaller step"
            )
        return nodes


def open_density(points: Tensor, protocol: "Protocol", diffusivity: float) -> Tensor:
    """Starting density of open ends at the nodes, (n,), as `central_density` has it, differentiable in the nodes."""
    reach = math.sqrt(2 * diffusivity * (protocol.Delta + protocol.delta)[~protocol.is_b0].max(initial=0))
    central_density(points.detach().cpu().numpy(), reach)  # warns and refuses
    centred = points - points.mean(dim=0)
    spread = centred.T @ centred
    values, vectors = torch.linalg.eigh(spread.detach())
    # the longest axis is far from the other two, which may be alike: it alone moves, to first order
    across, longest = vectors[:, :2], vectors[:, 2]
    axis = longest + across @ (across.T @ spread @ longest / (values[2] - values[:2]))
    along = centred @ axis
    low, high = along.amin(), along.amax()
    relative = (along - (low + high) / 2) / (high - low)
    return torch.where(relative.abs() < WINDOW / 2, torch.cos(math.pi * relative / WINDOW) ** 2, 0.0)


def _checked_diffusivity(diffusivity: Tensor | float) -> Tensor:
    given = torch.as_tensor(diffusivity)
    if given.shape not in ((), (3, 3)):
        raise InputError(
            f"diffusivity has shape {tuple(given.shape)}; give one number or a symmetric (3, 3), in µm²/ms"
        )
    values = given.detach().double().cpu()
    lowest = float(values if values.ndim == 0 else torch.linalg.eigvalsh((values + values.T) / 2)[0])
    if not (math.isfinite(float(values.sum())) and lowest > 0):
        raise InputError(f"diffusivity {values.tolist()} µm²/ms: it must be positive (free water at 37 °C has 3.0)")
    return given
