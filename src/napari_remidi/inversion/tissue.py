"""The signal of a voxel of tissue: axons dispersed about one direction, the space around them, and free water.

    S = f_in Σ_l w_l(κ) c_l P_l(g·n) + f_ex exp(−b (D⊥ + (D∥ − D⊥)(g·n)²)) + f_free exp(−b D_free)

c_l are the zonal harmonics of the representative axon's signal, averaged over its azimuth, shell by shell (so a
scan with hundreds of directions costs no more than a few dozen), and w_l those of a Watson distribution of
concentration κ about n.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.polynomial.legendre import leggauss
from numpy.typing import NDArray
from scipy.optimize import nnls
from scipy.special import eval_legendre, softmax

from napari_remidi.inversion.cell import DIFFUSIVITY_SD
from napari_remidi.inversion.corrected import Corrected
from napari_remidi.inversion.levenberg_marquardt import Point
from napari_remidi.inversion.rotation import change_of_direction, rotations_about, turned
from napari_remidi.inversion.settings import Settings
from napari_remidi.inversion.template import Shape, Template
from napari_remidi.physics.encoding.pgse import pgse_signal
from napari_remidi.physics.encoding.pgse_jacobian import pgse_sensitivity
from napari_remidi.physics.encoding.pulses import pulse_blocks

if TYPE_CHECKING:
    from napari_remidi.scan import Protocol

Floats = NDArray[np.float64]
POLAR, AZIMUTHS = 12, 5  # nodes of the body-frame quadrature, on a half sphere
DEGREES = tuple(range(0, 15, 2))
# Gaussian priors, (mean, sd): ratio D⊥/D∥ around the axons as a logit, concentration κ as a log, fractions as logits
RATIO, CONCENTRATION, LOGIT = (-1.0, 1.5), (np.log(16.0), 1.0), (0.0, 2.0)
MODEL_ERROR = 0.02  # of S/S0: what three compartments leave unexplained in fixed spinal cord at a noise of 0.003
EXAMPLES, CALIBRES, DIFFUSIVITY_STEPS = 256, 8, (1.0, 0.5, 0.25)  # tried as starts
EXTRA = ("log_diffusivity", "log_parallel", "logit_ratio", "log_concentration", "logit_extra", "logit_free")


@dataclass(frozen=True, eq=False)
class _Shells:
    """Directions of the body-frame quadrature for every shell, and the way back to measurements."""

    protocol: "Protocol"
    coefficients: Floats  # (L, nodes): signal at the nodes of a shell -> zonal harmonics
    of: NDArray[np.int64]  # (M,) shell of every measurement, −1 without gradient


class TissueProblem(Corrected):
    """Parameters: latent (d), turn of the direction (3, one of them without effect), then those of `EXTRA`."""

    compartments: tuple[str, ...] = ("intra", "extra", "free")
    model_error = MODEL_ERROR

    def __init__(self, template: Template, protocol: "Protocol", settings: Settings, device: torch.device) -> None:
        super().__init__(template, protocol, settings, device)
        self.shells = _body_shells(protocol)
        self.blocks = pulse_blocks(self.shells.protocol, device)
        size = template.prior.latent_dim
        self.latent, self.turn = slice(0, size), slice(size, size + 3)
        self.first = size + 3
        start = np.log(settings.diffusivity)
        diffusivity_sd = DIFFUSIVITY_SD if settings.fits_diffusivity else 1e-6
        means = [start, start, RATIO[0], CONCENTRATION[0], LOGIT[0], LOGIT[0]]
        sds = [diffusivity_sd, DIFFUSIVITY_SD, RATIO[1], CONCENTRATION[1], LOGIT[1], LOGIT[1]]
        self.mean = np.concatenate([np.zeros(size + 3), means])
        # a turn about the axis changes nothing; a weak pull keeps the equations regular
        self.precision = np.concatenate([np.ones(size), np.full(3, 1e-2), np.power(sds, -2.0)])

    def point(self, parameters: Floats, rotation: Floats) -> Point | None:
        """What the parameters predict, or None where they are no valid shape."""
        if np.abs(parameters[self.first :]).max() > 12:
            return None
        shape = self.template.shape(parameters[self.latent])
        if shape is None:
            return None
        harmonics = self._body_harmonics(shape, self._diffusivity(parameters))
        signal = self._parts(parameters, rotation, harmonics) @ self._weights(parameters)
        return Point(parameters, rotation, signal + self.correction, (shape, harmonics))

    def moved(self, point: Point, step: Floats) -> Point | None:
        """The point after a step."""
        parameters = point.parameters + step
        parameters[self.latent] = self.template.prior.moved(point.parameters[self.latent], step[self.latent])
        parameters[self.turn] = 0
        return self.point(parameters, turned(point.rotation, step[self.turn]))

    def linearised(self, point: Point) -> Floats:
        """Derivative of the signal, (M, P)."""
        shape: Shape = point.shape[0]
        harmonics: Floats = point.shape[1]
        theta = point.parameters
        diffusivity = self._diffusivity(theta)
        change = pgse_sensitivity(shape.slow, shape.tangents, self.blocks, diffusivity, count=len(self.shells.protocol))
        at_nodes = torch.cat([change.shape, diffusivity * change.diffusivity[:, None]], dim=1).double().cpu().numpy()
        intra, extra, free = self._weights(theta)
        parts = self._parts(theta, point.rotation, harmonics)
        jacobian = np.zeros((len(self.protocol), len(theta)))
        spread, spread_change = _watson(theta[self.first + 3])
        cosine = self._cosine(point.rotation)
        legendre = np.stack([eval_legendre(degree, cosine) for degree in DEGREES], axis=1)
        moved = intra * self._along(self._harmonics(at_nodes), spread[:, None] * legendre.T)
        jacobian[:, self.latent], jacobian[:, self.first] = moved[:, :-1], moved[:, -1]
        slope = np.stack([_legendre_slope(degree, cosine) for degree in DEGREES], axis=1)
        by_cosine = intra * self._along(harmonics[..., None], spread[:, None] * slope.T)[:, 0]
        parallel, perpendicular = self._hindered(theta)
        b = self.protocol.bvals / 1000
        by_cosine = by_cosine - extra * parts[:, 1] * 2 * b * (parallel - perpendicular) * cosine
        axis = point.rotation[:, 2]
        turns = change_of_direction(self.protocol.bvecs)
        jacobian[:, self.turn] = by_cosine[:, None] * np.einsum("i,mij->mj", axis, turns)
        ratio = perpendicular / parallel
        falls = -extra * parts[:, 1] * b
        jacobian[:, self.first + 1] = falls * (perpendicular + (parallel - perpendicular) * cosine**2)
        jacobian[:, self.first + 2] = falls * parallel * ratio * (1 - ratio) * (1 - cosine**2)
        concentrated = spread_change[:, None] * legendre.T
        jacobian[:, self.first + 3] = intra * self._along(harmonics[..., None], concentrated)[:, 0]
        total = parts @ self._weights(theta)
        jacobian[:, self.first + 4] = extra * (parts[:, 1] - total)
        jacobian[:, self.first + 5] = free * (parts[:, 2] - total)
        return jacobian

    def shape_of(self, point: Point) -> Shape:
        """The shape at a point."""
        shape: Shape = point.shape[0]
        return shape

    def starts(self, signal: Floats, axis: Floats, count: int) -> list[Point]:
        """The prior's examples of various calibres and two diffusivities that, mixed with the rest, come closest to a
        signal.
        """
        rotation = rotations_about(axis, turns=1, tilts=())[0]
        latents = np.asarray(self.template.prior.exemplars, dtype=np.float64)[:EXAMPLES]
        shapes = [shape for latent in latents if (shape := self.template.shape(latent)) is not None]
        shapes.sort(key=lambda shape: shape.volume)
        picked = [shapes[i] for i in np.linspace(0, len(shapes) - 1, CALIBRES + 2).round().astype(int)[1:-1]]
        steps = np.log(DIFFUSIVITY_STEPS) if self.settings.fits_diffusivity else [0.0]
        found = []
        for shape in picked:
            for step in steps:
                parameters = self.mean.copy()
                parameters[self.latent] = shape.latent
                parameters[self.first : self.first + 2] += step
                harmonics = self._body_harmonics(shape, self._diffusivity(parameters))
                for ratio in (-2.0, -0.5):
                    parameters[self.first + 2] = ratio
                    parts = self._parts(parameters, rotation, harmonics)
                    shares, misfit = nnls(parts, signal)
                    share = np.maximum(shares / shares.sum(), 0.02)
                    parameters[self.first + 4 :] = np.log(share[1:] / share[0])
                    found.append((misfit, id(shape), parameters.copy()))
        found.sort(key=lambda entry: entry[0])
        seen: set[int] = set()
        points: list[Point] = []
        for _, shape_id, parameters in found:
            if shape_id not in seen and len(points) < count and (point := self.point(parameters, rotation)) is not None:
                seen.add(shape_id)
                points.append(point)
        return points

    def fractions(self, point: Point) -> dict[str, float]:
        """Share of the signal at b = 0 of every compartment."""
        return dict(zip(self.compartments, map(float, self._weights(point.parameters)), strict=True))

    def diffusivity(self, point: Point) -> float:
        """Inside the axon, µm²/ms."""
        return self._diffusivity(point.parameters)

    def described(self, point: Point) -> dict[str, float]:
        """The compartments' fitted values."""
        parallel, perpendicular = self._hindered(point.parameters)
        spread = _watson(point.parameters[self.first + 3])[0]
        return {
            "diffusivity_um2_per_ms": self.diffusivity(point),
            "extra_parallel_um2_per_ms": parallel,
            "extra_perpendicular_um2_per_ms": perpendicular,
            "free_um2_per_ms": self.settings.free_diffusivity,
            "dispersion_deg": float(np.degrees(np.arccos(np.sqrt(np.clip((1 + 2 * spread[1]) / 3, 0, 1))))),
        }

    def _diffusivity(self, theta: Floats) -> float:
        return float(np.exp(theta[self.first]))

    def _hindered(self, theta: Floats) -> tuple[float, float]:
        parallel = float(np.exp(theta[self.first + 1]))
        return parallel, parallel / (1 + float(np.exp(-theta[self.first + 2])))

    def _weights(self, theta: Floats) -> Floats:
        return softmax(np.concatenate([[0.0], theta[self.first + 4 : self.first + 6]]))

    def _cosine(self, rotation: Floats) -> Floats:
        return self.protocol.bvecs @ rotation[:, 2]

    def _body_harmonics(self, shape: Shape, diffusivity: float) -> Floats:
        """Zonal harmonics of a shape's signal, (shells, L)."""
        nodes = pgse_signal(shape.model, self.blocks, diffusivity, count=len(self.shells.protocol))
        return self._harmonics(nodes.double().cpu().numpy()[:, None])[..., 0]

    def _harmonics(self, at_nodes: Floats) -> Floats:
        """Zonal harmonics of every shell: (shells · nodes, P) -> (shells, L, P)."""
        nodes = self.shells.coefficients.shape[1]
        return np.einsum("ln,snp->slp", self.shells.coefficients, at_nodes.reshape(-1, nodes, at_nodes.shape[1]))

    def _along(self, harmonics: Floats, kernel: Floats) -> Floats:
        """Σ_l kernel(l, m) c_l(shell of m), (M, P); zero where no gradient acts, where nothing changes."""
        weighted = self.shells.of >= 0
        result = np.zeros((len(weighted), harmonics.shape[2]))
        result[weighted] = np.einsum("mlp,lm->mp", harmonics[self.shells.of[weighted]], kernel[:, weighted])
        return result

    def _parts(self, theta: Floats, rotation: Floats, harmonics: Floats) -> Floats:
        """Signal of each compartment alone, (M, 3)."""
        cosine, b = self._cosine(rotation), self.protocol.bvals / 1000
        spread = _watson(theta[self.first + 3])[0]
        kernel = np.stack([w * eval_legendre(degree, cosine) for w, degree in zip(spread, DEGREES, strict=True)])
        intra = self._along(harmonics[..., None], kernel)[:, 0]
        intra[self.shells.of < 0] = 1.0
        parallel, perpendicular = self._hindered(theta)
        hindered = np.exp(-b * (perpendicular + (parallel - perpendicular) * cosine**2))
        return np.stack([intra, hindered, np.exp(-b * self.settings.free_diffusivity)], axis=1)


