"""From a mesh in the template's node order back to fields along its centreline."""

import numpy as np
from numpy.typing import NDArray

from napari_remidi.shapes.sections import AxonFields, fields_of
from napari_remidi.shapes.tube import Tube

Floats = NDArray[np.float64]


def fitted_fields(points: Floats, tube: Tube) -> AxonFields:
    """Fields of a tube's nodes, (n, 3) µm, by least squares: every section the affine image of the template's."""
    layers = points.reshape(tube.layers, -1, 3)
    affine = np.einsum("sk,nsx->nkx", np.linalg.pinv(tube.disc), layers)
    fields, length = fields_of(affine[:, 0], affine[:, 1:].transpose(0, 2, 1))
    return AxonFields("fitted", fields, length, {})
