"""Recipes for meshes: each function returns a `TetMesh` with labelled, named compartments, lengths in µm.

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
    from napari_remidi.physics.geometry.packed import packed_cylinders as packed_cylinders
    from napari_remidi.physics.geometry.together import separate as separate
    from napari_remidi.physics.geometry.wrap import tight_wrap as tight_wrap

_FILE_OF = {
    "box": "boxes",
    "cylinder": "cylinders",
    "myelinated_cylinder": "cylinders",
    "packed_cylinders": "packed",
    "separate": "together",
    "sphere": "balls",
    "spheres": "balls",
    "tight_wrap": "wrap",
}

__all__ = [  # noqa: RUF022 - from the simplest to the most composed
    "sphere",
    "spheres",
    "cylinder",
    "myelinated_cylinder",
    "box",
    "packed_cylinders",
    "separate",
    "tight_wrap",
]


def __getattr__(name: str) -> Any:
    if name not in _FILE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_FILE_OF[name]}"), name)
