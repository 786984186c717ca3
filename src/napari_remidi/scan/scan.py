"""A diffusion scan: a 4D volume, where it lies in the world, and how it was measured."""

import gzip
import zlib
from dataclasses import dataclass, field, replace
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_remidi.errors import ProtocolError, ScanError
from napari_remidi.scan.protocol import Protocol
from napari_remidi.scan.readers import gradient_files, read_protocol

Floats = NDArray[np.float64]
PathLikeStr = str | PathLike[str]


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
        scheme : a Camino (.scheme) or MRtrix (.b) file instead
        delta, Delta : ms, where no file records them, or to overrule it

        Raises
        ------
        ScanError
            For an image that cannot be read or is not 4D, or has no b = 0 volume.
        ProtocolError
            For gradients that are missing or do not fit.
        """
        image_path = Path(path)
        image = _read_image(image_path)
        given = [None if p is None else Path(p) for p in (bvals, bvecs, scheme)]
        files = gradient_files(image_path, *given)
        protocol = read_protocol(files, np.asarray(image.affine), image.shape[3])
        if delta is not None or Delta is not None:
            if delta is None or Delta is None:
                raise ProtocolError("delta and Delta belong together: give both, in ms")
            protocol = protocol.with_timing(delta, Delta, "typed")
        import nibabel

        try:
            canonical = nibabel.as_closest_canonical(image)
            data = np.asanyarray(canonical.dataobj)
        except (EOFError, OSError, ValueError, zlib.error, gzip.BadGzipFile):
            raise ScanError(
                f"{image_path.name}: the file ends early or is damaged; copy or download it again"
            ) from None
        name = image_path.name.removesuffix(".gz").removesuffix(".nii")
        return cls.from_arrays(data, np.asarray(canonical.affine), protocol, name, path=image_path)

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
        """A scan from arrays that are already in canonical order; checks that they fit together."""
        if data.ndim != 4:
            raise ScanError(
                f"{name}: the image has shape {'×'.join(map(str, data.shape))}; a diffusion scan needs 4 axes"
            )
        if data.shape[3] != len(protocol):
            raise ScanError(f"{name}: {data.shape[3]} volumes, but {len(protocol)} measurements in the protocol")
        if not protocol.is_b0.any():
            raise ScanError(
                f"{name}: no b=0 volume (the weakest has b = {protocol.bvals.min():g} s/mm²): S/S0 cannot be formed; "
                "add one, or correct the b-values"
            )
        return cls(data, np.asarray(affine, dtype=np.float64), protocol, name, path, metadata or {})

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
        """Signal of one voxel, (M,) S/S0, by the b=0 volumes of the same timing.

        Raises
        ------
        ScanError
            For a voxel outside the image, or a signal that is zero, negative or not finite.
        """
        return self._normalised(self._raw(i, j, k), f"voxel ({i}, {j}, {k})")

    def mean(self, mask: ArrayLike) -> Floats:
        """Mean signal of the voxels of a mask, (X, Y, Z) -> (M,) S/S0."""
        chosen = np.asarray(mask).astype(bool)
        if chosen.shape != self.shape[:3]:
            raise ScanError(f"the mask has shape {chosen.shape}, the scan {self.shape[:3]}: they must be the same")
        if not chosen.any():
            raise ScanError("the mask is empty: mark at least one voxel")
        return self._normalised(np.asarray(self.data[chosen], dtype=np.float64).mean(axis=0), "the mask's mean")

    def noise_sd(self, i: int, j: int, k: int) -> float | None:
        """Noise of S/S0 at a voxel, from repeated b=0 volumes in it and its neighbours; None where none is repeated."""
        self._raw(i, j, k)
        around = tuple(slice(max(c - 1, 0), c + 2) for c in (i, j, k))
        block = np.asarray(self.data[around], dtype=np.float64).reshape(-1, self.shape[3])
        own = np.asarray(self.data[i, j, k], dtype=np.float64)
        squares, degrees = 0.0, 0
        for rows in self._b0_groups().values():
            if len(rows) > 1:
                values = block[:, rows]
                values = values[(values > 0).all(axis=1)]
                squares += float(((values - values.mean(axis=1, keepdims=True)) ** 2).sum())
                degrees += len(values) * (len(rows) - 1)
        s0 = own[self.protocol.is_b0].mean()
        return float(np.sqrt(squares / degrees) / s0) if degrees and s0 > 0 and squares > 0 else None

    def with_protocol(self, protocol: Protocol) -> "Scan":
        """The same volume with another protocol, for example one with timing."""
        return replace(self, protocol=protocol)

    def info(self) -> dict[str, Any]:
        """What there is to know about the scan, in plain values."""
        protocol = self.protocol

        def distinct(values: Floats) -> list[float]:
            return sorted({round(float(v), 3) for v in values[~protocol.is_b0] if np.isfinite(v)})

        return {
            "name": self.name,
            "shape": list(self.shape),
            "voxel_size_mm": [round(float(v), 4) for v in self.voxel_size],
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
            "timing_source": protocol.timing_source,
            "max_gradient_mT_per_m": round(float(protocol.gradient_strength.max()), 1) if protocol.has_timing else None,
        }

    def _raw(self, i: int, j: int, k: int) -> Floats:
        for index, size in zip((i, j, k), self.shape[:3], strict=True):
            if not 0 <= index < size:
                x, y, z = (size - 1 for size in self.shape[:3])
                raise ScanError(
                    f"voxel ({i}, {j}, {k}) is outside {self.name}: indices run from (0, 0, 0) to ({x}, {y}, {z})"
                )
        return np.asarray(self.data[i, j, k], dtype=np.float64)

    def _normalised(self, raw: Floats, where: str) -> Floats:
        if bad := int((~np.isfinite(raw)).sum()):
            raise ScanError(f"{where}: {bad} of {len(raw)} values are NaN or infinite; choose another voxel")
        if not raw.any():
            raise ScanError(f"{where}: the signal is zero throughout (outside the tissue?); choose another voxel")
        if (raw < 0).any():
            raise ScanError(
                f"{where}: {int((raw < 0).sum())} of {len(raw)} values are negative; reconstruct from the magnitude image"
            )
        signal = np.empty_like(raw)
        for group, rows in self._b0_groups().items():
            s0 = raw[rows].mean()
            if s0 <= 0:
                raise ScanError(f"{where}: the b=0 signal is zero; choose another voxel")
            members = self.protocol.timing_group == group
            signal[members] = raw[members] / s0
        return signal

    def _b0_groups(self) -> dict[int, NDArray[np.int64]]:
        """For every timing group the b=0 volumes that normalise it: its own, or all where it has none."""
        still, groups = self.protocol.is_b0, self.protocol.timing_group
        return {
            int(group): np.flatnonzero(own if (own := still & (groups == group)).any() else still)
            for group in np.unique(groups)
        }


def _read_image(path: Path) -> Any:
    import nibabel
    from nibabel.filebasedimages import ImageFileError

    if not path.is_file():
        raise ScanError(f"{path}: no such file")
    try:
        image = nibabel.load(path)
    except (ImageFileError, EOFError, OSError, zlib.error):
        raise ScanError(f"{path.name}: not a NIfTI image that can be read; give a .nii or .nii.gz file") from None
    if len(image.shape) != 4:
        raise ScanError(
            f"{path.name}: the image is {len(image.shape)}D ({'×'.join(map(str, image.shape))}); "
            "a diffusion scan is 4D, one volume per measurement"
        )
    return image
