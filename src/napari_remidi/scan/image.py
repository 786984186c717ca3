"""A 4D image file as an array in closest canonical (RAS+) order, and where it lies in the world."""

import gzip
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_remidi.errors import ScanError

Floats = NDArray[np.float64]
DAMAGED = (EOFError, OSError, ValueError, zlib.error, gzip.BadGzipFile)


@dataclass(frozen=True, eq=False)
class Volume:
    """A volume in canonical order.

    Attributes
    ----------
    data : (X, Y, Z, M) scanner units; a view of the stored array where its numbers need no scaling
    affine : (4, 4) canonical voxel indices to world mm, oblique part kept
    stored_affine : (4, 4) of the order in the file, which FSL's b-vectors refer to
    """

    data: NDArray[Any]
    affine: Floats
    stored_affine: Floats


def read_volume(path: Path) -> Volume:
    """Read a NIfTI file.

    Raises
    ------
    ScanError
        For a file that is missing, is no image, ends early, is not 4D, or has no usable affine.
    """
    import nibabel
    from nibabel.filebasedimages import ImageFileError

    if not path.is_file():
        raise ScanError(f"{path}: no such file")
    try:
        image: Any = nibabel.load(path)
    except (ImageFileError, *DAMAGED):
        raise ScanError(f"{path.name}: not a NIfTI image that can be read; give a .nii or .nii.gz file") from None
    if len(image.shape) != 4:
        raise ScanError(
            f"{path.name}: the image is {len(image.shape)}D ({'×'.join(map(str, image.shape))}); "
            "a diffusion scan is 4D, one volume per measurement"
        )
    try:
        data = _numbers(image)
    except DAMAGED:
        raise ScanError(f"{path.name}: the file ends early or is damaged; copy or download it again") from None
    return canonical_volume(data, np.asarray(image.affine, dtype=np.float64), path.name)


def canonical_volume(data: NDArray[Any], affine: ArrayLike, name: str) -> Volume:
    """Turn a volume to the axis order and directions closest to right, anterior, superior."""
    from nibabel.orientations import apply_orientation, inv_ornt_aff, io_orientation

    stored = np.asarray(affine, dtype=np.float64)
    if stored.shape != (4, 4) or not np.isfinite(stored).all() or abs(np.linalg.det(stored[:3, :3])) < 1e-12:
        raise ScanError(f"{name}: the affine does not map voxels to the world; correct the file's header")
    if np.iscomplexobj(data):
        raise ScanError(f"{name}: the image holds complex numbers; give the magnitude image")
    order = io_orientation(stored)
    turned = stored @ inv_ornt_aff(order, data.shape[:3])
    return Volume(apply_orientation(data, order), turned, stored)


def stored_axes(affine: Floats) -> str:
    """Where the axes of an array point, such as "LPS"."""
    from nibabel.orientations import aff2axcodes

    return "".join(str(code) for code in aff2axcodes(affine))


def _numbers(image: Any) -> NDArray[Any]:
    """The stored numbers where they need no scaling (mapped, not read, if the file is uncompressed), else float32."""
    slope, intercept = getattr(image.dataobj, "slope", 1.0), getattr(image.dataobj, "inter", 0.0)
    if slope == 1 and intercept == 0:
        return np.asanyarray(image.dataobj)
    return np.asarray(image.dataobj, dtype=np.float32)
