"""`napari-remidi protocol-report`: what a protocol can see."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from napari_remidi.cli.inputs import GRADIENTS, protocol_of
from napari_remidi.cli.options import DEFAULTS, Command, as_json_option, device_option, gradient_options
from napari_remidi.cli.terminal import TerminalProgress, print_table

if TYPE_CHECKING:
    from napari_remidi.inversion import ProtocolReport

MOST_PARTS = 8  # of a protocol, printed


@click.command("protocol-report", cls=Command)
@click.argument("dwi", type=click.Path(path_type=Path), required=False)
@gradient_options
@click.option("--snr", type=float, default=50.0, show_default=True, help="S0 over the noise of one measurement.")
@click.option("--prior", default=DEFAULTS["prior"], show_default=True, help="axon, axon-open or a path.")
@click.option("--diffusivity", type=float, default=DEFAULTS["diffusivity"], show_default=True, help="µm²/ms.")
@click.option("--fit-diffusivity/--fix-diffusivity", default=False, show_default=True)
@click.option("--draws", type=int, default=40, show_default=True, help="Of shape, from the prior, and orientation.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the draws.")
@device_option
@as_json_option
def protocol_report(dwi: Path | None, as_json: bool, **options: Any) -> None:
    """Say what a protocol can see, before a scan: the error to expect of radius, length, bend and beads.

    The protocol is a scan's, or that of gradient files alone; --preset paper is the ReMiDi paper's.
    """
    from napari_remidi.inversion import protocol_report as reported

    gradients = {name: options.pop(name) for name in GRADIENTS}
    protocol = protocol_of(dwi, **gradients)
    with TerminalProgress(as_json) as progress:
        report = reported(protocol, progress=progress.share("deriving the signals of shapes"), **options)
    if as_json:
        click.echo(json.dumps(report.to_dict(), indent=1))
    else:
        _print(report)


def _print(report: "ProtocolReport") -> None:
    """Print a protocol report as tables, its cautions below."""
    known = "unknown" if report.fit_diffusivity else f"{report.diffusivity:g} µm²/ms"
    click.echo(
        f"{report.measurements} measurements at SNR {report.snr:g}, diffusivity {known}; "
        f"{report.draws} draws of prior {report.prior!r}"
    )
    rows = []
    for q in report.quantities:
        typical = "" if q.typical is None else f"{q.typical:.2f}"
        numbers = (f"{q.prior_sd:.2f}", f"{q.sd:.3f}", f"{q.sd_90:.3f}", f"{100 * q.left:.1f} %")
        rows.append((f"{q.name}, {q.unit}", typical, *numbers))
    print_table(("quantity", "typical", "sd unmeasured", "sd, median", "sd, 90 %", "spread left"), rows)
    for title, parts in (("without the timing", report.timings), ("without the shell", report.shells)):
        if parts:
            worth = [(p.name, str(p.measurements), f"× {p.radius_factor:.2f}") for p in parts[:MOST_PARTS]]
            print_table((title, "measurements", "sd of the radius"), worth)
    if len(report.shells) > MOST_PARTS:
        click.echo(f"The {MOST_PARTS} most valuable shells of {len(report.shells)}; --json lists all.")
    for caution in report.cautions:
        click.echo(f"Caution: {caution}")
