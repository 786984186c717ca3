"""What a reconstruction may be told: one set of names and defaults for library, window and command line."""

from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

from napari_remidi.errors import InputError

Model = Literal["axon", "voxel"]


@dataclass(frozen=True)
class Settings:
    """Choices of one reconstruction.

    Attributes
    ----------
    prior : name of a shipped shape prior, or the path of one
    model : "axon", the signal is one cell's; "voxel", it is a tissue's: axons dispersed about one direction, the
        space around them (axially symmetric tensor) and free water
    diffusivity : µm²/ms, inside the axon; the fixed value, or where the fit starts
    fit_diffusivity : whether it is fitted; None: fitted for model "voxel" only
    free_diffusivity : µm²/ms, of the free water compartment
    starts : how many starting shapes are refined before the best goes on
    iterations : the most Levenberg-Marquardt steps of the final refinement
    modes : Laplacian modes of the reduced model; None: 60 with closed ends, 100 with open ones
    noise_sd : of the signal S/S0; None: estimated from the residual
    preview : whether the preview trained for a request gives the first starts; None: where there is one. Of a run that
        is over: whether it did
    device : "auto", "cuda", "mps" or "cpu"
    """

    prior: str = "axon"
    model: Model = "axon"
    diffusivity: float = 2.0
    fit_diffusivity: bool | None = None
    free_diffusivity: float = 3.0
    starts: int = 4
    iterations: int = 30
    modes: int | None = None
    noise_sd: float | None = None
    preview: bool | None = None
    device: str = "auto"

    def __post_init__(self) -> None:
        if self.model not in ("axon", "voxel"):
            raise InputError(f"model {self.model!r} is unknown; choose 'axon' (one cell) or 'voxel' (tissue)")
        for name in ("diffusivity", "free_diffusivity"):
            value = getattr(self, name)
            if not 0.01 <= value <= 10:
                raise InputError(f"{name} {value} is outside 0.01 to 10 µm²/ms; free water at 37 °C has 3.0")
        for name in ("starts", "iterations"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} is {getattr(self, name)}; it must be 1 or more")
        if self.modes is not None and self.modes < 10:
            raise InputError(f"modes is {self.modes}; it must be 10 or more")
        if self.noise_sd is not None and not 0 < self.noise_sd < 1:
            raise InputError(
                f"noise_sd {self.noise_sd} is outside 0 to 1; give the noise of S/S0, for example 0.02 at SNR 50"
            )

    @property
    def fits_diffusivity(self) -> bool:
        """Whether the intra-axonal diffusivity is a parameter of the fit."""
        return self.model == "voxel" if self.fit_diffusivity is None else self.fit_diffusivity

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for a report."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Settings":
        """Settings from a report's values; InputError for a name it does not know."""
        names = {field.name for field in fields(cls)}
        if unknown := sorted(set(values) - names):
            raise InputError(f"unknown setting {', '.join(unknown)}; known are {', '.join(sorted(names))}")
        return cls(**values)
