"""From a mesh to a signal.

`TetMesh` (checked tetrahedra, from `geometry`) -> `matrices` (finite elements) -> `reduction` (small dense matrices in
the low diffusion modes) -> `encoding` (what gradients do to them: signal and Jacobian of every measurement). A
`Substrate` is a mesh whose compartments differ in diffusivity, T2 and spin density, with walls that spins may pass.

`simulate` runs the whole way, `Simulator` also says how exact it is (`accuracy`); `differentiable_signal` is the same
as a torch function (`autograd`), `substrate_jacobian` its derivative in few parameters. `apparent` reads diffusivity
and kurtosis off a signal, `limits` says what they must come to, `fields` shows modes and magnetisation on the mesh.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from napari_remidi.physics.mesh import TetMesh
from napari_remidi.physics.substrate import Compartment, Substrate

if TYPE_CHECKING:
    from napari_remidi.physics.apparent import apparent_diffusion as apparent_diffusion
    from napari_remidi.physics.apparent import tensor_diffusion as tensor_diffusion
    from napari_remidi.physics.autograd import DifferentiableSimulator as DifferentiableSimulator
    from napari_remidi.physics.autograd import differentiable_signal as differentiable_signal
    from napari_remidi.physics.devices import choose_device as choose_device
    from napari_remidi.physics.fields import eigenfunctions as eigenfunctions
    from napari_remidi.physics.fields import magnetisation as magnetisation
    from napari_remidi.physics.simulation import Simulation as Simulation
    from napari_remidi.physics.simulation import Simulator as Simulator
    from napari_remidi.physics.simulation import simulate as simulate
    from napari_remidi.physics.substrate_derivatives import substrate_jacobian as substrate_jacobian

_FILE_OF = {
    "DifferentiableSimulator": "autograd",
    "Simulation": "simulation",
    "Simulator": "simulation",
    "apparent_diffusion": "apparent",
    "choose_device": "devices",
    "differentiable_signal": "autograd",
    "eigenfunctions": "fields",
    "magnetisation": "fields",
    "simulate": "simulation",
    "substrate_jacobian": "substrate_derivatives",
    "tensor_diffusion": "apparent",
}

__all__ = [
    "Compartment",
    "DifferentiableSimulator",
    "Simulation",
    "Simulator",
    "Substrate",
    "TetMesh",
    "apparent_diffusion",
    "choose_device",
    "differentiable_signal",
    "eigenfunctions",
    "magnetisation",
    "simulate",
    "substrate_jacobian",
    "tensor_diffusion",
]


def __getattr__(name: str) -> Any:
    if name not in _FILE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_FILE_OF[name]}"), name)
