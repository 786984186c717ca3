"""The spectral representation: an axon as a few cosine coefficients of the fields along its centreline.

The Laplacian's eigenfunctions on the reference tube's surface are cos(jπs) cos(mθ) and cos(jπs) sin(mθ): a cosine
series along the axis, a Fourier series around it. The fields of `sections` are written in them: the directions of
centreline and sections (m = 0 and 1), the logarithm of the radius (m = 0) and the ellipse (m = 2); and the logarithm of
the length. Vertices follow in closed form. A linear basis of vertex positions folds on a fifth of its draws; these
fields cannot, unless sections turn faster than they advance.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_remidi.shapes.tube import Tube

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class SpectralBasis:
    """Orders kept of every field, and the length where it is fixed.

    Attributes
    ----------
    bend, calibre, ellipse, slant : number of cosine orders of a and b, of log radius, of c and s, of p and q
    length : µm, or None where it is a coefficient
    """

    bend: int
    calibre: int
    ellipse: int
    slant: int
    length: float | None = None

    @property
    def size(self) -> int:
        """Number of coefficients C."""
        return sum(self.parts)

    @property
    def parts(self) -> tuple[int, ...]:
        """Lengths of the parts a, b, log radius, c, s, p, q, length."""
        pairs = (self.bend, self.bend, self.calibre, self.ellipse, self.ellipse, self.slant, self.slant)
        return (*pairs, int(self.length is None))

    def coefficients(self, fields: Floats, log_length: float) -> Floats:
        """Cosine coefficients of fields sampled along the centreline: (7, S) -> (C,)."""
        series = []
        for values, orders in zip(fields, self.parts, strict=False):
            series.append(_fit(fields.shape[1], orders) @ values)
        return np.concatenate([*series, [log_length] if self.length is None else []])

    def scale(self, radius: float = 1.5, length: float = 16.0) -> Floats:
        """How far a unit of every coefficient moves vertices, (C,) µm rms, on a cylinder of a radius and a length."""
        length = self.length or length
        order = np.arange(max(self.parts))
        bend = length / (np.pi * np.maximum(order, 0.5)) / np.sqrt(2)
        calibre = np.where(order == 0, 1.0, np.sqrt(0.5)) * radius
        parts = [bend, bend, calibre, calibre, calibre, calibre / np.sqrt(2), calibre / np.sqrt(2)]
        parts.append(np.array([length / np.sqrt(12)]))
        return np.concatenate([values[:count] for values, count in zip(parts, self.parts, strict=True)])

    def vertices(self, coefficients: Tensor, tube: Tube) -> Tensor:
        """Nodes of the tube, (..., C) -> (..., n, 3) µm: node mean at the origin, end to end along z."""
        a, b, calibre, cosine, sine, p, q, log_length = coefficients.split(self.parts, dim=-1)
        dtype, device = coefficients.dtype, coefficients.device
        along = np.linspace(0, 1, tube.layers)

        def sampled(series: Tensor) -> Tensor:
            basis = torch.as_tensor(_cosines(along, series.shape[-1]).T, dtype=dtype, device=device)
            return series @ basis

        first_angle, second_angle = sampled(a), sampled(b)
        tangent = _directions(first_angle, second_angle)
        length = torch.exp(log_length) if self.length is None else torch.full_like(a[..., :1], self.length)
        centre = _integrated(tangent) * (length / (tube.layers - 1))[..., None]
        chord = centre[..., -1, :] - centre[..., 0, :]
        upright = _to_z(chord / chord.norm(dim=-1, keepdim=True))
        first, second = _frame(_directions(first_angle - sampled(p), second_angle - sampled(q)))
        rho, angle = (torch.as_tensor(x, dtype=dtype, device=device) for x in tube.section.T)
        along_first, along_second = _stretched(
            torch.exp(sampled(calibre)), sampled(cosine), sampled(sine), rho * torch.cos(angle), rho * torch.sin(angle)
        )
        offset = along_first[..., None] * first[..., None, :] + along_second[..., None] * second[..., None, :]
        nodes = (centre[..., None, :] + offset).flatten(-3, -2)
        nodes = nodes @ upright.transpose(-1, -2)
        return nodes - nodes.mean(dim=-2, keepdim=True)


def _cosines(along: Floats, orders: int) -> Floats:
    return np.cos(np.pi * np.outer(along, np.arange(orders)))


@lru_cache(maxsize=16)
def _fit(samples: int, orders: int) -> Floats:
    return np.asarray(np.linalg.pinv(_cosines(np.linspace(0, 1, samples), orders)), dtype=np.float64)


def _stretched(radius: Tensor, cosine: Tensor, sine: Tensor, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """r exp [[c, s], [s, −c]] applied to the points of a section: (..., layers) and (s,) -> (..., layers, s) twice."""
    size = torch.sqrt(cosine * cosine + sine * sine + 1e-12)
    even, odd = (radius * torch.cosh(size))[..., None], radius * torch.sinh(size) / size
    c, s = (odd * cosine)[..., None], (odd * sine)[..., None]
    return even * x + c * x + s * y, even * y + s * x - c * y


def _directions(a: Tensor, b: Tensor) -> Tensor:
    angle = torch.sqrt(a * a + b * b + 1e-12)
    ratio = torch.sinc(angle / torch.pi)
    return torch.stack([a * ratio, b * ratio, torch.cos(angle)], dim=-1)


def _integrated(tangent: Tensor) -> Tensor:
    steps = (tangent[..., 1:, :] + tangent[..., :-1, :]) / 2
    return torch.cat([torch.zeros_like(tangent[..., :1, :]), torch.cumsum(steps, dim=-2)], dim=-2)


def _frame(tangent: Tensor) -> tuple[Tensor, Tensor]:
    """The smallest rotation from +z to the tangent, applied to x and y."""
    x, y, z = tangent.unbind(-1)
    share = 1 / (1 + z).clamp_min(1e-3)
    first = torch.stack([1 - x * x * share, -x * y * share, -x], dim=-1)
    second = torch.stack([-x * y * share, 1 - y * y * share, -y], dim=-1)
    return first, second


def _to_z(direction: Tensor) -> Tensor:
    """The smallest rotation from a direction to +z, (..., 3, 3)."""
    first, second = _frame(direction)
    return torch.stack([first, second, direction], dim=-2)
