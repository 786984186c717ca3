"""Labelled images, from a microscope or a segmentation, as tetrahedral meshes, without a mesher."""

from collections.abc import Callable, Mapping
from itertools import permutations
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_remidi.errors import MeshError
from napari_remidi.physics.geometry.smoothing import smoothed
from napari_remidi.physics.mesh import TetMesh

MOST_VOXELS = 1_000_000  # six million tetrahedra: about 6 GB while the mesh is made
FINEST, COARSEST = 0.003, 10.0  # µm, the voxels of electron microscopy and the largest that could show a cell


def from_labels(
    image: ArrayLike, voxel_size: ArrayLike, names: Mapping[int, str] | None = None, smooth: int = 10
) -> TetMesh:
    """Turn a label image into a labelled mesh with smooth walls.

    Every labelled voxel is cut into six tetrahedra along the same diagonal (Kuhn's cut: neighbours always fit), walls
    and interfaces are smoothed, and each label's volume is kept to 1 % of that of its voxels. Where labels reach the
    image's border, the cut stays flat. Parts of one label that touch only at an edge or a corner are kept, and stay
    connected in that edge or node alone, through which no spin diffuses. Tetrahedra are as small as the voxels:
    downsample an image that is finer than the simulation needs.

    Parameters
    ----------
    image : (i, j, k) int; 0 is outside, every other label is a compartment
    voxel_size : µm, one number or one for each axis. The voxel (0, 0, 0) has its corner at the origin
    names : name of each label; by default "cell" for a single one, or "1", "2", ... as in the image
    smooth : steps of smoothing; 0 keeps the voxels' staircase. Fewer are made where the volumes could not be kept

    Raises
    ------
    MeshError
        For an image that is not 3-D or not of whole numbers, empty, with negative labels or too large; names that do
        not fit its labels; voxel sizes that are not µm.
    """
    volume = _checked_image(image)
    size = _checked_size(voxel_size)
    if smooth < 0:
        raise MeshError(f"{smooth} steps of smoothing: give 0 or more")
    corners = np.argwhere(volume)
    present, labels = np.unique(volume[volume > 0], return_inverse=True)
    called = _checked_names(present, names)
    counts = np.bincount(labels) * np.prod(size)
    return mesh_of_voxels(corners, labels, np.zeros(3), size, called, counts, smooth, np.array(volume.shape))


def mesh_of_voxels(
    corners: NDArray[np.int64],
    labels: NDArray[np.int64],
    origin: NDArray[np.float64],
    size: NDArray[np.float64],
    names: list[str] | None,
    volumes: NDArray[np.float64],
    smooth: int,
    border: NDArray[np.int64] | None = None,
    press: Callable[[NDArray[np.float64]], NDArray[np.float64]] | None = None,
) -> TetMesh:
    """Cut labelled voxels into tetrahedra and smooth their walls.

    Parameters
    ----------
    corners : (v, 3) int, the voxels' lowest corners on the grid
    labels : (v,) int, counted from 0
    origin, size : (3,) µm, the place of the grid's node (0, 0, 0) and its spacing
    names : of the labels
    volumes : (labels,) µm³, what each label is to have
    smooth : steps of smoothing
    border : (3,) the last node along each axis; nodes there, and those at 0, do not leave their plane. By default
        there is no border
    press : see `smoothing.smoothed`
    """
    if len(corners) > MOST_VOXELS:
        raise MeshError(
            f"{len(corners)} labelled voxels are too many for one mesh (at most {MOST_VOXELS}): "
            f"use voxels {(len(corners) / MOST_VOXELS) ** (1 / 3):.2g} times as long"
        )
    nodes, tetrahedra = kuhn_tetrahedra(corners)
    kinds = np.repeat(labels, 6)
    movable = np.ones(nodes.shape, dtype=bool) if border is None else (nodes > 0) & (nodes < border)
    points = origin + nodes * size
    points = smoothed(points, tetrahedra, kinds, volumes, smooth, movable, press)
    return TetMesh(points, tetrahedra, kinds, names)


def kuhn_tetrahedra(corners: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Six tetrahedra for every voxel, all around the diagonal from its lowest to its highest corner.

    Parameters
    ----------
    corners : (v, 3) int, the voxels' lowest corners on the grid

    Returns
    -------
    (n, 3) int, the grid's nodes in use, and (6 v, 4) int, the tetrahedra, voxel by voxel, positively oriented. The cut
    is the same in all voxels, and opposite faces are cut alike, so that neighbours share their faces
    (H. W. Kuhn, Some combinatorial lemmas in topology, IBM J. Res. Dev. 4, 1960).
    """
    paths = np.array(
        [np.cumsum([np.zeros(3, int), *np.eye(3, dtype=int)[list(p)]], axis=0) for p in permutations(range(3))]
    )
    odd = np.linalg.det(paths[:, 1:].astype(float)) < 0
    paths[odd] = paths[odd][:, [0, 2, 1, 3]]
    shape = np.ptp(corners, axis=0) + 2
    low = corners.min(axis=0)
    places = (corners - low)[:, None, None] + paths
    flat = np.ravel_multi_index(tuple(np.moveaxis(places, -1, 0)), tuple(shape))
    used, tetrahedra = np.unique(flat, return_inverse=True)
    nodes = np.stack(np.unravel_index(used, tuple(shape)), axis=1) + low
    return nodes, tetrahedra.reshape(-1, 4)


def _checked_image(image: ArrayLike) -> NDArray[Any]:
    volume = np.asarray(image)
    if volume.ndim != 3:
        raise MeshError(f"the label image has shape {volume.shape}; give three axes, (i, j, k)")
    if volume.dtype == bool:
        volume = volume.astype(np.int64)
    if not np.issubdtype(volume.dtype, np.integer):
        raise MeshError(
            f"the label image holds {volume.dtype}; labels are whole numbers: convert them, image.astype(int)"
        )
    if volume.size and volume.min() < 0:
        first = tuple(map(int, np.argwhere(volume < 0)[0]))
        raise MeshError(
            f"{int((volume < 0).sum())} voxels have negative labels (the first, {first}, has {int(volume[first])}): "
            "use 0 for outside and positive numbers for compartments"
        )
    if not volume.any():
        raise MeshError(f"the label image of shape {volume.shape} is 0 throughout: nothing in it is labelled")
    return volume


def _checked_size(voxel_size: ArrayLike) -> NDArray[np.float64]:
    size = np.array(voxel_size, dtype=float)
    if size.shape not in [(), (3,)] or not (np.isfinite(size) & (size > 0)).all():
        raise MeshError(f"voxel size {voxel_size!r}: give one positive length in µm, or one for each of the three axes")
    size = np.broadcast_to(size, 3)
    said = " × ".join(f"{length:g}" for length in size)
    if size.max() < FINEST:
        raise MeshError(f"voxels of {said} µm are finer than any microscope's: if they are in mm, multiply by 1000")
    if size.max() > COARSEST:
        raise MeshError(f"voxels of {said} µm are too coarse for a cell: if they are in nm, divide by 1000")
    return size


def _checked_names(present: NDArray[Any], names: Mapping[int, str] | None) -> list[str] | None:
    labels = [int(label) for label in present]
    if names is None:
        return None if len(labels) == 1 else [str(label) for label in labels]
    if set(names) != set(labels):
        raise MeshError(
            f"the image has labels {', '.join(map(str, labels))}, but names are given for "
            f"{', '.join(map(str, sorted(names))) or 'none'}: name each label of the image"
        )
    return [names[label] for label in labels]
