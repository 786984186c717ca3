"""`napari-remidi train-preview`: a network that gives a first shape at once."""

import json
from pathlib import Path
from typing import Any

import click

from napari_remidi.cli.inputs import opened
from napari_remidi.cli.options import DEFAULTS, Command, as_json_option, gradient_options
from napari_remidi.cli.terminal import TerminalProgress
from napari_remidi.inversion.settings import Settings


@click.command("train-preview", cls=Command)
@click.argument("dwi", type=click.Path(path_type=Path), required=False)
@gradient_options
@click.option("--prior", default=DEFAULTS["prior"], show_default=True, help="axon or the path of one with closed ends.")
@click.option("--diffusivity", type=float, default=DEFAULTS["diffusivity"], show_default=True, help="µm²/ms.")
@click.option("--shapes", type=click.IntRange(min=100), help="Axons to simulate; default 6000.")
@click.option("--steps", type=click.IntRange(min=10), help="Of the network's training; default 3000.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of axons, noise and training.")
@click.option("-o", "--out", type=click.Path(path_type=Path), help="Default: where reconstruct looks for it.")
@as_json_option
def train_preview(
    dwi: Path | None,
    prior: str,
    diffusivity: float,
    shapes: int | None,
    steps: int | None,
    seed: int,
    out: Path | None,
    as_json: bool,
    **gradients: Any,
) -> None:
    """Train a preview for the protocol of a scan (default: the ReMiDi paper's), about ten minutes.

    It shows a first shape at once and gives reconstruct its first starts. Nothing is written before it is complete.
    """
    from napari_remidi.inversion.preview import Preview
    from napari_remidi.scan import Protocol
    from napari_remidi.shapes import Prior

    protocol = opened(dwi, **gradients).protocol if dwi else Protocol.paper()
    settings = Settings(prior=prior, diffusivity=diffusivity)
    given = {name: value for name, value in (("shapes", shapes), ("steps", steps)) if value is not None}
    preview = None
    with TerminalProgress(as_json) as progress:
        for step in Preview.train(protocol, Prior.load(prior), settings, seed=seed, **given):
            if isinstance(step, Preview):
                preview = step
            else:
                progress.named(*step)
    assert preview is not None
    target = out or preview.cache_path
    preview.save(target)
    click.echo(json.dumps({"preview": str(target)}) if as_json else f"Written to {target}")
