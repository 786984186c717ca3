"""What commands are given: scans, protocols, voxels and meshes."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from napari_remidi.scan import Protocol, Scan

PAPER = ("paper", "ReMiDi paper")  # presets that are a whole protocol
GRADIENTS = ("bvals", "bvecs", "scheme", "delta", "Delta", "preset")  # of `options.gradient_options`


def opened(
    dwi: Path,
    bvals: Any = None,
    bvecs: Any = None,
    scheme: Any = None,
    delta: Any = None,
    Delta: Any = None,
    preset: Any = None,
) -> "Scan":
    """A scan, with the timing of a preset if one is named."""
    from napari_remidi.scan import Scan

    scan = Scan.open(dwi, bvals, bvecs, scheme, delta, Delta)
    return scan if preset is None else scan.with_protocol(scan.protocol.with_preset(preset))


def protocol_of(dwi: Path | None, preset: Any = None, **gradients: Any) -> "Protocol":
    """A scan's, that of gradient files alone, or the paper's."""
    from napari_remidi.scan import Protocol, open_protocol

    if dwi is not None:
        return opened(dwi, preset=preset, **gradients).protocol
    if any(gradients[name] for name in ("bvals", "bvecs", "scheme")):
        protocol = open_protocol(**gradients)
        return protocol if preset is None else protocol.with_preset(preset)
    if preset in PAPER:
        return Protocol.paper()
    raise click.UsageError("give a DWI file, --bvals with --bvecs, --scheme, or --preset paper")
