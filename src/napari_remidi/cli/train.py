"""`napari-remidi train`: a shape prior."""

import json
from pathlib import Path

import click

from napari_remidi.cli.options import Command, as_json_option
from napari_remidi.cli.terminal import TerminalProgress, print_table
from napari_remidi.files import write_whole


@click.command(cls=Command)
@click.argument("recipe", default="axon")
@click.option("-o", "--out", type=click.Path(path_type=Path), help="Default: the prior's name, .safetensors, here.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of axon and axon-open; a file has its own.")
@click.option("--fresh", is_flag=True, help="Start anew where a stopped training could be gone on with.")
@as_json_option
def train(recipe: str, out: Path | None, seed: int, fresh: bool, as_json: bool) -> None:
    """Make a shape prior: axon (closed ends), axon-open, or what a .toml file describes (docs/prior.md).

    Beside the .safetensors file: its figures (.json) and what its latent does (.png). A training that is stopped goes
    on where it was when the same command is given again.
    """
    from napari_remidi.results.traversals import draw_traversals
    from napari_remidi.shapes import train as trained
    from napari_remidi.shapes.recipe import Recipe

    chosen = Recipe.read(recipe) if recipe.endswith(".toml") else Recipe.named(recipe, seed)
    target = out or Path(f"{chosen.name}.safetensors")
    with TerminalProgress(as_json) as progress:
        prior = trained(chosen, target, progress=progress.named, resume=not fresh)
    record = json.dumps(prior.provenance, indent=1)
    write_whole(target.with_suffix(".json"), lambda file: file.write(record.encode()))
    draw_traversals(prior, target.with_suffix(".png"))
    if as_json:
        click.echo(record)
        return
    for name, reason in prior.provenance["left_out"].items():
        click.echo(f"left out: {name}: {reason}", err=True)
    print_table(("figure", "value"), [(key, f"{value:g}") for key, value in prior.provenance["metrics"].items()])
    click.echo(f"Written to {target}, with figures (.json) and a picture of the latent (.png)")
