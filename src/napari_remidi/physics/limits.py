"""What restricted diffusion must come to when times are short, long, or gradients weak: checks on any simulator.

Units: µm, ms, µm²/ms, q = γG in rad/(µm ms).
"""

import math
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_remidi.errors import InputError

if TYPE_CHECKING:
    from napari_remidi.physics.mesh import TetMesh

Floats = NDArray[np.float64]
Shape = Literal["slab", "cylinder", "sphere"]
DIMENSIONS: dict[str, int] = {"slab": 1, "cylinder": 2, "sphere": 3}
_ROOTS = 60


def short_time_diffusivity(
    surface_area: ArrayLike,
    volume: float,
    diffusivity: float,
    time: ArrayLike,
    delta: ArrayLike | None = None,
) -> Floats:
    """Apparent diffusivity while few spins have met a wall, D (1 − (4/9√π) (S/V) √(D t)), isotropic on average.

    Mitra, Sen, Schwartz and Le Doussal, Phys Rev Lett 68:3555, 1992. With pulses of duration δ, √t becomes

        (4/35) [(Δ+δ)^7/2 + (Δ−δ)^7/2 − 2 Δ^7/2 − 2 δ^7/2] / (δ² (Δ − δ/3)),

    the gradient's weight on √t (Li et al., NeuroImage 202:116120, 2019, short-time approximation; for any waveform
    Moutal, Maximov and Grebenkov, arXiv 1811.01568). The next term, of order D t / R², is absent where walls are flat.

    Parameters
    ----------
    surface_area : µm², of walls; for one direction u give 3 ∫ (n·u)² dS instead, `projected_area` times three
    volume : µm³
    diffusivity : µm²/ms, free
    time : ms, the separation of the pulses Δ
    delta : ms, duration of the pulses; None: infinitely short

    Returns
    -------
    µm²/ms, in the shape that surface_area, time and delta broadcast to

    Examples
    --------
    >>> radius = 10.0
    >>> round(float(short_time_diffusivity(4 * np.pi * radius**2, 4 / 3 * np.pi * radius**3, 2.0, 1.0)), 3)
    1.787
    """
    separation = np.asarray(time, dtype=np.float64)
    root = np.sqrt(separation) if delta is None else _pulsed_root_time(np.asarray(delta, dtype=np.float64), separation)
    ratio = np.asarray(surface_area, dtype=np.float64) / volume
    return diffusivity * (1 - 4 / (9 * math.sqrt(math.pi)) * ratio * math.sqrt(diffusivity) * root)


def projected_area(mesh: "TetMesh", directions: ArrayLike) -> Floats:
    """∫ (n·u)² dS over a mesh's surface for every direction u, (k, 3) -> (k,) µm²: the walls that a direction meets.

    A third of the surface where normals point everywhere alike (Moutal et al. 2019).
    """
    corners = mesh.points[mesh.boundary]
    area = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]) / 2
    size = np.linalg.norm(area, axis=1)
    return np.asarray((np.atleast_2d(directions) @ area.T) ** 2 @ (1 / size))


def long_time_diffusivity(mesh: "TetMesh", directions: ArrayLike, time: ArrayLike) -> Floats:
    """Apparent diffusivity of a closed cell when short pulses are far apart, Var(x·u) / t -> 0.

    A spin's two positions are then independent, and the mean squared displacement is twice the variance of position
    (Tanner and Stejskal, J Chem Phys 49:1768, 1968). Holds for δ much shorter, and t = Δ − δ/3 much longer, than L²/D.

    Parameters
    ----------
    mesh : TetMesh
    directions : (k, 3) unit vectors
    time : ms, scalar or (k,)

    Returns
    -------
    (k,) µm²/ms
    """
    # ∫ x xᵀ over a tetrahedron with corners x_a and their sum X: V (Σ x_a x_aᵀ + X Xᵀ) / 20
    corners, volumes = mesh.points[mesh.tetrahedra], mesh.volumes
    centre = volumes @ corners.mean(axis=1) / volumes.sum()
    along = (corners - centre) @ np.atleast_2d(directions).T  # (m, 4, k)
    second = ((along**2).sum(axis=1) + along.sum(axis=1) ** 2) / 20
    return np.asarray(volumes @ second / volumes.sum() / np.asarray(time, dtype=np.float64))


