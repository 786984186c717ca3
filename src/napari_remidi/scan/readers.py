"""Files that say how a scan was made: FSL bval/bvec, Camino and MRtrix schemes, BIDS timing."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_remidi.errors import ProtocolError, TimingError
from napari_remidi.scan.orientation import fsl_to_world, image_to_world
from napari_remidi.scan.protocol import GAMMA, Protocol

Floats = NDArray[np.float64]
TIMING_KEYS = (("SmallDelta", "BigDelta"), ("DiffusionGradientDuration", "DiffusionGradientSeparation"))


@dataclass(frozen=True)
class GradientFiles:
    """Where a scan's gradients and timing are; None where there is no such file."""

    bvals: Path | None = None
    bvecs: Path | None = None
    scheme: Path | None = None
    sidecar: Path | None = None


def gradient_files(
    image: Path, bvals: Path | None = None, bvecs: Path | None = None, scheme: Path | None = None
) -> GradientFiles:
    """The files given, or those beside an image that carry its name.

    Raises
    ------
    ProtocolError
        Where a file is missing.
    """
    stem = image.name.removesuffix(".gz").removesuffix(".nii")

    def beside(*endings: str) -> Path | None:
        candidates = [image.parent / f"{stem}{ending}" for ending in endings]
        return next((path for path in candidates if path.is_file()), None)

    for path in (bvals, bvecs, scheme):
        if path is not None and not path.is_file():
            raise ProtocolError(f"{path}: no such file")
    sidecar = beside(".json")
    if scheme is not None:
        return GradientFiles(scheme=scheme, sidecar=sidecar)
    bvals = bvals or beside(".bval", ".bvals", "_bval", "_bvals")
    bvecs = bvecs or beside(".bvec", ".bvecs", "_bvec", "_bvecs")
    if bvals and bvecs:
        return GradientFiles(bvals, bvecs, None, sidecar)
    if found := beside(".scheme", ".b"):
        return GradientFiles(scheme=found, sidecar=sidecar)
    if bvals or bvecs:
        there, kind = (bvals, "bvec") if bvals else (bvecs, "bval")
        raise ProtocolError(
            f"{image.name}: found {there.name if there else ''} but no .{kind} file: give it, or a scheme file"
        )
    raise ProtocolError(
        f"{image.name}: no gradients found (looked for {stem}.bval with {stem}.bvec, {stem}.scheme and {stem}.b): "
        "give the b-value and b-vector files, or a scheme"
    )


def read_protocol(files: GradientFiles, affine: Floats, volumes: int) -> Protocol:
    """Read gradients, take them to world axes, and add the timing that the files record.

    Raises
    ------
    ProtocolError
        For files that cannot be read or do not fit the image.
    """
    if files.scheme is None:
        assert files.bvals is not None
        assert files.bvecs is not None
        b, g = read_fsl(files.bvals, files.bvecs, volumes)
        protocol = Protocol.pgse(b, fsl_to_world(g, affine), None, None, source="not recorded")
    elif files.scheme.suffix == ".b":
        table = _table(files.scheme, (4,))
        _count(files.scheme, len(table), volumes)
        protocol = Protocol.pgse(table[:, 3], table[:, :3], None, None, source="not recorded")
    else:
        protocol = read_camino(files.scheme, affine, volumes)
    if files.sidecar is not None and not protocol.has_timing:
        timing = read_bids_timing(files.sidecar, volumes)
        if timing is not None:
            protocol = protocol.with_timing(*timing, source=f"BIDS file {files.sidecar.name}")
    return protocol


def read_fsl(bvals: Path, bvecs: Path, volumes: int) -> tuple[Floats, Floats]:
    """b-values (M,) s/mm² and b-vectors (M, 3), as written; rows or columns."""
    b = _numbers(bvals).ravel()
    _count(bvals, len(b), volumes)
    g = _numbers(bvecs)
    if g.ndim != 2 or 3 not in g.shape:
        raise ProtocolError(
            f"{bvecs.name}: {g.size} numbers in a {'×'.join(map(str, g.shape))} table; "
            "b-vectors need 3 rows or 3 columns"
        )
    if g.shape[1] != 3 or (g.shape == (3, 3) and volumes == 3):
        g = g.T
    _count(bvecs, len(g), volumes)
    return b, g


