"""From a latent to a reduced model on the prior's template: every step a small dense product, no sparse solver.

These run on the CPU, also where signals are propagated on a graphics processor, which takes longer to begin each of a
thousand small products than to do it.
"""

from dataclasses import dataclass, replace
from functools import cache, cached_property, lru_cache
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import chi2
from torch import Tensor

from napari_remidi.physics.encoding.care import CLOSE, FINE, ROUGH, Care
from napari_remidi.physics.encoding.window import window
from napari_remidi.physics.lazy import lazy
from napari_remidi.physics.matrices.assembly import Topology
from napari_remidi.physics.matrices.layered import Layers
from napari_remidi.physics.mesh import signed_volumes
from napari_remidi.physics.reduction.modes import modes_near_basis
from napari_remidi.physics.reduction.reduced import ReducedModel, ReducedTangents, reduced_model, reduced_tangents
from napari_remidi.shapes.quality import is_folded

if TYPE_CHECKING:
    from napari_remidi.shapes import Prior

Floats = NDArray[np.float64]
MODES = {"closed": 60, "open": 100}
FEWER_MODES = {"closed": 40, "open": 100}  # within 5e-5 of S0 of 60, in half the time
SLOPE_MODES = {"closed": 32, "open": 100}  # of derivatives: 32 are within 0.5 % of 60, in a third of the time
WORKING_BASIS = 60  # columns
COARSE = 24, 40  # modes, columns of the basis: more change nothing on so coarse a mesh
RICHARDSON = 4 / 3  # the error of linear elements falls with the square of the spacing
COARSER_GAIN = 1.7  # measured, 1.66 to 1.79: rings and layers are coarsened by different amounts
KEPT = 4  # templates, for more than one protocol
BEYOND = 1e-6  # share of N(0, I) that lies farther out than any latent may: the decoder knows no shape there


@cache
def farthest(size: int) -> float:
    """The greatest square of a latent's length."""
    return float(chi2.isf(BEYOND, size))


