"""The spectral representation: an axon as a few cosine coefficients of the fields along its centreline.

The Laplacian's eigenfunctions on the reference tube's surface are cos(jπs) cos(mθ) and cos(jπs) sin(mθ): a cosine
series along the axis, a Fourier series around it. The fields of `sections` are written in them: the directions of
centreline and sections (m = 0 and 1), the logarithm of the radius (m = 0) and the ellipse (m = 2); and the logarithm of
the length. Vertices follow in closed form. A linear basis of vertex positions folds on a fifth of its draws; these
fields can only where sections turn faster than they advance, and then the axon is straightened.

What NumPy holds is copied into a tensor's own memory, which is aligned to 64 bytes: MKL's product of a matrix and a
vector differs in its last bit with the alignment of either, and a training promises the same bits again.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_remidi.shapes.sections import SAMPLES
from napari_remidi.shapes.tube import Tube

Floats = NDArray[np.float64]
FURTHEST_TURN = 2.7  # rad, of a direction from the axis: at π its frame is not defined
FLATTEST = 0.8  # of an ellipse, half the logarithm of its axes' ratio
SWING = 1.5  # of log radius from its mean along the axis: a neck is a fifth as wide
STEEPEST = 1.5  # rad, the largest slant of a section
MEETING = 0.9  # of the radius at which neighbouring sections meet, the largest radius
WITHIN = 4  # points between layers, for what the mesh makes of the radius
SHARP = 24  # a limit changes what is three quarters of it by a part in 20,000


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

    @property
    def along(self) -> Floats:
        """Where fields are sampled, shares of the centreline, (S,)."""
        return np.linspace(0, 1, SAMPLES)

    def log_radius(self, coefficients: Floats) -> Floats:
        """Log radius sampled along the centreline, (..., C) -> (..., S)."""
        return np.asarray(coefficients[..., self._calibre] @ _cosines(self.along, self.calibre).T)

    def with_calibre(self, coefficients: Floats, log_radius: Floats) -> Floats:
        """Coefficients (..., C) with another log radius, (..., S)."""
        changed = coefficients.copy()
        changed[..., self._calibre] = log_radius @ _fit(SAMPLES, self.calibre).T
        return changed

    @property
    def _calibre(self) -> slice:
        return slice(2 * self.bend, 2 * self.bend + self.calibre)

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
        return placed(self.sections(coefficients, tube.layers), tube)

    def sections(self, coefficients: Tensor, layers: int) -> Tensor:
        """Sections, evenly spaced along the centreline, (..., C) -> (..., layers, 3, 3) µm: the columns of each are its
        centre and the images of the unit disc's x and y. The mean centre is the origin; end to end along z.
        """
        a, b, calibre, cosine, sine, p, q, log_length = coefficients.split(self.parts, dim=-1)
        dtype, device = coefficients.dtype, coefficients.device

        def sampled(series: Tensor, samples: int = layers) -> Tensor:
            return series @ _sampler(samples, series.shape[-1], dtype, device)

        length = torch.exp(log_length) if self.length is None else torch.full_like(a[..., :1], self.length)
        cosine, sine = _within(torch.stack([sampled(cosine), sampled(sine)]), FLATTEST)
        size = torch.sqrt(cosine * cosine + sine * sine + 1e-12)
        swing = sampled(calibre, WITHIN * (layers - 1) + 1) - calibre[..., :1]
        area = torch.exp(2 * (calibre[..., :1] + swing * limited(swing.abs(), SWING)))
        between = _averager(layers, dtype, device)
        radius = torch.maximum(area @ between, area[..., ::WITHIN] / 4).sqrt()
        bend, slant = torch.stack([sampled(a), sampled(b)]), torch.stack([sampled(p), sampled(q)])
        bend, slant = _within(bend, FURTHEST_TURN), _within(slant, STEEPEST)
        straighter = limited(_sharpest(bend, slant, radius * torch.exp(size), length), MEETING)
        bend, slant = straighter * bend, straighter * slant
        tangent = _directions(bend)
        centre = _integrated(tangent) * (length / (layers - 1))[..., None]
        chord = centre[..., -1, :] - centre[..., 0, :]
        upright = _to_z(chord / chord.norm(dim=-1, keepdim=True))
        first, second = _frame(_directions(_within(bend - slant, FURTHEST_TURN)))
        # r exp [[c, s], [s, −c]]
        even, odd = radius * torch.cosh(size), radius * torch.sinh(size) / size
        c, s = (odd * cosine)[..., None], (odd * sine)[..., None]
        even = even[..., None]
        x, y = (even + c) * first + s * second, s * first + (even - c) * second
        return upright[..., None, :, :] @ torch.stack([centre - centre.mean(dim=-2, keepdim=True), x, y], dim=-1)


def placed(sections: Tensor, tube: Tube) -> Tensor:
    """Nodes of the tube in sections, (..., layers, 3, 3) -> (..., n, 3) µm."""
    disc = torch.tensor(tube.disc, dtype=sections.dtype, device=sections.device)
    return (sections @ disc).transpose(-1, -2).flatten(-3, -2)


def _cosines(along: Floats, orders: int) -> Floats:
    return np.cos(np.pi * np.outer(along, np.arange(orders)))


@lru_cache(maxsize=64)
def _sampler(samples: int, orders: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Cosine coefficients to evenly spaced values, (orders, samples)."""
    return torch.tensor(_cosines(np.linspace(0, 1, samples), orders).T, dtype=dtype, device=device)


