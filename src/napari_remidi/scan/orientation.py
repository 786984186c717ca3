"""From the axes a file's b-vectors are written in to the world's (RAS+)."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def image_axes(affine: Floats) -> Floats:
    """Unit vectors of the image's axes in the world, as columns, (3, 3)."""
    columns = np.asarray(affine, dtype=np.float64)[:3, :3]
    return columns / np.linalg.norm(columns, axis=0)


def fsl_to_world(bvecs: Floats, affine: Floats) -> Floats:
    """FSL b-vectors, (M, 3), follow the image's axes with x reversed where the affine's determinant is positive."""
    flipped = np.array(bvecs, dtype=np.float64)
    if np.linalg.det(np.asarray(affine)[:3, :3]) > 0:
        flipped[:, 0] *= -1
    return _unit(flipped @ image_axes(affine).T)


def image_to_world(bvecs: Floats, affine: Floats) -> Floats:
    """Directions along the image's own axes, as Camino's scheme files hold them, (M, 3)."""
    return _unit(np.asarray(bvecs, dtype=np.float64) @ image_axes(affine).T)


def _unit(vectors: Floats) -> Floats:
    """Shear in an affine must not change lengths: keep those that were one."""
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    near = np.abs(length - 1) < 0.05
    return np.where(near, vectors / np.where(near, length, 1.0), vectors)
