"""Latent: where in a prior the explorer is, and which shape is there; without Qt, and without PyTorch until a prior
is loaded.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from psygnal import Signal

from napari_remidi.ui.shape import Shape

if TYPE_CHECKING:
    from napari_remidi.shapes import Prior

Floats = NDArray[np.float64]
LARGEST = 1e3
"""µm from the centre; what decodes to more is no axon, and can be too large for floating-point graphics."""


@dataclass(frozen=True, eq=False)
class Decoded:
    """The shape of a latent.

    Parameters
    ----------
    shape : the surface, µm; None where nothing that can be drawn is decoded
    folds : whether the mesh has an inverted or sliver tetrahedron
    length : of the line through the sections' centres, µm
    radii : of the sections, (layers,) µm
    """

    shape: Shape | None
    folds: bool
    length: float
    radii: Floats

    @property
    def trouble(self) -> str:
        """What is wrong with it, to follow a caption; empty for a sound mesh."""
        if self.shape is None:
            return ": too far from the prior's shapes to be drawn; the surface is the last one that was."
        return ": the mesh folds, so no signal can be simulated in it." if self.folds else ""


class Latent:
    """A point of a prior's latent space; every move is announced."""

    moved = Signal()

    def __init__(self, prior: "Prior") -> None:
        self.prior = prior
        self.z: Floats = np.zeros(prior.latent_dim)
        self.caption = ""
        self._draws = self._members = 0
        self.reset()

    def move(self, z: Floats, caption: str) -> None:
        """Go to a latent, (d,); the caption says what it is."""
        self.z, self.caption = np.array(z, dtype=np.float64), caption
        self.moved.emit()

    def reset(self) -> None:
        """Go to the mean shape."""
        self.move(np.zeros(self.prior.latent_dim), "Mean shape")

    def sample(self) -> None:
        """Go to the next random draw; its seed is in the caption."""
        seed, self._draws = self._draws, self._draws + 1
        self.move(self.prior.sample(1, seed)[0], f"Random draw, seed {seed}")

    def next_member(self) -> tuple[Floats, str]:
        """The next member of the family, (d,), and its caption; the latent stays where it is."""
        members = self.prior.exemplars
        number = self._members % len(members)
        self._members = number + 1
        return members[number], f"Family member {number + 1} of {len(members)}"

    def decode(self) -> Decoded:
        """The shape at the latent."""
        from napari_remidi.shapes.calibre import axis_length, section_radii
        from napari_remidi.shapes.quality import is_folded

        prior = self.prior
        points = prior.nodes(self.z)
        # far from N(0, I) a decoder can give anything; what is not a number is not drawn
        if not np.abs(points).max() < LARGEST:
            return Decoded(None, True, np.nan, np.array([np.nan]))
        folds = is_folded(points, prior.tetrahedra)
        tube = prior.tube
        length, radii = float(axis_length(points, tube)), section_radii(points, tube)
        return Decoded(Shape(points, prior.boundary), folds, length, radii)


def figures(latent: Latent, decoded: Decoded) -> list[tuple[str, str]]:
    """What the window says of a shape and its prior: (name, value)."""
    prior, radii = latent.prior, decoded.radii
    drawn = decoded.shape is not None
    lines = [
        ("Length", f"{decoded.length:.1f} µm" if drawn else "–"),
        ("Radius", f"{radii.mean():.2f} µm ({radii.min():.2f} to {radii.max():.2f})" if drawn else "–"),
    ]
    lines.append(("|z|", f"{np.linalg.norm(latent.z):.1f} (typical: √{len(latent.z)} = {len(latent.z) ** 0.5:.1f})"))
    made = [prior.name]
    if "seed" in prior.provenance:
        made.append(f"seed {prior.provenance['seed']}")
    lines.append(("Prior", ", ".join(made)))
    error = prior.provenance.get("metrics", {}).get("vertex_error_um")
    if error is not None:
        lines.append(("Held-out error", f"{error:.3f} µm"))
    return lines
