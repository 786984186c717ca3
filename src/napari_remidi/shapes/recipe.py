"""What makes a prior: its family, template, basis, network and training, with the two that are shipped."""

import tomllib
from dataclasses import asdict, dataclass, fields, replace
from difflib import get_close_matches
from os import PathLike
from pathlib import Path
from typing import Any

from napari_remidi.errors import PriorError
from napari_remidi.shapes.spectral import SpectralBasis
from napari_remidi.shapes.tube import Tube

FAMILIES = ("closed", "open", "surfaces")


@dataclass(frozen=True)
class Recipe:
    """Everything a training depends on; see `training` for when the same recipe makes the same prior.

    Attributes
    ----------
    name : of the prior
    family : "closed" or "open", see `families`, or "surfaces", one's own
    surfaces : folder of PLY, STL or OBJ files, µm, for the family "surfaces"
    seed : of every random draw
    rings, layers, sectors : the template, see `Tube`
    bend, calibre, ellipse, slant, length : the basis, see `SpectralBasis`; length 0 makes it a coefficient
    latent : dimensions d
    width : of the network's hidden layers; 0 leaves a linear basis
    axons, held_out : drawn for training and for its metrics
    steps, batch, rate : of AdamW
    noise : added to the latent while training, standard deviations
    normal : weight of the latent's distance from N(0, I)
    patience : stop after so many checks (every 500 steps) without a better validation error
    exemplars : family members kept as starting points
    modes, pod_shapes, pod_size : diffusion modes wanted, shapes they are taken from, columns of their basis
    """

    name: str
    family: str = "closed"
    surfaces: str = ""
    seed: int = 0
    rings: int = 3
    layers: int = 61
    sectors: int = 0
    bend: int = 14
    calibre: int = 57
    ellipse: int = 6
    slant: int = 14
    length: float = 0.0
    latent: int = 24
    width: int = 256
    axons: int = 50_000
    held_out: int = 4_000
    steps: int = 24_000
    batch: int = 1024
    rate: float = 2e-3
    noise: float = 0.03
    normal: float = 0.3
    patience: int = 8
    exemplars: int = 512
    modes: int = 72
    pod_shapes: int = 120
    pod_size: int = 100

    def __post_init__(self) -> None:
        if self.family not in FAMILIES:
            raise PriorError(
                f"recipe {self.name!r}: family {self.family!r} is unknown; choose from {', '.join(FAMILIES)}"
            )
        if (self.family == "surfaces") != bool(self.surfaces):
            raise PriorError(
                f'recipe {self.name!r}: give the folder as surfaces = "..." with family = "surfaces", and only then'
            )
        for item in fields(self):
            value = getattr(self, item.name)
            if item.type in (int, float) and (
                isinstance(value, bool) or not isinstance(value, int | float) or value < 0
            ):
                raise PriorError(f"recipe {self.name!r}: {item.name} is {value!r}; give a number that is not negative")
        if self.latent < 1 or self.batch < 2 or self.layers < 3 or self.rings < 1:
            raise PriorError(f"recipe {self.name!r}: latent, batch, layers and rings must be at least 1, 2, 3 and 1")

    @classmethod
    def read(cls, path: str | PathLike[str]) -> "Recipe":
        """From a TOML file of the attributes; PriorError names what is wrong in it."""
        path = Path(path)
        try:
            values = tomllib.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise PriorError(f"{path}: cannot be read ({error.strerror}); give the path of a TOML file") from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise PriorError(f"{path}: not TOML ({error}); write lines such as latent = 24") from None
        known = [item.name for item in fields(cls)]
        for key in values:
            if key not in known:
                near = get_close_matches(key, known, 1)
                hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(known)}"
                raise PriorError(f"{path}: {key} is no setting of a prior; {hint}")
        if values.get("surfaces"):
            values["surfaces"] = str(path.parent / values["surfaces"])
        return cls(**{"name": path.stem, **values})

    @classmethod
    def named(cls, name: str, seed: int = 0) -> "Recipe":
        """A shipped prior's; PriorError for another name."""
        if name not in RECIPES:
            raise PriorError(f"there is no recipe for prior {name!r}: choose {' or '.join(map(repr, RECIPES))}")
        return replace(RECIPES[name], seed=seed)

    @property
    def ends(self) -> str:
        """ "closed" or "open"."""
        return "open" if self.family == "open" else "closed"

    @property
    def tube(self) -> Tube:
        """The template."""
        return Tube(self.rings, self.layers, self.sectors)

    @property
    def basis(self) -> SpectralBasis:
        """The spectral representation."""
        return SpectralBasis(self.bend, self.calibre, self.ellipse, self.slant, self.length or None)

    def settings(self) -> dict[str, Any]:
        """Its attributes, for the prior's provenance."""
        return asdict(self)


RECIPES = {
    "axon": Recipe("axon"),
    "axon-open": Recipe(
        "axon-open", "open", rings=2, layers=81, bend=24, calibre=41, ellipse=1, slant=1, length=100.0, latent=48,
        steps=20_000, modes=110, pod_shapes=100, pod_size=200,
    ),
}  # fmt: skip
