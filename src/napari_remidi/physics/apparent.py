"""What a signal says without a model: apparent diffusivity and kurtosis, by direction and averaged."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_remidi.errors import InputError, ProtocolError

if TYPE_CHECKING:
    from napari_remidi.scan import Protocol

Floats = NDArray[np.float64]
SAME_DIRECTION = 5  # decimals


@dataclass(frozen=True, eq=False)
class ApparentDiffusion:
    """Diffusivity and kurtosis along each direction of one timing.

    Attributes
    ----------
    delta, Delta : ms
    directions : (k, 3) unit vectors; opposite ones count as one
    diffusivity : (k,) µm²/ms
    kurtosis : (k,), NaN where a direction has one b-value only
    """

    delta: float
    Delta: float
    directions: Floats
    diffusivity: Floats
    kurtosis: Floats

    @property
    def mean_diffusivity(self) -> float:
        """Mean over the directions, µm²/ms."""
        return float(self.diffusivity.mean())

    @property
    def mean_kurtosis(self) -> float:
        """Mean over the directions that have one; NaN where none has."""
        known = self.kurtosis[np.isfinite(self.kurtosis)]
        return float(known.mean()) if len(known) else float("nan")


@dataclass(frozen=True, eq=False)
class TensorDiffusion:
    """Diffusion and kurtosis tensor of one timing.

    Attributes
    ----------
    delta, Delta : ms
    tensor : (3, 3) µm²/ms
    mean_diffusivity : µm²/ms
    fractional_anisotropy : 0 to 1
    mean_kurtosis : NaN where one shell only was measured
    """

    delta: float
    Delta: float
    tensor: Floats
    mean_diffusivity: float
    fractional_anisotropy: float
    mean_kurtosis: float


def apparent_diffusion(
    signal: ArrayLike, protocol: "Protocol", highest_b: float = 2500.0
) -> tuple[ApparentDiffusion, ...]:
    """Diffusivity and kurtosis along every direction, for each timing (δ, Δ) of the protocol.

    Along a direction log S = −b D + b² D² K / 6 (Jensen et al., Magn Reson Med 53:1432, 2005), by least squares
    over b, weighted by S² as the noise of log S asks; D alone where a direction has one b-value.

    Parameters
    ----------
    signal : (M,) S/S0, positive
    protocol : Protocol with timing
    highest_b : s/mm²; measurements above are left out, because the series in b is short (at most about 3 / (D K))

    Returns
    -------
    One `ApparentDiffusion` for each timing, in order of δ and Δ

    Raises
    ------
    InputError
        For a signal of another length than the protocol, or one that is not positive where it is used.
    ProtocolError
        Where no measurement lies between b = 0 and `highest_b`.
    TimingError
        Where the protocol has no timing.
    """
    values, used = _usable(signal, protocol, highest_b)
    found = []
    for delta, Delta, rows in _timings(protocol, used):
        axes = protocol.bvecs[rows] * _hemisphere(protocol.bvecs[rows])[:, None]
        _, first, which = np.unique(
            np.round(axes, SAME_DIRECTION) + 0.0, axis=0, return_index=True, return_inverse=True
        )
        fits = [_expansion(protocol.bvals[rows[which.ravel() == k]], values[rows[which.ravel() == k]])
                for k in range(len(first))]  # fmt: skip
        diffusivity, kurtosis = np.array(fits).T
        found.append(ApparentDiffusion(delta, Delta, axes[first], diffusivity, kurtosis))
    return tuple(found)


def tensor_diffusion(signal: ArrayLike, protocol: "Protocol", highest_b: float = 2500.0) -> tuple[TensorDiffusion, ...]:
    """Diffusion tensor, and kurtosis tensor where there are two shells, of each timing (δ, Δ), by dipy.

    Basser et al., J Magn Reson B 103:247, 1994; Jensen et al., Magn Reson Med 53:1432, 2005.

    Parameters
    ----------
    signal, protocol, highest_b : as in `apparent_diffusion`

    Raises
    ------
    InputError, ProtocolError, TimingError
        As `apparent_diffusion`; ProtocolError also where a timing has too few directions for a tensor (6).
    """
    from dipy.core.gradients import gradient_table
    from dipy.reconst.dki import DiffusionKurtosisModel
    from dipy.reconst.dti import TensorModel

    values, used = _usable(signal, protocol, highest_b)
    found = []
    for delta, Delta, rows in _timings(protocol, used):
        if (count := _axis_count(protocol.bvecs[rows])) < 6:
            raise ProtocolError(
                f"δ {delta:g}, Δ {Delta:g} ms has {count} directions with b up to {highest_b:g} s/mm²; "
                "a tensor needs 6: use apparent_diffusion, which takes each direction by itself"
            )
        # S(b = 0) = 1 is known, and dipy needs to be told
        b, vectors = np.r_[0.0, protocol.bvals[rows]], np.vstack([np.zeros(3), protocol.bvecs[rows]])
        table = gradient_table(b, bvecs=vectors, b0_threshold=0)
        observed = np.r_[1.0, values[rows]]
        shells = len(np.unique(np.round(protocol.bvals[rows], -2)))
        kurtosis = shells > 1 and count >= 15
        fit = (DiffusionKurtosisModel if kurtosis else TensorModel)(table).fit(observed)
        found.append(
            TensorDiffusion(
                delta,
                Delta,
                1000 * np.asarray(fit.quadratic_form),
                1000 * float(fit.md),
                float(fit.fa),
                float(fit.mk(min_kurtosis=-3)) if kurtosis else float("nan"),
            )
        )
    return tuple(found)


def _usable(signal: ArrayLike, protocol: "Protocol", highest_b: float) -> tuple[Floats, NDArray[np.bool_]]:
    """The signal as an array, and which measurements lie between zero and the highest b."""
    protocol.require_timing()
    values = np.asarray(signal, dtype=np.float64)
    if values.shape != (len(protocol),):
        raise InputError(
            f"the signal has shape {values.shape}, the protocol {len(protocol)} measurements: give one each"
        )
    used = ~protocol.is_b0 & (protocol.bvals <= highest_b * 1.001) & np.isfinite(protocol.delta)
    if not used.any():
        lowest = protocol.bvals[~protocol.is_b0].min(initial=np.inf)
        raise ProtocolError(
            f"no pulsed-gradient measurement lies between b = 0 and {highest_b:g} s/mm² (the weakest has {lowest:g}): "
            "raise highest_b"
        )
    if (bad := used & ~(values > 0)).any():
        raise InputError(
            f"{int(bad.sum())} of {int(used.sum())} signals are not positive (the first is measurement "
            f"{int(np.flatnonzero(bad)[0])}): their logarithm is no number; lower highest_b"
        )
    return values, used


def _timings(protocol: "Protocol", used: NDArray[np.bool_]) -> list[tuple[float, float, NDArray[np.int64]]]:
    rows = np.flatnonzero(used)
    pairs, which = np.unique(
        np.stack([protocol.delta[rows], protocol.Delta[rows]], axis=1), axis=0, return_inverse=True
    )
    return [(float(d), float(D), rows[which.ravel() == k]) for k, (d, D) in enumerate(pairs)]


def _expansion(bvals: Floats, values: Floats) -> tuple[float, float]:
    """D (µm²/ms) and K of log S = −b D + b² D² K / 6 along one direction."""
    b, slope = bvals / 1000, np.log(values)
    if len(np.unique(np.round(b, 3))) == 1:
        return float(-(b * values**2 * slope).sum() / (b**2 * values**2).sum()), float("nan")
    design = np.stack([-b, b**2 / 6], axis=1) * values[:, None]
    diffusivity, quadratic = np.linalg.lstsq(design, values * slope, rcond=None)[0]
    return float(diffusivity), float(quadratic / diffusivity**2)


def _axis_count(vectors: Floats) -> int:
    axes = np.round(vectors * _hemisphere(vectors)[:, None], SAME_DIRECTION) + 0.0
    return len(np.unique(axes, axis=0))


def _hemisphere(vectors: Floats) -> Floats:
    """1 or −1, so that the product's first component that is not zero is positive."""
    leading = np.take_along_axis(vectors, np.argmax(np.abs(vectors) > 1e-6, axis=1)[:, None], axis=1)
    return np.where(leading[:, 0] < 0, -1.0, 1.0)
