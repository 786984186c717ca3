"""What there is to say about an axon in numbers: radius, length, bend, beads, volume; for one shape or for many.

Everything is measured on the sections of a tube. An axon with open ends continues beyond them and its spins start in
its middle, so only its middle half is measured.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline
from scipy.signal import find_peaks

from napari_remidi.shapes.calibre import middle_half, section_radii
from napari_remidi.shapes.tube import Tube

Floats = NDArray[np.float64]
UNITS = {
    "radius_mean": "µm",
    "radius_min": "µm",
    "radius_max": "µm",
    "length": "µm",
    "bend": "degrees",
    "fan": "degrees",
    "tortuosity": "",
    "bead_count": "",
    "bead_amplitude": "",
    "volume": "µm³",
    "surface": "µm²",
}
END = 4  # an end's tangent is fitted over this fraction, 1/END, of the axis
SWELLING = 0.08  # of log radius: what stands out less is no bead
BETWEEN = 8  # points of the profile per section, so that a peak between two sections is not cut off


def measured(points: Floats, tube: Tube, ends: str = "closed") -> dict[str, Floats]:
    """Quantities of tubes in the template's node order; `UNITS` names them all and their units.

    - radius_mean, radius_min, radius_max: of the sections' equivalent radii
    - length: of the line through the sections' centres, the axis
    - bend: between the tangents at both ends of the axis, degrees, 0 to 180. A tangent is that of the parabola through
      the first, or last, quarter of the axis by least squares, so that one displaced section does not turn it
    - fan: between the chords of the axis' halves, degrees. A kink in the middle has a fan as large as its bend, an
      even arc one of half its bend
    - tortuosity: length over the distance between the axis' ends
    - bead_count: peaks of the log radius, less its linear trend, that stand out by 0.08 or more; a swelling that the
      end cuts counts
    - bead_amplitude: (max − min) / (max + min) of the radius without its trend, max at a bead, min at the narrower of
      its necks, mean over the beads; 0 without beads
    - volume, surface: of the mesh, with its end caps if they are closed

    Parameters
    ----------
    points : (n, 3) µm, or (B, n, 3) for many shapes; in single precision where speed matters
    tube : whose nodes they are
    ends : "closed", or "open" for the middle half

    Returns
    -------
    name -> value, or (B,) values
    """
    many = np.asarray(points).reshape(-1, *np.shape(points)[-2:])
    along = middle_half(tube.layers) if ends == "open" else slice(0, tube.layers)
    axis = many[:, :: len(tube.section)][:, along]
    steps = np.linalg.norm(np.diff(axis, axis=1), axis=2)
    length = steps.sum(axis=1)
    middle = axis.shape[1] // 2
    radii = np.stack([section_radii(shape, tube) for shape in many])[:, along]
    beads = _beads(np.log(radii))
    between = layers_of(tube.tetrahedra, tube, along)
    found = {
        "radius_mean": radii.mean(axis=1),
        "radius_min": radii.min(axis=1),
        "radius_max": radii.max(axis=1),
        "length": length,
        "bend": _angle(_end_tangent(axis[:, ::-1]), -_end_tangent(axis)),
        "fan": _angle(axis[:, middle] - axis[:, 0], axis[:, -1] - axis[:, middle]),
        "tortuosity": length / np.linalg.norm(axis[:, -1] - axis[:, 0], axis=1),
        "bead_count": beads[:, 0],
        "bead_amplitude": beads[:, 1],
        "volume": element_volumes(many, tube.tetrahedra[between]).sum(axis=1),
        "surface": _area(many, tube.boundary[layers_of(tube.boundary, tube, along)]),
    }
    return {name: values.reshape(np.shape(points)[:-2]) for name, values in found.items()}


def element_volumes(points: Floats, tetrahedra: NDArray[np.int64]) -> Floats:
    """Signed volumes of the tetrahedra of many shapes, (B, n, 3) -> (B, m) µm³."""
    p = np.ascontiguousarray(points.transpose(2, 1, 0))  # shapes last: whole rows are gathered
    a, b, c = (p[:, tetrahedra[:, corner]] - p[:, tetrahedra[:, 0]] for corner in (1, 2, 3))
    return np.asarray(_triple(a, b, c).T / 6)


def layers_of(elements: NDArray[np.int64], tube: Tube, along: slice) -> NDArray[np.bool_]:
    """Which elements, (m, nodes), lie between the first and last section of a slice, (m,)."""
    layer = elements // len(tube.section)
    return np.asarray((layer.min(axis=1) >= along.start) & (layer.max(axis=1) < along.stop))


def _triple(a: Floats, b: Floats, c: Floats) -> Floats:
    volume = a[0] * (b[1] * c[2] - b[2] * c[1])
    volume += a[1] * (b[2] * c[0] - b[0] * c[2])
    volume += a[2] * (b[0] * c[1] - b[1] * c[0])
    return np.asarray(volume)


def _area(points: Floats, faces: NDArray[np.int64]) -> Floats:
    a, b, c = (points[:, faces[:, corner]] for corner in range(3))
    return np.linalg.norm(np.cross(b - a, c - a), axis=2).sum(axis=1) / 2


def _end_tangent(axis: Floats) -> Floats:
    """Direction at the first point of axes, (B, S, 3) -> (B, 3), into the axis."""
    count = max(3, 1 + axis.shape[1] // END)
    design = np.vander(np.linspace(0, 1, count), 3, increasing=True)
    return np.einsum("s,bsc->bc", np.linalg.pinv(design)[1], axis[:, :count])


def _angle(a: Floats, b: Floats) -> Floats:
    across = np.linalg.norm(np.cross(a, b), axis=1)
    return np.degrees(np.arctan2(across, np.einsum("bc,bc->b", a, b)))


def _beads(log_radii: Floats) -> Floats:
    """Count and mean amplitude of the beads of profiles, (B, S) -> (B, 2)."""
    sections = np.arange(log_radii.shape[1])
    line = np.vander(sections, 2)
    level = log_radii - log_radii @ np.linalg.pinv(line).T @ line.T
    fine = CubicSpline(sections, level, axis=1)(np.linspace(0, sections[-1], BETWEEN * sections[-1] + 1))
    return np.array([_beads_of(profile) for profile in fine])


def _beads_of(level: Floats) -> tuple[float, float]:
    padded = np.pad(level, 1, constant_values=level.min())  # an end may be a peak
    peaks = find_peaks(padded, prominence=SWELLING)[0] - 1
    if len(peaks) == 0:
        return 0.0, 0.0
    edges = [0, *peaks, len(level) - 1]
    necks = np.array([level[edges[i] : edges[i + 2] + 1].min() for i in range(len(peaks))])
    return float(len(peaks)), float(np.tanh((level[peaks] - necks) / 2).mean())
