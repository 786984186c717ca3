"""Published signals of MISST for a cylinder and a sphere of radius 5 µm: see data/README.md."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

TABLE = Path(__file__).parent / "data" / "misst_radius_5um.csv"
RADIUS, DIFFUSIVITY, SEPARATION = 5.0, 2.0, 40.0  # µm, µm²/ms, ms
OWN_ERROR = 1.4e-3  # of the tables, against exact modes


@dataclass(frozen=True, eq=False)
class Published:
    """One column: the shape, its pulses' duration (ms), b (k,) s/mm² and S/S0 (k,)."""

    shape: str
    delta: float
    bvals: NDArray[np.float64]
    signal: NDArray[np.float64]

    def __str__(self) -> str:
        return f"{self.shape}, δ/Δ {self.delta:g}/{SEPARATION:g} ms"


def published() -> list[Published]:
    """Cylinder and sphere, long and short pulses."""
    names = TABLE.read_text().splitlines()[0].split(",")[1:]
    b, *columns = np.loadtxt(TABLE, delimiter=",", skiprows=1).T
    return [
        Published(name.split("_")[0], float(name.split("_")[1]), b, column)
        for name, column in zip(names, columns, strict=True)
    ]
