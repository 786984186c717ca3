"""The command line: the library's steps, with its names and defaults. A module for every command."""

import click

from napari_remidi import __version__
from napari_remidi.cli import demo, info, protocol_report, reconstruct, simulate, train, train_preview


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="napari-remidi")
def main() -> None:
    """See axons in diffusion MRI: from a voxel's signal to a 3D mesh with error bars."""


for command in (
    demo.demo,
    info.info,
    simulate.simulate,
    reconstruct.reconstruct,
    protocol_report.protocol_report,
    train.train,
    train_preview.train_preview,
):
    main.add_command(command)
