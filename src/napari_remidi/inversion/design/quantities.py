"""What a user asks of an axon in numbers, and how these change with its latent."""

import numpy as np
from numpy.typing import NDArray

from napari_remidi.shapes.calibre import axis_length, directions, measured_sections, section_centres, section_radii
from napari_remidi.shapes.tube import Tube

Floats = NDArray[np.float64]
UNITS = {
    "radius": "µm",
    "least radius": "µm",
    "greatest radius": "µm",
    "bend": "°",
    "beads": "%",
    "length": "µm",
    "surface": "µm",
}
STEP = 1e-3  # of the latent, for derivatives


def quantities_of(points: Floats, tube: Tube, ends: str) -> dict[str, float]:
    """Quantities of a tube by name, in `UNITS`.

    - radius, least radius, greatest radius: of the circle with a section's area, along the axis
    - bend: between the axis' directions at both ends, 0 to 180°, as `shapes.quantities` has it
    - beads: their amplitude in percent of the radius, √2 times the standard deviation of the log radius about a
      straight line (a taper is no bead)
    - length: of the line through the sections' centres; an axon with open ends, a window of fixed length, has none

    Parameters
    ----------
    points : (n, 3) µm
    tube : whose nodes they are
    ends : "closed", or "open" for the middle half alone, where the spins are
    """
    along = measured_sections(tube, ends)
    radii = section_radii(points, tube)[along]
    tangents = directions(section_centres(points, tube)[along])
    found = {
        "radius": radii.mean(),
        "least radius": radii.min(),
        "greatest radius": radii.max(),
        "bend": _angle(tangents[0], tangents[-1]),
        "beads": 100 * np.sqrt(2) * _without_line(np.log(radii)).std(),
    }
    if ends == "closed":
        found["length"] = float(axis_length(points, tube))
    return {name: float(value) for name, value in found.items()}


def quantity_changes(points: Floats, velocities: Floats, tube: Tube, ends: str) -> Floats:
    """Derivative of `quantities_of` when the nodes move, (d, n, 3) -> (Q, d), by central differences."""

    def moved(step: float) -> Floats:
        return np.array([list(quantities_of(points + step * velocity, tube, ends).values()) for velocity in velocities])

    return (moved(STEP) - moved(-STEP)).T / (2 * STEP)


def _angle(a: Floats, b: Floats) -> float:
    return float(np.degrees(np.arctan2(np.linalg.norm(np.cross(a, b)), a @ b)))


def _without_line(values: Floats) -> Floats:
    place = np.arange(len(values))
    return values - np.polyval(np.polyfit(place, values, 1), place)
