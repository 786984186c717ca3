"""Where meshes come from: files, label images, surfaces and traced neurons."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_remidi.physics.geometry.label_images import from_labels as from_labels
    from napari_remidi.physics.geometry.mesh_files import open_mesh as open_mesh
    from napari_remidi.physics.geometry.mesh_files import save_mesh as save_mesh
    from napari_remidi.physics.geometry.neurons import open_neuron as open_neuron
    from napari_remidi.physics.geometry.surfaces import from_surfaces as from_surfaces

__all__ = ["from_labels", "from_surfaces", "open_mesh", "open_neuron", "save_mesh"]

_FILE_OF = {
    "from_labels": "label_images",
    "from_surfaces": "surfaces",
    "open_mesh": "mesh_files",
    "open_neuron": "neurons",
    "save_mesh": "mesh_files",
}


def __getattr__(name: str) -> Any:
    if name not in _FILE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_FILE_OF[name]}"), name)
