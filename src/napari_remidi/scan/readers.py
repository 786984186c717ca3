"""The files that say how a scan was made: finding them beside an image, and a protocol from them."""

from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_remidi.errors import ProtocolError
from napari_remidi.scan.bids import RecordedTiming, read_bids_timing
from napari_remidi.scan.gradients import read_fsl, read_scheme
from napari_remidi.scan.orientation import fsl_to_world
from napari_remidi.scan.protocol import Protocol

Floats = NDArray[np.float64]
PathLikeStr = str | PathLike[str]


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
    """The files given, or those beside an image that carry its name, or `bvals` and `bvecs` in its folder.

    Raises
    ------
    ProtocolError
        Where a file is missing.
    """
    stem = image.name.removesuffix(".gz").removesuffix(".nii")

    def beside(*names: str) -> Path | None:
        return next((path for name in names if (path := image.parent / name).is_file()), None)

    for path in (bvals, bvecs, scheme):
        if path is not None and not path.is_file():
            raise ProtocolError(f"{path}: no such file")
    sidecar = beside(f"{stem}.json")
    if scheme is not None:
        return GradientFiles(scheme=scheme, sidecar=sidecar)
    own_b = bvals or beside(*(f"{stem}{ending}" for ending in (".bval", ".bvals", "_bval", "_bvals")))
    own_g = bvecs or beside(*(f"{stem}{ending}" for ending in (".bvec", ".bvecs", "_bvec", "_bvecs")))
    if own_b and own_g:
        return GradientFiles(own_b, own_g, None, sidecar)
    if found := beside(f"{stem}.scheme", f"{stem}.b"):
        return GradientFiles(scheme=found, sidecar=sidecar)
    if own_b or own_g:
        there, lacking = (own_b, "bvec") if own_b else (own_g, "bval")
        name = there.name if there else ""
        raise ProtocolError(f"{image.name}: found {name} but no .{lacking} file: give it, or a scheme file")
    folder_b, folder_g = beside("bvals", "bval"), beside("bvecs", "bvec")
    if folder_b and folder_g:
        return GradientFiles(folder_b, folder_g, None, sidecar)
    raise ProtocolError(
        f"{image.name}: no gradients found (looked for {stem}.bval with {stem}.bvec, {stem}.scheme and {stem}.b): "
        "give the b-value and b-vector files, or a scheme"
    )


def read_protocol(files: GradientFiles, affine: Floats, volumes: int | None) -> Protocol:
    """Read gradients, take them to world axes, and add the timing that the files record.

    Parameters
    ----------
    files : what to read
    affine : (4, 4) of the image as stored, which FSL's and Camino's directions refer to
    volumes : of the image, or None without one

    Raises
    ------
    ProtocolError
        For files that cannot be read or do not fit the image.
    """
    if files.scheme is not None:
        protocol = read_scheme(files.scheme, affine, volumes)
    elif files.bvals is not None and files.bvecs is not None:
        b, g = read_fsl(files.bvals, files.bvecs, volumes)
        protocol = Protocol.pgse(b, fsl_to_world(g, affine), None, None)
    else:
        raise ProtocolError("no gradients: give the b-value and b-vector files, or a scheme")
    if files.sidecar is None or protocol.has_timing:
        return protocol
    return _with_recorded(protocol, read_bids_timing(files.sidecar, len(protocol)))


def open_protocol(
    bvals: PathLikeStr | None = None,
    bvecs: PathLikeStr | None = None,
    scheme: PathLikeStr | None = None,
    delta: ArrayLike | None = None,
    Delta: ArrayLike | None = None,
) -> Protocol:
    """A protocol from gradient files alone; b-vectors and a BIDS sidecar of the same name are found beside them.

    Without the image's affine, the directions of FSL and Camino files may be a rotation or a mirror image of those in
    the world: right for asking what a protocol can see, wrong for a reconstruction.

    Parameters
    ----------
    bvals, bvecs : FSL files
    scheme : a Camino or MRtrix file instead
    delta, Delta : ms, scalar or (M,), where no file records them, or to overrule it

    Raises
    ------
    ProtocolError
        For files that are missing or cannot be read.
    """
    given = [None if p is None else Path(p).expanduser() for p in (bvals, bvecs, scheme)]
    named = next((path for path in reversed(given) if path is not None), None)
    if named is None:
        raise ProtocolError("no gradients: give the b-value and b-vector files, or a scheme")
    protocol = read_protocol(gradient_files(named.with_suffix(""), *given), np.eye(4), None)
    return protocol if delta is None and Delta is None else protocol.with_timing(delta, Delta)


def _with_recorded(protocol: Protocol, timing: RecordedTiming) -> Protocol:
    if timing.delta is None and timing.Delta is None:
        return protocol
    return Protocol.pgse(protocol.bvals, protocol.bvecs, timing.delta, timing.Delta, protocol.te, source=timing.source)
