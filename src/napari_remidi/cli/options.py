"""Options that several commands have, and what a command does with a user's error."""

from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import click

from napari_remidi.errors import RemidiError
from napari_remidi.inversion.settings import Settings

DEFAULTS: dict[str, Any] = {field.name: field.default for field in fields(Settings)}


class Command(click.Command):
    """A command whose user errors are one line, without a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run it."""
        try:
            return super().invoke(ctx)
        except RemidiError as error:
            raise click.ClickException(str(error)) from None


def _options(*decorators: Callable) -> Callable:
    def decorate(function: Callable) -> Callable:
        for decorator in reversed(decorators):
            function = decorator(function)
        return function

    return decorate


as_json_option = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON, and nothing else.")
device_option = click.option("--device", default=DEFAULTS["device"], show_default=True, help="auto, cuda, mps or cpu.")
gradient_options = _options(
    click.option("--bvals", type=click.Path(path_type=Path), help="FSL b-values; by default beside the image."),
    click.option("--bvecs", type=click.Path(path_type=Path), help="FSL b-vectors; by default beside the image."),
    click.option("--scheme", type=click.Path(path_type=Path), help="Camino .scheme or MRtrix .b file instead."),
    click.option("--delta", type=float, help="Pulse duration δ, ms, where no file records it."),
    click.option("--Delta", "Delta", type=float, help="Pulse separation Δ, ms, where no file records it."),
    click.option("--preset", help="A published timing instead of --delta and --Delta, for example 'HBCD'."),
)
settings_options = _options(
    click.option("--prior", default=DEFAULTS["prior"], show_default=True, help="axon, axon-open or a path."),
    click.option("--model", default=DEFAULTS["model"], show_default=True, help="axon (one cell) or voxel (tissue)."),
    click.option("--diffusivity", type=float, default=DEFAULTS["diffusivity"], show_default=True, help="µm²/ms."),
    click.option("--fit-diffusivity/--fix-diffusivity", default=None, help="Default: fitted for model voxel."),
    click.option("--free-diffusivity", type=float, default=DEFAULTS["free_diffusivity"], show_default=True),
    click.option("--starts", type=int, default=DEFAULTS["starts"], show_default=True),
    click.option("--iterations", type=int, default=DEFAULTS["iterations"], show_default=True),
    click.option("--modes", type=int, default=DEFAULTS["modes"], help="Default: 60, with open ends 100."),
    click.option("--noise-sd", type=float, help="Of S/S0; by default from the scan's repeated b=0 volumes."),
    click.option("--preview/--no-preview", default=None, help="Start from the protocol's; default: if trained."),
)
