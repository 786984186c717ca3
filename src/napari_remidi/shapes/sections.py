"""An axon as a stack of sections, and as fields along its centreline.

A section is an affine image of the unit disc: its centre c and a map B, (3, 2), whose columns span its plane. Round
or elliptic, upright or slanted, every family's axon is a stack of them. Seven fields along the centreline say the
same, independent of pose and of how nodes are labelled:

    a, b      two angles of the rotation that takes +z to the centreline's direction
    log r     r² the determinant of B in the section's plane
    c, s      with B = r exp [[c, s], [s, −c]] there: the ellipse
    p, q      by how much the two angles of the section's normal fall short of a and b

A cylinder sheared along its axis has normals that never turn: p = a and q = b.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline

Floats = NDArray[np.float64]
SAMPLES = 161
FINE = 8  # times as many points measure the centreline's length
FIELDS = 7
STRAIGHT = 1e-4  # of the length: a centreline that bends less has no direction of its bend


@dataclass(frozen=True, eq=False)
class AxonFields:
    """One axon, end to end along z and its mean bend in the x-z plane, towards +x.

    Attributes
    ----------
    kind : of `families.EFFECTS`, or what made it
    fields : (7, S) a, b (rad), log r (log µm), c, s, p, q (rad), evenly spaced along the centreline
    length : µm, of the centreline
    parameters : what was drawn
    """

    kind: str
    fields: Floats
    length: float
    parameters: dict[str, Any]


def fields_of(centres: Floats, maps: Floats) -> tuple[Floats, float]:
    """Fields (7, S) and length of a stack of sections, in the canonical pose.

    Parameters
    ----------
    centres : (N, 3) µm, from one end to the other
    maps : (N, 3, 2) µm
    """
    knots = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(centres, axis=0), axis=1))])
    line, plane = CubicSpline(knots, centres), CubicSpline(knots, maps)
    fine = np.linspace(0, knots[-1], FINE * (SAMPLES - 1) + 1)
    speed = np.linalg.norm(line(fine, 1), axis=1)
    arc = np.concatenate([[0.0], np.cumsum((speed[1:] + speed[:-1]) / 2 * np.diff(fine))])
    at = np.interp(np.linspace(0, arc[-1], SAMPLES), arc, fine)
    pose = canonical_pose(line(at), plane(at))
    tangents = line(at, 1) @ pose.T
    sections = np.einsum("ij,njk->nik", pose, plane(at))
    normals = np.cross(sections[:, :, 0], sections[:, :, 1])
    normals *= np.sign((normals * tangents).sum(axis=1, keepdims=True))
    bend, lean = angles_of(tangents), angles_of(normals)
    inside = np.einsum("knx,nxj->nkj", np.stack(frames_of(lean)), sections)
    shares, axes = np.linalg.eigh(inside @ inside.transpose(0, 2, 1))
    logarithm = np.einsum("nij,nj,nkj->nik", axes, np.log(shares) / 2, axes)
    calibre = np.trace(logarithm, axis1=1, axis2=2) / 2
    ellipse = np.stack([(logarithm[:, 0, 0] - logarithm[:, 1, 1]) / 2, logarithm[:, 0, 1]])
    return np.concatenate([bend, calibre[None], ellipse, bend - lean]), float(arc[-1])


def canonical_pose(centres: Floats, maps: Floats | None = None) -> Floats:
    """Rotation (3, 3) that brings a centreline, (N, 3), end to end along z and its mean bend towards +x.

    Of a straight one it brings the widest direction of the sections, (N, 3, 2), to x.
    """
    chord = centres[-1] - centres[0]
    upright = smallest_rotation(chord / np.linalg.norm(chord)).T
    sideways = ((centres - centres[0]) @ upright.T)[:, :2]
    values, vectors = np.linalg.eigh(sideways.T @ sideways / len(sideways))
    towards = vectors[:, -1] * (np.sign((sideways @ vectors[:, -1]).sum()) or 1.0)
    if values[-1] <= (STRAIGHT * np.linalg.norm(chord)) ** 2:
        if maps is None:
            return upright
        across = (upright @ maps)[:, :2]
        towards = np.linalg.eigh((across @ across.transpose(0, 2, 1)).mean(axis=0))[1][:, -1]
    x, y = towards
    return np.array([[x, y, 0], [-y, x, 0], [0, 0, 1]]) @ upright


def angles_of(directions: Floats) -> Floats:
    """The rotation vector's two components that takes +z to directions, (N, 3) of any length -> (2, N)."""
    across = np.hypot(directions[:, 0], directions[:, 1])
    ratio = np.arctan2(across, directions[:, 2]) / np.maximum(across, 1e-12)
    return np.stack([directions[:, 0] * ratio, directions[:, 1] * ratio])


def directions_of(angles: Floats) -> Floats:
    """The inverse, (2, N) -> unit vectors (N, 3)."""
    turn = np.hypot(*angles)
    ratio = np.sinc(turn / np.pi)
    return np.stack([angles[0] * ratio, angles[1] * ratio, np.cos(turn)], axis=1)


def frames_of(angles: Floats) -> tuple[Floats, Floats]:
    """x and y turned by the smallest rotation from +z to the directions of angles (2, N): (N, 3) each."""
    x, y, z = directions_of(angles).T
    share = 1 / np.maximum(1 + z, 1e-3)
    return (
        np.stack([1 - x * x * share, -x * y * share, -x], axis=1),
        np.stack([-x * y * share, 1 - y * y * share, -y], axis=1),
    )


def smallest_rotation(direction: Floats) -> Floats:
    """Rotation whose product from the right takes rows along a direction to +z."""
    if direction[2] < -0.999:
        return np.diag([1.0, -1.0, -1.0])
    first, second = frames_of(angles_of(direction[None]))
    return np.stack([first[0], second[0], direction], axis=1)
