"""What was found.

`reconstruct` (or `reconstruct_steps`, which yields on the way) -> `Axon` -> `chamfer` against a truth, `picture`
for people, `surfaces` for other programs.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_remidi.results.axon import Axon as Axon
    from napari_remidi.results.metrics import chamfer as chamfer
    from napari_remidi.results.picture import draw_report as draw_report
    from napari_remidi.results.reconstruction import best_so_far as best_so_far
    from napari_remidi.results.reconstruction import inverter_for as inverter_for
    from napari_remidi.results.reconstruction import reconstruct as reconstruct
    from napari_remidi.results.reconstruction import reconstruct_steps as reconstruct_steps

_FILE_OF = {
    "Axon": "axon",
    "best_so_far": "reconstruction",
    "chamfer": "metrics",
    "draw_report": "picture",
    "inverter_for": "reconstruction",
    "reconstruct": "reconstruction",
    "reconstruct_steps": "reconstruction",
}

__all__ = ["Axon", "best_so_far", "chamfer", "draw_report", "inverter_for", "reconstruct", "reconstruct_steps"]


def __getattr__(name: str) -> Any:
    if name not in _FILE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"napari_remidi.results.{_FILE_OF[name]}"), name)
    globals()[name] = value
    return value