@lru_cache(maxsize=16)
def _averager(layers: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """`_fit_between`, (fine, layers)."""
    return torch.tensor(_fit_between(layers).T, dtype=dtype, device=device)


def _fit_between(layers: int) -> Floats:
    """Values at layers of the piecewise linear function nearest to one known `WITHIN` times as finely, (layers, fine).

    Its own values there would cut all beads off: a mesh straight between layers has less swing than what it samples.
    """
    fine = WITHIN * (layers - 1) + 1
    hats = np.maximum(0, 1 - np.abs(np.arange(fine)[:, None] / WITHIN - np.arange(layers)))
    weights = np.where(np.isin(np.arange(fine), (0, fine - 1)), 0.5, 1.0)[:, None] * hats
    return np.asarray(np.linalg.solve(hats.T @ weights, weights.T), dtype=np.float64)


@lru_cache(maxsize=16)
def _fit(samples: int, orders: int) -> Floats:
    return np.asarray(np.linalg.pinv(_cosines(np.linspace(0, 1, samples), orders)), dtype=np.float64)


def limited(size: Tensor, limit: Tensor | float) -> Tensor:
    """By what to multiply a size for it to stay below a limit: one where it is well below."""
    share = size / limit
    larger = share.clamp_min(1)  # of share and one: its powers neither overflow nor vanish
    return (larger**-SHARP + (share / larger) ** SHARP) ** (-1 / SHARP) / larger


def _sharpest(bend: Tensor, slant: Tensor, radius: Tensor, length: Tensor) -> Tensor:
    """The largest share of a section's radius at which it meets its neighbours, smoothly, (..., 1).

    From angles (2, ..., layers), radii (..., layers) and the length (..., 1). Straightening an axon lowers it at least
    in proportion: sections turn less and stand more upright.
    """
    tangent, normal = _directions(bend), _directions(_within(bend - slant, FURTHEST_TURN))
    step = (tangent[..., 1:, :] + tangent[..., :-1, :]) / 2 * (length / (radius.shape[-1] - 1))[..., None]
    before, after = (
        radius[..., which] / (step * normal[..., which, :]).sum(dim=-1).clamp_min(1e-3)
        for which in (slice(None, -1), slice(1, None))
    )
    share = normal.diff(dim=-2).square().sum(dim=-1).add(1e-12).sqrt() * torch.maximum(before, after)
    largest = share.detach().amax(dim=-1, keepdim=True)  # for powers that neither overflow nor vanish
    return largest * (share / largest).pow(16).sum(dim=-1, keepdim=True).pow(1 / 16)


def _within(pair: Tensor, limit: float) -> Tensor:
    """Two components, (2, ...), their length kept below a limit."""
    return pair * limited(pair.square().sum(dim=0).add(1e-12).sqrt(), limit)


def _directions(angles: Tensor) -> Tensor:
    a, b = angles
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
