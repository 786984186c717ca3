"""What there is to say about an axon in numbers: radius, length, bend, beads, volume; for one shape or for many.

Everything is measured on the sections of a tube. An axon with open ends continues beyond them and its spins start in
its middle, so only its middle half is measured.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline
from scipy.signal import find_peaks

from napari_remidi.physics.mesh import boundary_faces
from napari_remidi.shapes.calibre import directions, measured_sections, section_areas, section_centres, section_radii
from napari_remidi.shapes.tube import Tube

Floats = NDArray[np.float64]
UNITS = {
    "radius_mean": "µm",
    "radius_min": "µm",
    "radius_max": "µm",
    "length": "µm",
    "bend": "°",
    "fan": "°",
    "tortuosity": "",
    "bead_count": "",
    "bead_amplitude": "",
    "volume": "µm³",
    "surface": "µm²",
}
SWELLING = 0.1  # of log radius: what stands out less is no bead
BETWEEN = 8  # points of the profile per section, so that a peak between two sections is not cut off


def quantities(points: Floats, tube: Tube, ends: str = "closed") -> dict[str, Floats]:
    """Quantities of tubes in the template's node order; `UNITS` names them all and their units.

    - radius_mean, radius_min, radius_max: of the sections; a section's radius is that of the circle with its area, seen
      along the axis
    - length: of the axis, the line through the sections' centres
    - bend: the angle between the axis' directions at both ends, 0° to 180°. An arc's is its angle; an S leaves as it
      came, at 0°
    - fan: the greatest angle between its directions at two places. A fanning axon's is its fan
    - tortuosity: length over the distance between the axis' ends
    - bead_count: maxima of the radius between the ends that stand out by 10 % or more on both sides; a bead's radius is
      that of the section in its own plane, so that a change of its slant is none
    - bead_amplitude: (max - min) / (max + min) of the radius, max at a bead, min at the narrower of its necks, mean
      over the beads; 0 without beads. That of r (1 + a sin) is a
    - volume, surface: of the mesh; the surface with its end caps if they are closed

    Parameters
    ----------
    points : (n, 3) µm, or (..., n, 3) for many shapes
    tube : whose nodes they are
    ends : "closed", or "open" for the middle half

    Returns
    -------
    name -> value, or (...) values
    """
    along = measured_sections(tube, ends)
    axis = section_centres(points, tube)[..., along, :]
    length = np.linalg.norm(np.diff(axis, axis=-2), axis=-1).sum(axis=-1)
    distance = np.linalg.norm(axis[..., -1, :] - axis[..., 0, :], axis=-1)
    tangents = directions(axis)
    areas = section_areas(points, tube)
    radii = section_radii(points, tube, areas)[..., along]
    count, amplitude = _beads(np.log(np.linalg.norm(areas[..., along, :], axis=-1)) / 2)
    faces, wall = _faces(tube, ends)
    face_areas = _face_areas(points, faces)
    return {
        "radius_mean": radii.mean(axis=-1),
        "radius_min": radii.min(axis=-1),
        "radius_max": radii.max(axis=-1),
        "length": length,
        "bend": _angle(np.einsum("...x,...x->...", tangents[..., 0, :], tangents[..., -1, :])),
        "fan": _angle(np.einsum("...ix,...jx->...ij", tangents, tangents).min(axis=(-2, -1))),
        "tortuosity": np.maximum(length / distance, 1.0),  # less by rounding only
        "bead_count": count,
        "bead_amplitude": amplitude,
        "volume": _enclosed(points, faces, face_areas),
        "surface": np.sqrt(np.square(face_areas[:, ..., wall]).sum(axis=0)).sum(axis=-1),
    }


@lru_cache(maxsize=8)
def _faces(tube: Tube, ends: str) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Around what is measured, caps included, (k, 3), and which of them are the tube's own surface, (k,)."""
    along = measured_sections(tube, ends)
    faces = boundary_faces(tube.tetrahedra[_within(tube.tetrahedra, tube, along)])
    own = set(map(frozenset, tube.boundary.tolist()))
    return faces, np.array([frozenset(face) in own for face in faces.tolist()])


def _within(elements: NDArray[np.int64], tube: Tube, along: slice) -> NDArray[np.bool_]:
    """Which elements, (m, nodes), lie between the first and last section of a slice, (m,)."""
    layer = elements // len(tube.section)
    return np.asarray((layer.min(axis=1) >= along.start) & (layer.max(axis=1) < along.stop))


def _face_areas(points: Floats, faces: NDArray[np.int64]) -> Floats:
    """Area vectors of triangles, by coordinate, (3, ..., k) µm²."""
    corners = np.ascontiguousarray(np.moveaxis(points, -1, 0))[..., faces.T]
    (bx, by, bz), (cx, cy, cz) = (corners[..., corner, :] - corners[..., 0, :] for corner in (1, 2))
    return np.stack([by * cz - bz * cy, bz * cx - bx * cz, bx * cy - by * cx]) / 2


def _enclosed(points: Floats, faces: NDArray[np.int64], areas: Floats) -> Floats:
    """Volume inside closed surfaces, by the divergence theorem; of a mirror image too."""
    heights = np.moveaxis(points - points.mean(axis=-2, keepdims=True), -1, 0)[..., faces[:, 0]]
    return np.abs((heights * areas).sum(axis=(0, -1))) / 3


def _angle(cosine: Floats) -> Floats:
    return np.degrees(np.arccos(np.clip(cosine, -1, 1)))


def _beads(log_radii: Floats) -> tuple[Floats, Floats]:
    """Count and mean amplitude of the beads of profiles, (..., S) -> (...) each."""
    fine = log_radii @ _splined(log_radii.shape[-1])
    found = np.array([_beads_of(profile) for profile in fine.reshape(-1, fine.shape[-1])])
    count, amplitude = found.T.reshape(2, *log_radii.shape[:-1])
    return count, amplitude


@lru_cache(maxsize=8)
def _splined(sections: int) -> Floats:
    """From values at sections to those of the cubic spline through them, (S, fine)."""
    last = sections - 1
    return np.asarray(CubicSpline(np.arange(sections), np.eye(sections))(np.linspace(0, last, BETWEEN * last + 1)).T)


def _beads_of(profile: Floats) -> tuple[float, float]:
    peaks = find_peaks(profile, prominence=SWELLING)[0]
    if len(peaks) == 0:
        return 0.0, 0.0
    edges = [0, *peaks, len(profile) - 1]
    necks = [profile[edges[i] : edges[i + 2] + 1].min() for i in range(len(peaks))]
    return float(len(peaks)), float(np.tanh((profile[peaks] - necks) / 2).mean())
