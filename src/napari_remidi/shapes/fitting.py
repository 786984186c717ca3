"""From a mesh in the template's node order back to fields along its axis."""

import numpy as np
from numpy.typing import NDArray

from napari_remidi.shapes.families import AxonFields, canonical, smallest_rotation
from napari_remidi.shapes.tube import Tube

Floats = NDArray[np.float64]


def fitted_fields(points: Floats, tube: Tube) -> AxonFields:
    """Centreline directions, radii and length of a tube's nodes, (n, 3) µm, in the canonical pose.

    The centre nodes give the centreline, the outermost ring the radius and its m = 2 parts, by least squares.
    """
    count = len(tube.section)
    layers = points.reshape(tube.layers, count, 3)
    centre = layers[:, 0]
    steps = np.diff(centre, axis=0)
    length = float(np.linalg.norm(steps, axis=1).sum())
    chord = centre[-1] - centre[0]
    upright = smallest_rotation(chord / np.linalg.norm(chord))
    layers = (layers - centre.mean(axis=0)) @ upright
    # directions at the nodes from those of the intervals between them: means inside, extrapolated at the ends
    between = steps @ upright
    between /= np.linalg.norm(between, axis=1, keepdims=True)
    angles = _angles(between)
    inner = (angles[:, 1:] + angles[:, :-1]) / 2
    first, last = 2 * angles[:, :1] - inner[:, :1], 2 * angles[:, -1:] - inner[:, -1:]
    angles = np.concatenate([first, inner, last], axis=1)
    rim = np.flatnonzero(tube.section[:, 0] > tube.section[:, 0].max() - 1e-9)
    offsets = layers[:, rim] - layers[:, :1]
    angle = tube.section[rim, 1]
    design = np.stack([np.ones_like(angle), np.cos(2 * angle), np.sin(2 * angle)], axis=1)
    reach = np.log(np.linalg.norm(offsets, axis=2) / tube.section[rim[0], 0])
    calibre = np.linalg.lstsq(design, reach.T, rcond=None)[0]
    fields = np.concatenate([angles, calibre])
    return canonical(AxonFields("fitted", fields, length, {}))


def _angles(tangents: Floats) -> Floats:
    across = np.hypot(tangents[:, 0], tangents[:, 1])
    ratio = np.arctan2(across, tangents[:, 2]) / np.maximum(across, 1e-9)
    return np.stack([tangents[:, 0] * ratio, tangents[:, 1] * ratio])