def read_camino(scheme: Path, affine: Floats, volumes: int) -> Protocol:
    """A Camino scheme: `STEJSKALTANNER` (or `1`) rows gx gy gz |G| Δ δ TE in SI units, or `BVECTOR` rows gx gy gz b."""
    version = next((line.split()[-1] for line in scheme.read_text().splitlines() if "VERSION" in line.upper()), "")
    if version.upper() in ("BVECTOR", "0", "2"):
        table = _table(scheme, (4,))
        _count(scheme, len(table), volumes)
        b = table[:, 3] * (1e-6 if table[:, 3].max() > 1e6 else 1.0)  # SI files hold s/m²
        return Protocol.pgse(b, image_to_world(table[:, :3], affine), None, None, source="not recorded")
    if version.upper() not in ("STEJSKALTANNER", "1"):
        raise ProtocolError(
            f"{scheme.name}: VERSION {version or 'line missing'}; the scheme must be STEJSKALTANNER (1) or BVECTOR"
        )
    table = _table(scheme, (7,))
    _count(scheme, len(table), volumes)
    Delta, delta, te = table[:, 4:7].T * 1000
    if Delta.max() > 1000:
        raise TimingError(f"{scheme.name}: Delta up to {table[:, 4].max():g} s; a scheme's times are seconds, not ms")
    q = GAMMA * table[:, 3] * 1000
    b = q**2 * delta**2 * (Delta - delta / 3) * 1000
    return Protocol.pgse(b, image_to_world(table[:, :3], affine), delta, Delta, te, source=f"scheme file {scheme.name}")


def read_bids_timing(sidecar: Path, volumes: int) -> tuple[Floats, Floats] | None:
    """δ and Δ in ms from a BIDS sidecar, which holds seconds; None where it records neither."""
    try:
        record = json.loads(sidecar.read_text())
    except (OSError, ValueError) as error:
        raise ProtocolError(f"{sidecar.name}: not a JSON file that can be read ({error})") from None
    for names in TIMING_KEYS:
        if all(name in record for name in names):
            delta, Delta = (np.asarray(record[name], dtype=np.float64) for name in names)
            for name, value in zip(names, (delta, Delta), strict=True):
                if value.max() > 1:
                    raise TimingError(
                        f"{sidecar.name}: {name} is {value.max():g}, which looks like milliseconds: "
                        f"BIDS records seconds ({value.max() / 1000:g})"
                    )
                if value.ndim and len(value) != volumes:
                    raise TimingError(f"{sidecar.name}: {name} has {len(value)} values, the image {volumes} volumes")
            return delta * 1000, Delta * 1000
    return None


def _numbers(path: Path) -> Floats:
    try:
        rows = [line.replace(",", " ").split() for line in path.read_text().splitlines() if line.strip()]
        return np.array(rows, dtype=np.float64)
    except (OSError, ValueError, UnicodeDecodeError):
        raise ProtocolError(f"{path.name}: not a table of numbers with rows of equal length") from None


def _table(path: Path, widths: tuple[int, ...]) -> Floats:
    lines = [line for line in path.read_text().splitlines() if line.strip() and line.lstrip()[0] not in "#V"]
    try:
        table = np.array([line.split() for line in lines], dtype=np.float64)
    except ValueError:
        raise ProtocolError(f"{path.name}: not a table of numbers with rows of equal length") from None
    if table.ndim != 2 or table.shape[1] not in widths:
        wanted = " or ".join(map(str, widths))
        raise ProtocolError(f"{path.name}: rows of {table.shape[-1]} numbers; this kind of scheme needs {wanted}")
    return table


def _count(path: Path, found: int, volumes: int) -> None:
    if found != volumes:
        raise ProtocolError(
            f"{path.name}: {found} entries, but the image has {volumes} volumes: every volume needs one"
        )
