"""Tables of gradients: FSL b-values and b-vectors, Camino and MRtrix schemes."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_remidi.errors import ProtocolError, TimingError
from napari_remidi.scan.orientation import image_to_world
from napari_remidi.scan.protocol import GAMMA, Protocol

Floats = NDArray[np.float64]
STEJSKAL_TANNER, B_VECTOR = ("STEJSKALTANNER", "1"), ("BVECTOR", "2")
LARGEST_SI_GRADIENT, LONGEST_SI_TIME = 10.0, 1.0  # T/m, s; above, the file is in mT/m or ms


def read_fsl(bvals: Path, bvecs: Path, volumes: int | None) -> tuple[Floats, Floats]:
    """b-values (M,) s/mm² and b-vectors (M, 3), as written; rows or columns; `volumes` as for `read_scheme`.

    Raises
    ------
    ProtocolError
        For files that are no tables, or of a wrong count.
    """
    b = _numbers(bvals, _lines(bvals)).ravel()
    _count(bvals, len(b), volumes)
    g = _numbers(bvecs, _lines(bvecs))
    if g.ndim != 2 or 3 not in g.shape:
        raise ProtocolError(
            f"{bvecs.name}: {g.size} numbers in a {'×'.join(map(str, g.shape))} table; "
            "b-vectors need 3 rows or 3 columns"
        )
    if g.shape[1] != 3 or g.shape == (3, 3):
        g = g.T
    _count(bvecs, len(g), volumes)
    if len(g) != len(b):
        raise ProtocolError(f"{bvecs.name}: {len(g)} entries, but {bvals.name} has {len(b)}: every volume needs both")
    return b, g


def read_scheme(scheme: Path, affine: Floats, volumes: int | None) -> Protocol:
    """A protocol from a Camino scheme (with a VERSION line) or an MRtrix gradient table (rows gx gy gz b, without).

    Camino's directions follow the axes of the stored image, MRtrix's the world's.

    Parameters
    ----------
    scheme : file
    affine : (4, 4) of the image as stored
    volumes : of the image, or None without one

    Raises
    ------
    ProtocolError
        For another kind of file, or a wrong count.
    TimingError
        For times in ms, where Camino has seconds.
    """
    lines = [line for line in _lines(scheme) if not line.startswith("#")]
    if lines and lines[0].upper().startswith("VERSION"):
        version = lines[0].split(":", 1)[-1].strip().upper()
        table = _numbers(scheme, lines[1:])
        if version in STEJSKAL_TANNER:
            return _stejskal_tanner(scheme, _of_width(scheme, table, 7, volumes), affine)
        if version in B_VECTOR:
            table = _of_width(scheme, table, 4, volumes)
            b = table[:, 3] * (1e-6 if table[:, 3].max() > 1e6 else 1.0)  # s/m² or s/mm²: the format leaves it open
            return Protocol.pgse(b, image_to_world(table[:, :3], affine), None, None)
        raise ProtocolError(f"{scheme.name}: VERSION {version}; the scheme must be STEJSKALTANNER (1) or BVECTOR (2)")
    table = _numbers(scheme, lines)
    if table.ndim == 2 and table.shape[1] == 7:
        raise ProtocolError(f"{scheme.name}: no VERSION line; a Camino scheme starts with 'VERSION: STEJSKALTANNER'")
    table = _of_width(scheme, table, 4, volumes)
    return Protocol.pgse(table[:, 3], table[:, :3], None, None)


def _stejskal_tanner(scheme: Path, table: Floats, affine: Floats) -> Protocol:
    """Rows gx gy gz |G| Δ δ TE in T/m and s."""
    strength, longest = table[:, 3].max(), table[:, 4:6].max()
    if longest > LONGEST_SI_TIME:
        raise TimingError(f"{scheme.name}: Delta or delta up to {longest:g} s; a scheme's times are seconds, not ms")
    if strength > LARGEST_SI_GRADIENT:
        raise ProtocolError(f"{scheme.name}: gradients up to {strength:g} T/m; a scheme has T/m, not mT/m")
    Delta, delta, te = table[:, 4:7].T * 1000
    q = GAMMA * table[:, 3] * 1000
    b = q**2 * delta**2 * (Delta - delta / 3) * 1000
    directions = image_to_world(table[:, :3], affine)
    return Protocol.pgse(b, directions, delta, Delta, te, source=f"scheme file {scheme.name}")


def _lines(path: Path) -> list[str]:
    try:
        return [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError):
        raise ProtocolError(f"{path.name}: not a text file that can be read") from None


def _numbers(path: Path, lines: list[str]) -> Floats:
    try:
        return np.array([line.replace(",", " ").split() for line in lines], dtype=np.float64)
    except ValueError:
        raise ProtocolError(f"{path.name}: not a table of numbers with rows of equal length") from None


def _of_width(path: Path, table: Floats, width: int, volumes: int | None) -> Floats:
    if table.ndim != 2 or table.shape[1] != width:
        raise ProtocolError(f"{path.name}: rows of {table.shape[-1]} numbers; this kind of scheme needs {width}")
    _count(path, len(table), volumes)
    return table


def _count(path: Path, found: int, volumes: int | None) -> None:
    if volumes is not None and found != volumes:
        raise ProtocolError(
            f"{path.name}: {found} entries, but the image has {volumes} volumes: every volume needs one"
        )
