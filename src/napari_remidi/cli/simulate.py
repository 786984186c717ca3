"""`napari-remidi simulate`: the signal of a cell."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from napari_remidi.cli.inputs import opened
from napari_remidi.cli.options import DEFAULTS, Command, as_json_option, device_option, gradient_options
from napari_remidi.cli.terminal import print_table


@click.command(cls=Command)
@click.argument("mesh", type=click.Path(path_type=Path))
@click.option("--dwi", type=click.Path(path_type=Path), help="Take this scan's protocol; default: the ReMiDi paper's.")
@gradient_options
@click.option("--diffusivity", type=float, default=DEFAULTS["diffusivity"], show_default=True, help="µm²/ms.")
@click.option("--ends", type=click.Choice(["closed", "open"]), default="closed", show_default=True)
@click.option("--tolerance", type=float, default=1e-3, show_default=True, help="Of S/S0, for modes and time steps.")
@click.option("--scale", type=float, default=1.0, show_default=True, help="Factor to µm: 1000 for a mesh in mm.")
@click.option(
    "-o", "--out", type=click.Path(path_type=Path), help="Write b, direction, δ, Δ and S/S0 as a table (.tsv)."
)
@device_option
@as_json_option
def simulate(
    mesh: Path,
    dwi: Path | None,
    diffusivity: float,
    ends: Any,
    tolerance: float,
    scale: float,
    out: Path | None,
    device: str,
    as_json: bool,
    **gradients: Any,
) -> None:
    """Signal of a cell: a mesh (.msh .vtu .vtk .mesh .npz), a neuron (.swc), or a surface (needs the mesher)."""
    import numpy as np

    from napari_remidi.files import write_whole
    from napari_remidi.physics import Simulator
    from napari_remidi.scan import Protocol

    protocol = opened(dwi, **gradients).protocol if dwi else Protocol.paper()
    found = Simulator(_mesh(mesh, scale), diffusivity, ends, tolerance, device).run(protocol)
    signal, error = found.signal, asdict(found.error)
    table = np.column_stack([protocol.bvals, protocol.bvecs, protocol.delta, protocol.Delta, signal])
    if out is not None:
        header = "b_s_per_mm2\tgx\tgy\tgz\tdelta_ms\tDelta_ms\tsignal"
        write_whole(out, lambda file: np.savetxt(file, table, "%.6g", "\t", header=header, comments=""))
    if as_json:
        click.echo(json.dumps({"signal": signal.tolist(), "error": error, "protocol": protocol.to_dict()}))
        return
    rows = []
    for shell in protocol.shells:
        values = signal[shell.indices]
        numbers = (values.mean(), values.min(), values.max())
        rows.append((f"{shell.bval:g}", f"{shell.delta:g}", f"{shell.Delta:g}", *(f"{n:.4f}" for n in numbers)))
    print_table(("b, s/mm²", "δ, ms", "Δ, ms", "mean S/S0", "lowest", "highest"), rows)
    left = ", ".join(f"{cause} {value:.0e}" for cause, value in error.items())
    click.echo(f"{found.modes[0]} modes; largest error left in S/S0, estimated: {left}")


def _mesh(path: Path, scale: float) -> Any:
    from napari_remidi.physics import TetMesh
    from napari_remidi.physics.geometry import open_mesh, open_neuron
    from napari_remidi.physics.geometry.mesh_files import SUFFIXES

    if path.suffix in SUFFIXES:
        return open_mesh(path, scale)
    if scale != 1.0:
        raise click.UsageError(f"--scale is for mesh files ({' '.join(SUFFIXES)}); {path.name} must be in µm")
    return open_neuron(path) if path.suffix == ".swc" else TetMesh.from_surface(path)