@dataclass(frozen=True, eq=False)
class Template:
    """A prior's decoder and mesh, made ready.

    Attributes
    ----------
    prior : Prior
    topology : Topology of its tetrahedra
    layers : Layers of it, its sections
    basis : (n, R) float64, nearly holds the low modes of every shape of the family
    density : (n,) where spins start, or None with closed ends
    modes : number of modes
    beyond : of the same shapes on the prior's own mesh, where this one is coarser
    quiet : the same where there is next to no noise, in more modes
    care : what propagates its signals
    gain : times the difference of a finer mesh's signal that a mesh leaves out
    slopes : of the same shapes on a coarser mesh, that derivatives are taken on, where not on this one
    """

    prior: "Prior"
    topology: Topology
    layers: Layers
    basis: Tensor
    density: Tensor | None
    modes: int
    beyond: "Template | None" = None
    quiet: "Template | None" = None
    care: Care = FINE
    gain: float = RICHARDSON
    slopes: "Template | None" = None

    @classmethod
    def of(cls, prior: "Prior", modes: int | None = None, basis_size: int | None = None) -> "Template":
        """Prepare a prior; `basis_size` keeps the first columns of its basis only, for coarse models."""
        basis = torch.as_tensor(np.asarray(prior.pod, dtype=np.float64)[:, :basis_size])
        count = min(modes or MODES[prior.ends], basis.shape[1])
        density = None
        if prior.ends == "open":
            along = prior.decode_points(torch.zeros(prior.latent_dim, dtype=torch.float64)).numpy()[:, 2]
            centre, length = (along.max() + along.min()) / 2, np.ptp(along)
            density = torch.as_tensor(window((along - centre) / length))
        topology = Topology.of(prior.tetrahedra, torch.device("cpu"))
        return cls(prior, topology, Layers.of(topology, len(prior.tube.section)), basis, density, count)

    @classmethod
    @lru_cache(maxsize=KEPT)
    def working(cls, prior: "Prior", modes: int | None = None) -> "Template":
        """On a coarser mesh, for all but the last digit of a signal."""
        slopes = cls.coarse(prior)
        rough = cls.of(prior.on(prior.tube.coarser()), SLOPE_MODES[prior.ends], WORKING_BASIS)
        own = cls.of(prior, modes)
        beyond = replace(own, modes=own.modes if modes else min(own.modes, FEWER_MODES[prior.ends]), care=CLOSE)
        quiet = replace(own, slopes=slopes)
        return replace(rough, beyond=beyond, quiet=quiet, care=ROUGH, gain=COARSER_GAIN, slopes=slopes)

    @classmethod
    def coarse(cls, prior: "Prior") -> "Template":
        """For starts and derivatives: within 1 % of both, in a third of the time."""
        return replace(cls.of(prior.coarse, *COARSE), care=ROUGH)

    @cached_property
    def finer(self) -> "Template":
        """Of the same shapes on the next finer mesh: the prior's own, or one of half the spacing."""
        return self.beyond or Template.of(self.prior.on(self.prior.tube.halved()), FEWER_MODES[self.prior.ends])

    @property
    def levels(self) -> int:
        """Finer meshes up to that of half the prior's spacing."""
        return 1 if self.beyond is None else 1 + self.beyond.levels

    def shape(self, latent: Floats, coefficients: Floats | None = None) -> "Shape | None":
        """The shape of a latent, or of the coefficients that it stands for where the decoder comes only near to them;
        None where its mesh would fold or the decoder knows nothing.
        """
        if latent @ latent > farthest(len(latent)):
            return None
        if coefficients is None:
            coefficients = self.prior.coefficients(latent)
        points = self.prior.basis.vertices(torch.as_tensor(coefficients), self.prior.tube)
        if is_folded(points.numpy(), self.prior.tetrahedra):
            return None
        if self.beyond and self.beyond.shape(latent, coefficients) is None:
            return None
        return Shape(self, np.asarray(latent, dtype=np.float64), points, coefficients)

    def like(self, shape: "Shape") -> "Shape | None":
        """A shape of another template of the prior, on this one."""
        return self.shape(shape.latent, shape.coefficients)


@dataclass(frozen=True, eq=False)
class Shape:
    """A latent's mesh in the body's frame, and what follows from it.

    Attributes
    ----------
    template : Template
    latent : (d,)
    points : (n, 3) float64 µm, node mean at the origin
    coefficients : (C,) that it was made of, those that the latent decodes to or others near them
    """

    template: Template
    latent: Floats
    points: Tensor
    coefficients: Floats

    @property
    def volume(self) -> float:
        """Volume of the mesh, µm³."""
        return float(signed_volumes(self.points.numpy(), np.asarray(self.template.prior.tetrahedra)).sum())

    @lazy
    def model(self) -> ReducedModel:
        """Its diffusion in the template's modes."""
        template = self.template
        entries = template.topology.entries(self.points)
        decay, modes = modes_near_basis(template.topology, template.layers, entries, template.basis, template.modes)
        return reduced_model(template.topology, entries, decay, modes, template.density)

    @lazy
    def sloped(self) -> "Shape":
        """The same on the mesh that derivatives are taken on; this one where there is none, or it would fold."""
        slopes = self.template.slopes
        return (slopes and slopes.like(self)) or self

    @lazy
    def slow(self) -> ReducedModel:
        """The model in the modes that derivatives are taken in."""
        return self.model.first(SLOPE_MODES[self.template.prior.ends])

    @lazy
    def velocities(self) -> Tensor:
        """Derivative of the nodes with respect to the latent, (d, n, 3) float32."""
        latent = torch.as_tensor(self.latent, dtype=torch.float32)
        return self.template.prior.velocities(latent)

    @lazy
    def tangents(self) -> ReducedTangents:
        """How the slow model changes with the latent."""
        return self.tangents_of(self.velocities)

    def tangents_of(self, velocities: Tensor) -> ReducedTangents:
        """How it changes where its nodes move otherwise, (p, n, 3) float32."""
        return reduced_tangents(self.template.topology, self.slow, self.points, velocities)
