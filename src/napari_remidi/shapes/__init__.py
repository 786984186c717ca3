"""From a latent to a mesh.

`families` draw axons as fields along a tube, `spectral` writes the fields in the tube's Laplacian eigenfunctions
and turns them into vertices, `autoencoder` compresses them to a latent that `gaussian` makes N(0, I), `pod` finds a
basis for their diffusion modes, `training` makes a `Prior` of all that by a `recipe`, `quality` says what it is worth,
and `phantom` makes a small scan of known axons.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_remidi.shapes.phantom import make_phantom as make_phantom
    from napari_remidi.shapes.prior import Prior as Prior
    from napari_remidi.shapes.training import train as train

__all__ = ["Prior", "make_phantom", "train"]

_FILE_OF = {"Prior": "prior", "make_phantom": "phantom", "train": "training"}


def __getattr__(name: str) -> Any:
    if name not in _FILE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"napari_remidi.shapes.{_FILE_OF[name]}"), name)
