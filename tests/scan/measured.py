"""A small scan of one known tensor, stored as any scanner might store it."""

from dataclasses import dataclass
from pathlib import Path

import nibabel
import numpy as np

AXIS = np.array([2.0, -1.0, 3.0]) / np.sqrt(14)  # world, RAS+
SHAPE = (5, 4, 3)
MARKED = (4, 1, 2)  # twice as bright as the rest
DIRECTIONS = np.vstack([np.zeros(3), np.random.default_rng(3).normal(size=(20, 3))])
DIRECTIONS[1:] /= np.linalg.norm(DIRECTIONS[1:], axis=1, keepdims=True)
BVALS = np.r_[0.0, np.full(20, 1000.0)]
SIGNAL = np.exp(-BVALS / 1000 * (0.3 + 1.4 * (DIRECTIONS @ AXIS) ** 2))
STRAIGHT = np.array([[2.0, 0, 0, -5], [0, 1.5, 0, 7], [0, 0, 3, 11], [0, 0, 0, 1]])


def oblique(degrees: float = 20.0) -> np.ndarray:
    """The straight affine turned about an axis that is none of the image's, (4, 4)."""
    axis = np.array([1.0, 2.0, -1.0]) / np.sqrt(6)
    cross = np.cross(np.eye(3), axis)
    angle = np.radians(degrees)
    turn = np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross
    affine = STRAIGHT.copy()
    affine[:3, :3] = turn @ STRAIGHT[:3, :3]
    return affine


@dataclass(frozen=True)
class Stored:
    """A volume as stored: array axes may be permuted and reversed against the world's."""

    data: np.ndarray
    affine: np.ndarray

    @property
    def fsl_bvecs(self) -> np.ndarray:
        """By FSL's definition: components along the stored axes, x reversed if these are right-handed, (M, 3)."""
        bvecs = self.image_bvecs.copy()
        if np.linalg.det(self.affine[:3, :3]) > 0:
            bvecs[:, 0] *= -1
        return bvecs

    @property
    def image_bvecs(self) -> np.ndarray:
        """Components along the stored axes, (M, 3)."""
        axes = self.affine[:3, :3] / np.linalg.norm(self.affine[:3, :3], axis=0)
        return DIRECTIONS @ axes


def stored(order=(0, 1, 2), reverse=(False, False, False), affine=STRAIGHT) -> Stored:
    """The scan with its axes in another order, some of them running backwards."""
    data = 1000 * np.broadcast_to(SIGNAL, (*SHAPE, len(SIGNAL))).copy()
    data[MARKED] *= 2
    data = data.transpose(*order, 3)
    matrix = np.zeros((4, 4))
    matrix[3, 3] = 1
    for new, old in enumerate(order):
        matrix[old, new] = -1 if reverse[new] else 1
        matrix[old, 3] = SHAPE[old] - 1 if reverse[new] else 0
        if reverse[new]:
            data = np.flip(data, new)
    return Stored(data.astype(np.float32), affine @ matrix)


def write(folder: Path, scan: Stored | None = None, bvals=BVALS, bvecs=None, name="dwi.nii.gz", fsl=True) -> Path:
    """A NIfTI file with its FSL files beside it."""
    scan = scan or stored()
    nibabel.save(nibabel.Nifti1Image(scan.data, scan.affine), folder / name)
    if fsl:
        np.savetxt(folder / "dwi.bval", [bvals], fmt="%g")
        np.savetxt(folder / "dwi.bvec", (scan.fsl_bvecs if bvecs is None else np.asarray(bvecs)).T, fmt="%.8f")
    return folder / name