def _body_shells(protocol: "Protocol") -> _Shells:
    """Gauss-Legendre polar nodes on (0, 1) with equal azimuths, staggered from ring to ring."""
    from napari_remidi.scan import Protocol

    cosine, weight = leggauss(POLAR)
    cosine, weight = (cosine + 1) / 2, weight / 2
    ring, turn = np.meshgrid(np.arange(POLAR), np.arange(AZIMUTHS), indexing="ij")
    azimuth = 2 * np.pi * (turn + 0.5 * (ring % 2)) / AZIMUTHS
    sine = np.sqrt(1 - cosine**2)[ring]
    nodes = np.stack([sine * np.cos(azimuth), sine * np.sin(azimuth), cosine[ring]], axis=-1).reshape(-1, 3)
    along = np.repeat(cosine, AZIMUTHS)
    shares = np.repeat(weight / AZIMUTHS, AZIMUTHS)
    coefficients = np.stack([(2 * degree + 1) * shares * eval_legendre(degree, along) for degree in DEGREES])
    groups: dict[tuple[float, float, float], int] = {}
    of = np.full(len(protocol), -1)
    rows = []
    for shell in protocol.shells:
        key = (round(shell.bval, -1), shell.delta, shell.Delta)
        if key not in groups:
            groups[key] = len(groups)
            rows.append((shell.bval, shell.delta, shell.Delta))
        of[shell.indices] = groups[key]
    bvals, delta, Delta = (np.repeat(column, len(nodes)) for column in np.array(rows).T)
    body = Protocol.pgse(bvals, np.tile(nodes, (len(rows), 1)), delta, Delta)
    return _Shells(body, coefficients, of)


def _watson(log_concentration: float) -> tuple[Floats, Floats]:
    """Zonal weights w_l of a Watson distribution, and their derivative by log κ, (L,) each."""
    kappa = float(np.exp(log_concentration))
    x, weight = leggauss(96)
    x, weight = (x + 1) / 2, weight / 2
    density = weight * np.exp(kappa * (x**2 - 1))
    density = density / density.sum()
    legendre = np.stack([eval_legendre(degree, x) for degree in DEGREES])
    w = legendre @ density
    change = kappa * (legendre @ (density * x**2) - w * (density @ x**2))
    return w, change


def _legendre_slope(degree: int, x: Floats) -> Floats:
    """Derivative of a Legendre polynomial."""
    if degree == 0:
        return np.zeros_like(x)
    return degree * (x * eval_legendre(degree, x) - eval_legendre(degree - 1, x)) / np.minimum(x**2 - 1, -1e-9)
