"""From a signal to a mesh.

`Settings` -> `Template` (a prior on one device) -> a problem (`cell`: one axon; `tissue`: a voxel of them) ->
`starts` from the prior's examples -> `levenberg_marquardt` to the maximum a posteriori -> `posterior` ->
`Solution`. `invert` and `Inverter` run the whole way and yield every `Iterate`.

`protocol_report` (`design`) says before a scan what a protocol can see.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from napari_remidi.inversion.settings import Settings
from napari_remidi.inversion.solution import Iterate, Solution

if TYPE_CHECKING:
    from napari_remidi.inversion.design import ProtocolReport as ProtocolReport
    from napari_remidi.inversion.design import protocol_report as protocol_report
    from napari_remidi.inversion.design import report_steps as report_steps
    from napari_remidi.inversion.inverter import Inverter as Inverter
    from napari_remidi.inversion.inverter import invert as invert

__all__ = [
    "Inverter",
    "Iterate",
    "ProtocolReport",
    "Settings",
    "Solution",
    "invert",
    "protocol_report",
    "report_steps",
]

_FILE_OF = {
    "Inverter": "inverter",
    "ProtocolReport": "design",
    "invert": "inverter",
    "protocol_report": "design",
    "report_steps": "design",
}


def __getattr__(name: str) -> Any:
    if name not in _FILE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"napari_remidi.inversion.{_FILE_OF[name]}"), name)
