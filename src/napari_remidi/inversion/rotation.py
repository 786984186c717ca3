"""Small rotations and grids of them."""

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

Floats = NDArray[np.float64]


def turned(rotation: Floats, increment: Floats) -> Floats:
    """A rotation, (3, 3), turned by a rotation vector in the world's frame, (3,) rad."""
    return Rotation.from_rotvec(increment).as_matrix() @ rotation


def change_of_direction(directions: Floats) -> Floats:
    """Derivative of directions as the body sees them, (M, 3), with respect to `turned`'s increment: (M, 3, 3).

    Turning the body by ω is turning the gradients by −ω: dg = −ω × g, written in the world's frame.
    """
    x, y, z = directions.T
    zero = np.zeros_like(x)
    return np.stack([zero, -z, y, z, zero, -x, -y, x, zero], axis=1).reshape(-1, 3, 3)


def rotations_about(
    axis: Floats, turns: int = 16, tilts: tuple[tuple[float, int], ...] = ((12.0, 6), (26.0, 8))
) -> Floats:
    """Rotations that bring +z near ± an axis: both senses, some tilts (degrees, how many around), all turns; (R, 3,
    3).
    """
    to_axis = Rotation.align_vectors([axis], [[0.0, 0.0, 1.0]])[0].as_matrix()
    towards = [np.zeros((1, 3))]
    for degrees, around in tilts:
        phase = np.arange(around) * 2 * np.pi / around
        towards.append(np.deg2rad(degrees) * np.stack([np.cos(phase), np.sin(phase), 0 * phase], axis=1))
    lean = Rotation.from_rotvec(np.concatenate(towards)).as_matrix()
    sense = Rotation.from_rotvec([[0, 0, 0], [np.pi, 0, 0]]).as_matrix()
    spin = Rotation.from_rotvec(np.outer(np.arange(turns) * 2 * np.pi / turns, [0, 0, 1])).as_matrix()
    return np.einsum("ab,lbc,scd,tde->lstae", to_axis, lean, sense, spin, optimize=True).reshape(-1, 3, 3)
