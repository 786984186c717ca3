"""`napari-remidi info`: what a scan holds."""

import json
from pathlib import Path
from typing import Any

import click

from napari_remidi.cli.inputs import opened
from napari_remidi.cli.options import Command, as_json_option, gradient_options
from napari_remidi.cli.terminal import print_table


@click.command(cls=Command)
@click.argument("dwi", type=click.Path(path_type=Path))
@gradient_options
@as_json_option
def info(dwi: Path, as_json: bool, **gradients: Any) -> None:
    """Say what a scan holds: size, shells, timing and where it came from."""
    record = opened(dwi, **gradients).info()
    if as_json:
        click.echo(json.dumps(record, indent=1))
        return
    click.echo(f"{record['name']}: {'×'.join(map(str, record['shape']))}, voxels {_listed(record['voxel_size_mm'])} mm")
    click.echo(f"{record['b0_volumes']} volumes at b=0, {len(record['shells'])} shells")
    rows = [
        (f"{s['b_s_per_mm2']:g}", str(s["measurements"]), _or_unknown(s["delta_ms"]), _or_unknown(s["Delta_ms"]))
        for s in record["shells"]
    ]
    print_table(("b, s/mm²", "measurements", "δ, ms", "Δ, ms"), rows)
    delta, Delta = (_or_unknown(_listed(record[name])) for name in ("delta_ms", "Delta_ms"))
    known = f"δ {delta} ms, Δ {Delta} ms" if "unknown" not in (delta, Delta) else "unknown, give delta and Delta"
    click.echo(f"timing: {known} ({record['timing_source']})")


def _listed(values: list[float]) -> str:
    return ", ".join(f"{value:g}" for value in values)


def _or_unknown(value: float | str | None) -> str:
    return f"{value:g}" if isinstance(value, float) else value or "unknown"
