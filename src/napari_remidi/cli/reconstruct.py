"""`napari-remidi reconstruct`: the axons of one voxel or of many."""

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from napari_remidi.cli.inputs import GRADIENTS, opened
from napari_remidi.cli.options import Command, as_json_option, device_option, gradient_options, settings_options
from napari_remidi.cli.terminal import TerminalProgress, print_table, radius_words, warn
from napari_remidi.errors import InputError
from napari_remidi.inversion.solution import CANCELLED

if TYPE_CHECKING:
    from napari_remidi.scan import Scan

INTERRUPTED = 130  # exit status, as shells have it


@click.command(cls=Command)
@click.argument("dwi", type=click.Path(path_type=Path), required=False)
@click.option("--voxel", help="I,J,K in closest canonical (RAS+) order, as the window shows them.")
@click.option("--mask", type=click.Path(path_type=Path), help="A 3D NIfTI: reconstruct every voxel that is not zero.")
@click.option("--from", "record", type=click.Path(path_type=Path), help="Repeat the run that wrote this report .json.")
@click.option("-o", "--out", type=click.Path(path_type=Path), default=Path("remidi"), show_default=True)
@gradient_options
@settings_options
@device_option
@as_json_option
def reconstruct(
    dwi: Path | None,
    voxel: str | None,
    mask: Path | None,
    record: Path | None,
    out: Path,
    device: str,
    as_json: bool,
    **options: Any,
) -> None:
    """Reconstruct the axon of a voxel, or of every voxel of a mask.

    Ctrl-C stops after the running step and writes the voxel's best shape so far, marked as such.
    """
    from napari_remidi.results.batch import read_record, reconstruct_voxels
    from napari_remidi.results.words import fit_words, quantity_lines, sentence

    gradients = {name: options.pop(name) for name in GRADIENTS}
    settings: dict[str, Any] = {**options, "device": device}
    voxels: list[tuple[int, int, int]]
    if record is not None:
        dwi, gradients, voxel_of_record, settings = read_record(record)
        voxels, settings["device"] = [voxel_of_record], device
    if dwi is None:
        raise click.UsageError("give a DWI file, or --from a report")
    scan = opened(dwi, **gradients)
    if record is None:
        voxels = _voxels(scan, voxel, mask)
    given = {name: value for name, value in gradients.items() if value is not None}
    source = {
        "scan": str(dwi.resolve()),
        **{k: str(v.resolve()) if isinstance(v, Path) else v for k, v in given.items()},
    }
    with TerminalProgress(as_json) as progress:
        reports, failures = reconstruct_voxels(scan, voxels, settings, source, out, progress.iterates)
    if as_json:
        click.echo(json.dumps({"axons": reports, "failures": failures}, indent=1))
    else:
        rows = []
        for r in reports:
            explained = f"{100 * r['variance_explained']:.2f} %"
            where = ", ".join(map(str, r["source"]["voxel"]))
            rows.append(
                (where, radius_words(r), explained, f"{r['chi2_per_dof']:.2f}", fit_words(r), f"{r['seconds']:.1f}")
            )
        print_table(("voxel", "radius, µm", "variance explained", "χ²/dof", "fit test", "seconds"), rows)
        if len(reports) == 1:
            print_table(("quantity", "value (90 % interval)"), quantity_lines(reports[0]))
            for note in filter(None, (reports[0]["symmetry"], reports[0]["simple"])):
                click.echo(sentence(note))
        click.echo(f"Written to {out}{os.sep}: for every voxel axon .ply, .npz, report .json and picture .png")
    for r in reports:
        warn(f"voxel {', '.join(map(str, r['source']['voxel']))}", r)
    for failure in failures:
        click.echo(f"voxel {failure['voxel']}: {failure['error']}", err=True)
    if any(r["stop_reason"] == CANCELLED for r in reports):
        sys.exit(INTERRUPTED)
    if failures:
        sys.exit(1)


def _voxels(scan: "Scan", voxel: str | None, mask: Path | None) -> list[tuple[int, int, int]]:
    if (voxel is None) == (mask is None):
        raise click.UsageError("give either --voxel I,J,K or --mask FILE")
    if voxel is not None:
        try:
            i, j, k = (int(part) for part in voxel.replace(" ", "").split(","))
        except ValueError:
            raise click.UsageError(f"--voxel {voxel!r}: give three indices, for example 40,35,0") from None
        return [(i, j, k)]
    assert mask is not None
    import nibabel
    import numpy as np

    try:
        image = nibabel.as_closest_canonical(nibabel.load(mask))
        inside = np.asarray(image.dataobj) > 0
    except (OSError, EOFError, nibabel.filebasedimages.ImageFileError):
        raise InputError(f"{mask}: not a NIfTI image that can be read") from None
    if inside.shape != scan.shape[:3]:
        raise InputError(f"{mask}: the mask has shape {inside.shape}, the scan {scan.shape[:3]}: they must be the same")
    if not inside.any():
        raise InputError(f"{mask}: the mask is empty: mark at least one voxel")
    return [(int(i), int(j), int(k)) for i, j, k in np.argwhere(inside)]
