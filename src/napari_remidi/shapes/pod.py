"""The basis that holds the low Laplacian modes of every shape of a family, in the template's node numbering."""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray

from napari_remidi.physics.matrices.assembly import Topology
from napari_remidi.physics.reduction.modes import sparse_modes
from napari_remidi.shapes.tube import Tube

Floats = NDArray[np.float64]


def pod_basis(
    shapes: list[Floats], tube: Tube, modes: int, size: int, progress: Callable[[float], None] = lambda done: None
) -> NDArray[np.float32]:
    """Proper orthogonal decomposition of the shapes' modes.

    Parameters
    ----------
    shapes : nodes of family members, (n, 3) µm each
    tube : their template
    modes : how many of each shape's lowest modes are wanted
    size : columns R of the basis
    progress : told the share done

    Returns
    -------
    (n, R) float32, orthonormal columns
    """
    topology = Topology.of(tube.tetrahedra)
    columns = []
    for index, points in enumerate(shapes):
        entries = topology.entries(torch.as_tensor(points))
        _, vectors = sparse_modes(topology, entries, modes)
        vectors = vectors / vectors.norm(dim=0)
        # the lowest modes carry the signal: the later ones count for less
        weight = 1 / (1 + (torch.arange(modes, dtype=torch.float64) / (0.6 * modes)) ** 4)
        columns.append((vectors * weight).numpy())
        progress((index + 1) / len(shapes))
    snapshots = np.concatenate(columns, axis=1)
    shares, axes = np.linalg.eigh(snapshots @ snapshots.T)
    return np.ascontiguousarray(axes[:, np.argsort(shares)[::-1][:size]]).astype(np.float32)