def gaussian_phase(
    shape: Shape, half_width: float, q: ArrayLike, delta: ArrayLike, Delta: ArrayLike, diffusivity: float
) -> Floats:
    """−log S of a slab, cylinder or sphere across the walls, to second order in the gradient (exact for weak ones).

    With α the roots of the radial eigenfunctions' slope, r = α² D / R² and d the dimension,

        −log S = q² Σ B_α / r² [2rδ − 2 + 2e^{−rδ} + 2e^{−rΔ} − e^{−r(Δ−δ)} − e^{−r(Δ+δ)}],
        B_α = 2 R² / (α² (α² + 1 − d)).

    Slab: Neuman, J Chem Phys 60:4508, 1974; cylinder: van Gelderen et al., J Magn Reson B 103:255, 1994; sphere: Murday
    and Cotts, J Chem Phys 48:4938, 1968.

    Parameters
    ----------
    shape : "slab", "cylinder" or "sphere"
    half_width : µm, the radius R, or half the distance between a slab's walls
    q : γG, rad/(µm ms)
    delta, Delta : ms
    diffusivity : µm²/ms

    Returns
    -------
    −log S, in the shape that q, delta and Delta broadcast to
    """
    alpha2 = _roots(shape) ** 2
    rate = diffusivity * alpha2 / half_width**2
    weight = 2 * half_width**2 / (alpha2 * (alpha2 + 1 - DIMENSIONS[shape]))
    strength, pulse, separation = (np.asarray(x, dtype=np.float64)[..., None] for x in (q, delta, Delta))
    bracket = 2 * rate * pulse - 2 + 2 * np.exp(-rate * pulse) + 2 * np.exp(-rate * separation)
    bracket = bracket - np.exp(-rate * (separation - pulse)) - np.exp(-rate * (separation + pulse))
    return np.asarray((strength**2 * weight / rate**2 * bracket).sum(axis=-1))


def motional_narrowing(shape: Shape, half_width: float, q: ArrayLike, delta: ArrayLike, diffusivity: float) -> Floats:
    """−log S when pulses are much longer than R²/D: c q² δ R⁴ / D, whatever Δ.

    c = 4/15 for a slab (R half its width), 7/48 for a cylinder, 16/175 for a sphere: the limit of `gaussian_phase`
    (Neuman, J Chem Phys 60:4508, 1974; the cylinder also in Burcaw, Fieremans and Novikov, NeuroImage 114:18, 2015).

    Parameters
    ----------
    shape, half_width, q, delta, diffusivity : as in `gaussian_phase`
    """
    _checked(shape)
    constant = {"slab": 4 / 15, "cylinder": 7 / 48, "sphere": 16 / 175}[shape]
    strength, pulse = np.asarray(q, dtype=np.float64), np.asarray(delta, dtype=np.float64)
    return np.asarray(constant * strength**2 * pulse * half_width**4 / diffusivity)


def _pulsed_root_time(delta: Floats, Delta: Floats) -> Floats:
    """What stands for √t in Mitra's formula when pulses last δ."""
    powers = (Delta + delta) ** 3.5 + (Delta - delta) ** 3.5 - 2 * Delta**3.5 - 2 * delta**3.5
    return np.asarray(4 / 35 * powers / (delta**2 * (Delta - delta / 3)))


def _roots(shape: Shape) -> Floats:
    """α with a vanishing slope at the wall: cos, J1 and j1 of unit half-width."""
    from scipy.optimize import brentq
    from scipy.special import jnp_zeros, spherical_jn

    _checked(shape)
    if shape == "slab":
        return np.asarray((np.arange(_ROOTS) + 0.5) * np.pi, dtype=np.float64)
    if shape == "cylinder":
        return np.asarray(jnp_zeros(1, _ROOTS))

    def slope(x: float) -> float:
        return float(spherical_jn(1, x, derivative=True))

    return np.array([brentq(slope, (k - 0.5) * np.pi, k * np.pi, xtol=1e-12) for k in range(1, _ROOTS + 1)])


def _checked(shape: str) -> None:
    if shape not in DIMENSIONS:
        raise InputError(f"shape {shape!r} is unknown; choose one of {', '.join(DIMENSIONS)}")
