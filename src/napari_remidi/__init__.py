"""See axons in diffusion MRI: from a voxel's signal to a 3D mesh with error bars.

The public names are loaded on first use, so that ``import napari_remidi`` needs neither torch nor napari.
"""

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

try:
    __version__ = version("napari-remidi")
except PackageNotFoundError:
    __version__ = "0.0.0"

if TYPE_CHECKING:
    from napari_remidi.errors import RemidiError as RemidiError
    from napari_remidi.inversion import protocol_report as protocol_report
    from napari_remidi.physics import Compartment as Compartment
    from napari_remidi.physics import Simulator as Simulator
    from napari_remidi.physics import Substrate as Substrate
    from napari_remidi.physics import TetMesh as TetMesh
    from napari_remidi.physics import differentiable_signal as differentiable_signal
    from napari_remidi.physics import simulate as simulate
    from napari_remidi.results import Axon as Axon
    from napari_remidi.results import chamfer as chamfer
    from napari_remidi.results import reconstruct as reconstruct
    from napari_remidi.scan import Protocol as Protocol
    from napari_remidi.scan import Scan as Scan
    from napari_remidi.scan import Waveform as Waveform
    from napari_remidi.shapes import Prior as Prior

_ROOM_OF = {
    "Protocol": "scan",
    "Scan": "scan",
    "Waveform": "scan",
    "TetMesh": "physics",
    "Compartment": "physics",
    "Substrate": "physics",
    "simulate": "physics",
    "Simulator": "physics",
    "differentiable_signal": "physics",
    "Prior": "shapes",
    "Axon": "results",
    "reconstruct": "results",
    "chamfer": "results",
    "protocol_report": "inversion",
    "RemidiError": "errors",
}

__all__ = ["__version__", *_ROOM_OF]


def __getattr__(name: str) -> Any:
    if name not in _ROOM_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_ROOM_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
