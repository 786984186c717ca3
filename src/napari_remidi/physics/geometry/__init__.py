"""Where meshes come from: files, label images, surfaces and traced neurons."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_remidi.physics.geometry.mesh_files import open_mesh as open_mesh
    from napari_remidi.physics.geometry.mesh_files import save_mesh as save_mesh

_FILE_OF = {"open_mesh": "mesh_files", "save_mesh": "mesh_files"}
__all__ = list(_FILE_OF)


def __getattr__(name: str) -> Any:
    if name not in _FILE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_FILE_OF[name]}"), name)
