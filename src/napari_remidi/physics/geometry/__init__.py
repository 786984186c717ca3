"""Where meshes come from: recipes, surfaces, label images, files and traced neurons, each as a `TetMesh` in µm with
named compartments.

>>> from napari_remidi.physics import geometry
>>> axon = geometry.myelinated_cylinder(1.0, 1.4, 6.0)
>>> geometry.tight_wrap(axon, thickness=0.3).names
('axon', 'myelin', 'extra')
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_remidi.physics.geometry.balls import sphere as sphere
    from napari_remidi.physics.geometry.balls import spheres as spheres
    from napari_remidi.physics.geometry.boxes import box as box
    from napari_remidi.physics.geometry.cylinders import cylinder as cylinder
    from napari_remidi.physics.geometry.cylinders import myelinated_cylinder as myelinated_cylinder
    from napari_remidi.physics.geometry.label_images import from_labels as from_labels
    from napari_remidi.physics.geometry.mesh_files import open_mesh as open_mesh
    from napari_remidi.physics.geometry.mesh_files import save_mesh as save_mesh
    from napari_remidi.physics.geometry.neurons import open_neuron as open_neuron
    from napari_remidi.physics.geometry.packed import packed_cylinders as packed_cylinders
    from napari_remidi.physics.geometry.surfaces import from_surfaces as from_surfaces
    from napari_remidi.physics.geometry.together import separate as separate
    from napari_remidi.physics.geometry.wrap import tight_wrap as tight_wrap

_FILE_OF = {
    "box": "boxes",
    "cylinder": "cylinders",
    "from_labels": "label_images",
    "from_surfaces": "surfaces",
    "myelinated_cylinder": "cylinders",
    "open_mesh": "mesh_files",
    "open_neuron": "neurons",
    "packed_cylinders": "packed",
    "save_mesh": "mesh_files",
    "separate": "together",
    "sphere": "balls",
    "spheres": "balls",
    "tight_wrap": "wrap",
}

__all__ = [  # noqa: RUF022 - recipes from the simplest to the most composed, then what is read
    "sphere",
    "spheres",
    "cylinder",
    "myelinated_cylinder",
    "box",
    "packed_cylinders",
    "separate",
    "tight_wrap",
    "from_surfaces",
    "from_labels",
    "open_mesh",
    "save_mesh",
    "open_neuron",
]


def __getattr__(name: str) -> Any:
    if name not in _FILE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_FILE_OF[name]}"), name)
