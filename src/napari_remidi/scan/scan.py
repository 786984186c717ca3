"""A diffusion scan: a 4D volume, where it lies in the world, and how it was measured."""

from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_remidi.errors import ScanError
from napari_remidi.scan.image import canonical_volume, read_volume, stored_axes
from napari_remidi.scan.normalisation import Rows, normalised, repeat_variance, series_of
from napari_remidi.scan.protocol import Protocol
from napari_remidi.scan.readers import PathLikeStr, gradient_files, read_protocol

Floats = NDArray[np.float64]
ENOUGH_REPEATS = 12  # degrees of freedom, for a noise known to 20 %
SAMPLE = 2000  # voxels that the whole scan's noise is taken from


@dataclass(frozen=True, eq=False)
class Scan:
    """A 4D diffusion scan in closest canonical (RAS+) order.

    Attributes
    ----------
    data : (X, Y, Z, M) scanner units
    affine : (4, 4) voxel indices to world mm, oblique part kept
    protocol : Protocol, M measurements, directions in world axes
    name : for titles
    path : the image's file, or None
    metadata : whatever travels with the scan; a phantom's "truth"
    """

    data: NDArray[Any]
    affine: Floats
    protocol: Protocol
    name: str = "scan"
    path: Path | None = None
    metadata: dict[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"<Scan {self.name!r}, {'×'.join(map(str, self.shape))}: {self.protocol!r}>"

    @classmethod
    def open(
        cls,
        path: PathLikeStr,
        bvals: PathLikeStr | None = None,
        bvecs: PathLikeStr | None = None,
        scheme: PathLikeStr | None = None,
        delta: ArrayLike | None = None,
        Delta: ArrayLike | None = None,
    ) -> "Scan":
        """Open a NIfTI file with its gradients and timing.

        Parameters
        ----------
        path : .nii or .nii.gz, 4D
        bvals, bvecs : FSL files; by default those beside the image
        scheme : a Camino or MRtrix file instead
        delta, Delta : ms, scalar or (M,), where no file records them, or to overrule it

        Raises
        ------
        ScanError
            For an image that cannot be read or is not 4D, or has no b = 0 volume.
        ProtocolError
            For gradients that are missing or do not fit.
        """
        image = Path(path).expanduser()
        given = [None if p is None else Path(p).expanduser() for p in (bvals, bvecs, scheme)]
        volume = read_volume(image)
        files = gradient_files(image, *given)
        protocol = read_protocol(files, volume.stored_affine, volume.data.shape[3])
        if delta is not None or Delta is not None:
            protocol = protocol.with_timing(delta, Delta)
        name = image.name.removesuffix(".gz").removesuffix(".nii")
        metadata = {"stored_axes": stored_axes(volume.stored_affine)}
        return cls.from_arrays(volume.data, volume.affine, protocol, name, metadata, image)

    @classmethod
    def from_arrays(
        cls,
        data: NDArray[Any],
        affine: ArrayLike,
        protocol: Protocol,
        name: str = "scan",
        metadata: dict[str, Any] | None = None,
        path: Path | None = None,
    ) -> "Scan":
        """A scan from arrays, turned to canonical order; the protocol's directions are the world's already.

        Raises
        ------
        ScanError
            Where data and protocol do not fit, or b = 0 volumes are missing.
        """
        if data.ndim != 4:
            raise ScanError(
                f"{name}: the image has shape {'×'.join(map(str, data.shape))}; a diffusion scan needs 4 axes"
            )
        _check_fit(name, data.shape[3], protocol)
        if not protocol.is_b0.any():
            raise ScanError(
                f"{name}: no b=0 volume (the weakest has b = {protocol.bvals.min():g} s/mm²): S/S0 cannot be formed; "
                "add one, or correct the b-values"
            )
        series_of(protocol)
        volume = canonical_volume(data, affine, name)
        known = {"stored_axes": stored_axes(volume.stored_affine)} | (metadata or {})
        return cls(volume.data, volume.affine, protocol, name, path, known)

    @property
    def shape(self) -> tuple[int, ...]:
        """(X, Y, Z, M)."""
        return tuple(self.data.shape)

    @property
    def voxel_size(self) -> Floats:
        """(3,) mm."""
        return np.linalg.norm(self.affine[:3, :3], axis=0)

    def world(self, i: float, j: float, k: float) -> Floats:
        """World position of a voxel's centre, (3,) mm."""
        return self.affine[:3, :3] @ np.array([i, j, k], dtype=np.float64) + self.affine[:3, 3]

    def voxel(self, i: int, j: int, k: int) -> Floats:
        """Signal of one voxel, (M,) S/S0, by the b=0 volumes of the same timing and echo time.

        Raises
        ------
        ScanError
            For a voxel outside the image, or a signal that is zero, negative or not finite.
        """
        return normalised(self._raw(i, j, k), self._series, f"voxel ({i}, {j}, {k})")

    def mean(self, mask: ArrayLike) -> Floats:
        """Mean signal of the voxels of a mask, (X, Y, Z) -> (M,) S/S0."""
        chosen = np.asarray(mask).astype(bool)
        if chosen.shape != self.shape[:3]:
            raise ScanError(f"the mask has shape {chosen.shape}, the scan {self.shape[:3]}: they must be the same")
        if not chosen.any():
            raise ScanError("the mask is empty: mark at least one voxel")
        return normalised(self.data[chosen].mean(axis=0, dtype=np.float64), self._series, "the mask's mean")

    def noise_sd(self, i: int, j: int, k: int) -> float | None:
        """Noise of S/S0 at a voxel, from b=0 volumes that repeat; None where none does.

        From the voxel and its neighbours, or the whole scan where these are too few.
        """
        own = self._raw(i, j, k)
        around = tuple(slice(max(c - 1, 0), c + 2) for c in (i, j, k))
        variance, degrees = repeat_variance(self.data[around].reshape(-1, self.shape[3]).astype(float), self._series)
        if degrees < ENOUGH_REPEATS:
            variance = self._whole_variance
        s0 = own[self.protocol.is_b0].mean()
        return float(np.sqrt(variance) / s0) if variance > 0 and s0 > 0 else None

    def with_protocol(self, protocol: Protocol) -> "Scan":
        """The same volume with another protocol, for example one with timing."""
        _check_fit(self.name, self.shape[3], protocol)
        return replace(self, protocol=protocol)

    def info(self) -> dict[str, Any]:
        """What there is to know about the scan, in plain values."""
        protocol = self.protocol
        s0 = np.nanmean(self._tissue[:, protocol.is_b0])

        def distinct(values: Floats | None) -> list[float]:
            known = np.empty(0) if values is None else values[~protocol.is_b0 & np.isfinite(values)]
            return sorted({round(float(v), 3) for v in known})

        return {
            "name": self.name,
            "shape": list(self.shape),
            "voxel_size_mm": [round(float(v), 4) for v in self.voxel_size],
            "stored_axes": self.metadata.get("stored_axes"),
            "b0_volumes": int(protocol.is_b0.sum()),
            "shells": [
                {
                    "b_s_per_mm2": round(shell.bval, 1),
                    "delta_ms": shell.delta if np.isfinite(shell.delta) else None,
                    "Delta_ms": shell.Delta if np.isfinite(shell.Delta) else None,
                    "measurements": len(shell.indices),
                }
                for shell in protocol.shells
            ],
            "delta_ms": distinct(protocol.delta),
            "Delta_ms": distinct(protocol.Delta),
            "te_ms": distinct(protocol.te),
            "timing_source": protocol.timing_source,
            "max_gradient_mT_per_m": round(float(protocol.gradient_strength.max()), 1) if protocol.has_timing else None,
            "noise_sd": round(float(np.sqrt(self._whole_variance) / s0), 5) if self._whole_variance > 0 else None,
        }

    @cached_property
    def _series(self) -> tuple[tuple[Rows, Rows], ...]:
        return series_of(self.protocol)

    @cached_property
    def _tissue(self) -> Floats:
        """Some of the scan's brighter voxels, (n, M): above half of the 95th percentile at b = 0."""
        first = np.nan_to_num(np.asarray(self.data[..., int(np.argmax(self.protocol.is_b0))], dtype=np.float64))
        bright = np.argwhere(first >= 0.5 * np.percentile(first, 95))
        chosen = bright[:: max(len(bright) // SAMPLE, 1)]
        return self.data[tuple(chosen.T)].astype(np.float64)

    @cached_property
    def _whole_variance(self) -> float:
        return repeat_variance(self._tissue, self._series)[0]

    def _raw(self, i: int, j: int, k: int) -> Floats:
        for index, size in zip((i, j, k), self.shape[:3], strict=True):
            if not 0 <= index < size:
                x, y, z = (size - 1 for size in self.shape[:3])
                raise ScanError(
                    f"voxel ({i}, {j}, {k}) is outside {self.name}: indices run from (0, 0, 0) to ({x}, {y}, {z})"
                )
        return np.asarray(self.data[i, j, k], dtype=np.float64)


def _check_fit(name: str, volumes: int, protocol: Protocol) -> None:
    if volumes != len(protocol):
        raise ScanError(f"{name}: {volumes} volumes, but {len(protocol)} measurements in the protocol")
