"""From a signal to a mesh.

`Settings` -> `Template` (a prior on one device) -> a problem (`cell`: one axon; `tissue`: a voxel of them) ->
`starts` from the prior's examples -> `levenberg_marquardt` to the maximum a posteriori -> `posterior` ->
`Solution`. `invert` and `Inverter` run the whole way and yield every `Iterate`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from napari_remidi.inversion.settings import Settings
from napari_remidi.inversion.solution import Iterate, Solution

if TYPE_CHECKING:
    from napari_remidi.inversion.inverter import Inverter as Inverter
    from napari_remidi.inversion.inverter import invert as invert

__all__ = ["Inverter", "Iterate", "Settings", "Solution", "invert"]


def __getattr__(name: str) -> Any:
    if name not in ("Inverter", "invert"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module("napari_remidi.inversion.inverter"), name)
