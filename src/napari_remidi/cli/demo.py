"""`napari-remidi demo`: axons of a phantom, whose true shapes are known."""

import json
import os
import sys
from pathlib import Path

import click

from napari_remidi.cli.options import Command, as_json_option, device_option
from napari_remidi.cli.terminal import TerminalProgress, print_table, radius_words, warn

DEMO_KINDS = ("bent", "beaded", "fanned")


@click.command(cls=Command)
@click.option("--headless", is_flag=True, help="No window: reconstruct, print the figures, write files.")
@click.option("-o", "--out", type=click.Path(path_type=Path), default=Path("remidi-demo"), show_default=True)
@click.option("--snr", type=float, default=50.0, show_default=True)
@click.option("--seed", type=int, default=0, show_default=True, help="Of shapes, orientations and noise.")
@device_option
@as_json_option
def demo(headless: bool, out: Path, snr: float, seed: int, device: str, as_json: bool) -> None:
    """Reconstruct axons of a phantom whose true shapes are known.

    With a display it opens the napari window; without one it runs headless and says so.
    """
    if not headless and not _has_display():
        click.echo("No display found: running headless.", err=True)
        headless = True
    if not headless:
        try:
            from napari_remidi.ui.demo import open_demo
        except ImportError as error:
            raise click.ClickException(
                f'the window needs napari ({error}): pip install "napari-remidi[all]", or use --headless'
            ) from None
        open_demo()
        return
    import trimesh

    from napari_remidi.files import write_whole
    from napari_remidi.results import draw_report, inverter_for, reconstruct
    from napari_remidi.results.picture import Panel
    from napari_remidi.results.words import fit_words
    from napari_remidi.shapes import make_phantom

    with TerminalProgress(as_json) as progress:
        scan = make_phantom(snr, seed, progress.share("simulating the phantom's axons"))
        truths = scan.metadata["truth"]
        chosen = [next(truth for truth in truths if truth["kind"] == kind) for kind in DEMO_KINDS]
        known = {"noise_sd": 1 / snr, "diffusivity": scan.metadata["diffusivity"]}
        inverter = inverter_for(scan.protocol, "axon", device=device, **known)
        panels = []
        for truth in chosen:
            surface = trimesh.Trimesh(truth["points"], truth["faces"], process=False)
            source = {"scan": f"phantom, SNR {snr:g}, seed {seed}", "voxel": list(truth["voxel"])}
            signal = scan.voxel(*truth["voxel"])
            watch = progress.iterates(f"reconstructing the {truth['kind']} axon")
            axon = reconstruct(signal, scan.protocol, progress=watch, inverter=inverter, source=source)
            panels.append(Panel(axon.with_truth(surface), truth["kind"], scan, truth["voxel"], surface))
    out.mkdir(parents=True, exist_ok=True)
    reports = {panel.title: panel.axon.report() for panel in panels}
    write_whole(out / "report.json", lambda file: file.write(json.dumps(reports, indent=1).encode()))
    panels[0].axon.save(out / "axon.ply")
    for panel in panels:
        panel.axon.save(out / f"axon-{panel.title}.ply")
    draw_report(panels, out / "demo.png")
    for name, report in reports.items():
        warn(f"{name} axon", report)
    if as_json:
        click.echo(json.dumps(reports, indent=1))
        return
    rows = [
        (
            name,
            f"{r['chamfer_um']:.3f}",
            f"{r['chi2_per_dof']:.2f}",
            fit_words(r),
            radius_words(r),
            f"{r['seconds']:.1f}",
        )
        for name, r in reports.items()
    ]
    print_table(("axon", "Chamfer to the truth, µm", "χ²/dof", "fit test", "radius, µm", "seconds"), rows)
    click.echo(f"Written to {out}{os.sep}: report.json, axon.ply, demo.png (and one .ply for every axon)")


def _has_display() -> bool:
    return sys.platform in ("win32", "darwin") or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
