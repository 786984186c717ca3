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
    to_axis = Rotation.align_vectors([axis], [[0.0, 0.0, 1.0]])[0]
    leaning = [Rotation.identity()]
    for degrees, around in tilts:
        for phase in np.arange(around) * 2 * np.pi / around:
            leaning.append(Rotation.from_rotvec(np.deg2rad(degrees) * np.array([np.cos(phase), np.sin(phase), 0])))
    spins = [Rotation.from_rotvec([0, 0, phase]) for phase in np.arange(turns) * 2 * np.pi / turns]
    senses = [Rotation.identity(), Rotation.from_rotvec([np.pi, 0, 0])]
    return np.array(
        [(to_axis * lean * sense * spin).as_matrix() for lean in leaning for sense in senses for spin in spins]
    )
