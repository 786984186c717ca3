"""The simulation as a torch function: gradients of any loss in nodes, diffusivity, T2, permeability and relaxivity.

    nodes, D, T2, κ --Piece.entries--> M, K + Q + R, J --frozen_model--> small matrices --propagated--> S

The two long arrows have a backward of their own, and none goes through an eigenvector, so that round sections, balls
and cubes give gradients as clean as any other shape's. A gradient costs about as much as the signal, whatever the
number of nodes.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from napari_remidi.errors import InputError, MeshError
from napari_remidi.physics.accuracy import modes_needed
from napari_remidi.physics.devices import algebra_device, choose_device, memory_guard
from napari_remidi.physics.encoding.echo import echo_times, encoding_times
from napari_remidi.physics.encoding.propagation import Propagation, propagated
from napari_remidi.physics.encoding.window import WINDOW, Ends, central_density
from napari_remidi.physics.matrices.pieces import Piece, pieces
from napari_remidi.physics.mesh import TetMesh, signed_volumes
from napari_remidi.physics.reduction.frozen import frozen_model
from napari_remidi.physics.reduction.modes import sparse_modes
from napari_remidi.physics.substrate import Pair, Substrate
from napari_remidi.physics.tissue_tensors import ByName, TissueTensors, Value

if TYPE_CHECKING:
    from napari_remidi.scan import Protocol


def differentiable_signal(
    sample: TetMesh | Substrate,
    protocol: "Protocol",
    points: Tensor | None = None,
    *,
    diffusivity: ByName = None,
    t2: ByName = None,
    permeability: Mapping[Pair, Value] | None = None,
    relaxivity: ByName = None,
    modes: int | None = None,
    ends: Ends = "closed",
    device: str = "auto",
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """Signal of a cell or a substrate, as a function that torch can differentiate.

    For many calls with one sample and protocol (an optimiser's), make a `DifferentiableSimulator` once.

    Parameters
    ----------
    sample : Substrate, or a TetMesh for one cell with impermeable walls and a diffusivity of 2 µm²/ms. What is not
        given below is the sample's own
    protocol : Protocol with timing, and with echo times where anything relaxes
    points : (n, 3) µm, the mesh's nodes, moved anywhere that turns no tetrahedron inside out
    diffusivity : µm²/ms, a number or symmetric tensor (3, 3) for all compartments, or {name: value}
    t2 : ms, one for all compartments, or {name: value}
    permeability : µm/ms, {(name, name): value}, of walls that the substrate has permeable
    relaxivity : µm/ms, one for all compartments, or {name: value}, where the substrate's is above zero
    modes : number of modes of each connected piece; by default as many as the protocol needs
    ends : "closed", spins start everywhere; "open", they start in the central fifth of the mesh along its longest axis,
        which moves with the nodes
    device : "auto", "cuda", "mps" or "cpu"
    dtype : precision of the propagation; modes and matrices are in float64

    Returns
    -------
    (M,) share of the excited magnetisation that is left at the echo (S/S0 where nothing relaxes), in `dtype`. Its
    backward works once: second derivatives are refused

    Raises
    ------
    InputError
        For parameters, names, `ends` or a device that make no sense.
    MeshError
        Where the points do not fit the mesh or turn tetrahedra inside out.
    TimingError
        Where the protocol has no timing, or no echo times that relaxation needs.
    OutOfMemory
        Where the device has too little memory.
    """
    simulator = DifferentiableSimulator(sample, protocol, modes=modes, ends=ends, device=device, dtype=dtype)
    return simulator(points, diffusivity=diffusivity, t2=t2, permeability=permeability, relaxivity=relaxivity)


@dataclass(frozen=True, eq=False)
class DifferentiableSimulator:
    """One sample and one protocol, prepared for many differentiable simulations.

    Its parameters, and those of a call, are those of `differentiable_signal`.

    Examples
    --------
    >>> from napari_remidi.scan import Protocol
    >>> corners = torch.tensor([[0.0, 0, 0], [4, 0, 0], [0, 4, 0], [0, 0, 4]], dtype=torch.float64, requires_grad=True)
    >>> mesh = TetMesh(corners.detach(), [[0, 1, 2, 3]])
    >>> protocol = Protocol.pgse([1000.0, 3000.0], [[0, 0, 1], [1, 0, 0]], delta=5.0, Delta=25.0)
    >>> simulator = DifferentiableSimulator(mesh, protocol, device="cpu", dtype=torch.float64)
    >>> diffusivity = torch.tensor(2.0, requires_grad=True)
    >>> loss = simulator(corners, diffusivity=diffusivity).sum()
    >>> loss.backward()
    >>> corners.grad.shape, bool(diffusivity.grad > 0)  # fast spins average the gradient out
    (torch.Size([4, 3]), True)
    """

    sample: TetMesh | Substrate
    protocol: "Protocol"
    modes: int | None = None
    ends: Ends = "closed"
    device: str = "auto"
    dtype: torch.dtype = torch.float32

    def __post_init__(self) -> None:
        self.protocol.require_timing()
        if self.ends not in ("closed", "open"):
            raise InputError(f"ends {self.ends!r} is unknown; choose 'closed' or 'open'")

    def __call__(
        self,
        points: Tensor | None = None,
        *,
        diffusivity: ByName = None,
        t2: ByName = None,
        permeability: Mapping[Pair, Value] | None = None,
        relaxivity: ByName = None,
    ) -> Tensor:
        """Signal of every measurement, (M,)."""
        target, algebra = self._target, algebra_device(self._target)
        nodes = self._nodes(points, algebra)
        tissue = TissueTensors.of(self.substrate, algebra, diffusivity, t2, permeability, relaxivity)
        relaxes = tissue.substrate.relaxes
        propagation = Propagation.of(self.protocol, target, self.dtype, relaxes)
        density = open_density(nodes, self.protocol, tissue) if self.ends == "open" else None
        with memory_guard(target, f"differentiating {len(nodes)} nodes and {len(self.protocol)} measurements"):
            total, amount = propagation.like.new_zeros(self.protocol.bvals.shape), propagation.like.new_zeros(())
            for piece in self._pieces:
                part, signal = self._piece_signal(piece, nodes, tissue, propagation, density)
                if relaxes:
                    echo = torch.as_tensor(echo_times(self.protocol) * piece.baseline).to(signal)
                    signal = signal * torch.exp(-echo)
                total, amount = total + part.to(signal) * signal, amount + part.to(signal)
        return total / amount

    @cached_property
    def substrate(self) -> Substrate:
        """The sample; a mesh alone is one cell."""
        if isinstance(self.sample, Substrate):
            return self.sample
        return Substrate(TetMesh(self.sample.points, self.sample.tetrahedra))

    def _piece_signal(
        self, piece: Piece, nodes: Tensor, tissue: TissueTensors, propagation: Propagation, density: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """∫ρ of a piece, (), and its signal without the baseline, (M,)."""
        entries = piece.entries(
            nodes[piece.node], tissue.diffusivity, tissue.t2, tissue.permeability, tissue.relaxivity
        )
        count = self.modes or modes_needed(replace(piece, substrate=tissue.substrate), self.protocol)
        decay, vectors = sparse_modes(piece.topology, entries.detach(), count)
        model = frozen_model(piece.topology, entries, decay, vectors, None if density is None else density[piece.node])
        return model.amount, propagated(model, propagation)

    @cached_property
    def _target(self) -> torch.device:
        return choose_device(self.device)

    @cached_property
    def _pieces(self) -> tuple[Piece, ...]:
        return pieces(self.substrate, algebra_device(self._target))

    def _nodes(self, points: Tensor | None, device: torch.device) -> Tensor:
        """The mesh's nodes in float64, refused where they fold it."""
        mesh = self.substrate.mesh
        given = torch.tensor(mesh.points) if points is None else points
        if given.shape != mesh.points.shape:
            raise MeshError(f"points have shape {tuple(given.shape)}; the mesh needs {mesh.points.shape}, in µm")
        nodes = given.to(device, torch.float64)
        folded = ~(signed_volumes(nodes.detach().cpu().numpy(), mesh.tetrahedra) > 0)
        if folded.any():
            raise MeshError(
                f"{int(folded.sum())} of {len(folded)} tetrahedra are inside out at these points (the first is number "
                f"{int(folded.argmax())}): take a smaller step"
            )
        return nodes


def open_density(nodes: Tensor, protocol: "Protocol", tissue: TissueTensors) -> Tensor:
    """Starting density of open ends at the nodes, (n,), as `central_density` has it, differentiable in the nodes."""
    fastest = float(tissue.diffusivity.detach().max())
    reach = math.sqrt(2 * fastest * encoding_times(protocol)[~protocol.is_b0].max(initial=0))
    central_density(nodes.detach().cpu().numpy(), reach)  # warns and refuses
    centred = nodes - nodes.mean(dim=0)
    spread = centred.T @ centred
    values, vectors = torch.linalg.eigh(spread.detach())
    # the longest axis is far from the other two, which may be alike: it alone moves, to first order
    across, longest = vectors[:, :2], vectors[:, 2]
    axis = longest + across @ (across.T @ spread @ longest / (values[2] - values[:2]))
    along = centred @ axis
    low, high = along.amin(), along.amax()
    relative = (along - (low + high) / 2) / (high - low)
    return torch.where(relative.abs() < WINDOW / 2, torch.cos(math.pi * relative / WINDOW) ** 2, 0.0)
