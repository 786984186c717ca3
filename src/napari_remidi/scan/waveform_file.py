"""Samples of a waveform from a text file or a NumPy array."""

from os import PathLike
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_remidi.errors import ProtocolError

Floats = NDArray[np.float64]


def read_samples(path: str | PathLike[str]) -> tuple[Floats, Floats | None, str]:
    """Samples (T, 3) mT/m, their times (T,) ms or None, and the file's name without its ending.

    Columns gx gy gz, or t gx gy gz; in text, separated by blanks or commas, `#` starts a remark.

    Raises
    ------
    ProtocolError
        For a file that cannot be read, is no table of numbers, or has another number of columns.
    """
    file = Path(path)
    if not file.is_file():
        raise ProtocolError(f"{file}: no such file")
    table = _array(file) if file.suffix == ".npy" else _text(file)
    if table.ndim != 2 or table.shape[1] not in (3, 4):
        shape = "×".join(map(str, table.shape)) or "single number"
        raise ProtocolError(f"{file.name}: a {shape} table; a waveform has columns gx gy gz, or t gx gy gz")
    return table[:, -3:], table[:, 0] if table.shape[1] == 4 else None, file.stem


def _array(file: Path) -> Floats:
    try:
        return np.load(file, allow_pickle=False).astype(np.float64)
    except (OSError, ValueError, TypeError, EOFError, AttributeError):
        raise ProtocolError(f"{file.name}: not a NumPy array of numbers that can be read") from None


def _text(file: Path) -> Floats:
    try:
        lines = [line.split("#")[0].replace(",", " ").split() for line in file.read_text("utf-8-sig").splitlines()]
        return np.array([line for line in lines if line], dtype=np.float64)
    except (OSError, UnicodeDecodeError, ValueError):
        raise ProtocolError(f"{file.name}: not a table of numbers with rows of equal length") from None
