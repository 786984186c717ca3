"""The command line: the library's steps, with its names and defaults."""

import json
import os
import sys
from collections.abc import Callable
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from napari_remidi import __version__
from napari_remidi.errors import InputError, RemidiError
from napari_remidi.files import write_whole
from napari_remidi.inversion.settings import Settings
from napari_remidi.terminal import TerminalProgress, print_protocol_report, print_table

if TYPE_CHECKING:
    from napari_remidi.scan import Protocol, Scan

DEFAULTS: dict[str, Any] = {field.name: field.default for field in fields(Settings)}
DEMO_KINDS = ("bent", "beaded", "fanned")
PAPER = ("paper", "ReMiDi paper")  # presets that are a whole protocol


class _Command(click.Command):
    """A command whose user errors are one line, without a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except RemidiError as error:
            raise click.ClickException(str(error)) from None


class _Group(click.Group):
    command_class = _Command


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="napari-remidi")
def main() -> None:
    """See axons in diffusion MRI: from a voxel's signal to a 3D mesh with error bars."""


def _options(*decorators: Callable) -> Callable:
    def decorate(function: Callable) -> Callable:
        for decorator in reversed(decorators):
            function = decorator(function)
        return function

    return decorate


_json = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON, and nothing else.")
_device = click.option("--device", default=DEFAULTS["device"], show_default=True, help="auto, cuda, mps or cpu.")
_gradients = _options(
    click.option("--bvals", type=click.Path(path_type=Path), help="FSL b-values; by default beside the image."),
    click.option("--bvecs", type=click.Path(path_type=Path), help="FSL b-vectors; by default beside the image."),
    click.option("--scheme", type=click.Path(path_type=Path), help="Camino .scheme or MRtrix .b file instead."),
    click.option("--delta", type=float, help="Pulse duration δ, ms, where no file records it."),
    click.option("--Delta", "Delta", type=float, help="Pulse separation Δ, ms, where no file records it."),
    click.option("--preset", help="A published timing instead of --delta and --Delta, for example 'HBCD'."),
)
_settings = _options(
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


@main.command()
@click.option("--headless", is_flag=True, help="No window: reconstruct, print the figures, write files.")
@click.option("-o", "--out", type=click.Path(path_type=Path), default=Path("remidi-demo"), show_default=True)
@click.option("--snr", type=float, default=50.0, show_default=True)
@click.option("--seed", type=int, default=0, show_default=True, help="Of shapes, orientations and noise.")
@_device
@_json
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
        _warn(f"{name} axon", report)
    if as_json:
        click.echo(json.dumps(reports, indent=1))
        return
    rows = [
        (name, f"{r['chamfer_um']:.3f}", f"{r['chi2_per_dof']:.2f}", fit_words(r), _radius(r), f"{r['seconds']:.1f}")
        for name, r in reports.items()
    ]
    print_table(("axon", "Chamfer to the truth, µm", "χ²/dof", "fit test", "radius, µm", "seconds"), rows)
    click.echo(f"Written to {out}{os.sep}: report.json, axon.ply, demo.png (and one .ply for every axon)")


@main.command()
@click.argument("dwi", type=click.Path(path_type=Path))
@_gradients
@_json
def info(dwi: Path, as_json: bool, **gradients: Any) -> None:
    """Say what a scan holds: size, shells, timing and where it came from."""
    record = _opened(dwi, **gradients).info()
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


@main.command()
@click.argument("mesh", type=click.Path(path_type=Path))
@click.option("--dwi", type=click.Path(path_type=Path), help="Take this scan's protocol; default: the ReMiDi paper's.")
@_gradients
@click.option("--diffusivity", type=float, default=DEFAULTS["diffusivity"], show_default=True, help="µm²/ms.")
@click.option("--ends", type=click.Choice(["closed", "open"]), default="closed", show_default=True)
@click.option("--tolerance", type=float, default=1e-3, show_default=True, help="Of S/S0, for modes and time steps.")
@click.option("--scale", type=float, default=1.0, show_default=True, help="Factor to µm: 1000 for a mesh in mm.")
@click.option(
    "-o", "--out", type=click.Path(path_type=Path), help="Write b, direction, δ, Δ and S/S0 as a table (.tsv)."
)
@_device
@_json
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

    protocol = _opened(dwi, **gradients).protocol if dwi else Protocol.paper()
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


@main.command()
@click.argument("dwi", type=click.Path(path_type=Path), required=False)
@click.option("--voxel", help="I,J,K in closest canonical (RAS+) order, as the window shows them.")
@click.option("--mask", type=click.Path(path_type=Path), help="A 3D NIfTI: reconstruct every voxel that is not zero.")
@click.option("--from", "record", type=click.Path(path_type=Path), help="Repeat the run that wrote this report .json.")
@click.option("-o", "--out", type=click.Path(path_type=Path), default=Path("remidi"), show_default=True)
@_gradients
@_settings
@_device
@_json
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
    """Reconstruct the axon of a voxel, or of every voxel of a mask."""
    from napari_remidi.results.batch import read_record, reconstruct_voxels
    from napari_remidi.results.words import fit_words, quantity_lines, sentence

    gradients = {name: options.pop(name) for name in ("bvals", "bvecs", "scheme", "delta", "Delta", "preset")}
    settings: dict[str, Any] = {**options, "device": device}
    voxels: list[tuple[int, int, int]]
    if record is not None:
        dwi, gradients, voxel_of_record, settings = read_record(record)
        voxels, settings["device"] = [voxel_of_record], device
    if dwi is None:
        raise click.UsageError("give a DWI file, or --from a report")
    scan = _opened(dwi, **gradients)
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
            rows.append((where, _radius(r), explained, f"{r['chi2_per_dof']:.2f}", fit_words(r), f"{r['seconds']:.1f}"))
        print_table(("voxel", "radius, µm", "variance explained", "χ²/dof", "fit test", "seconds"), rows)
        if len(reports) == 1:
            print_table(("quantity", "value (90 % interval)"), quantity_lines(reports[0]))
            for note in filter(None, (reports[0]["symmetry"], reports[0]["simple"])):
                click.echo(sentence(note))
        click.echo(f"Written to {out}{os.sep}: for every voxel axon .ply, .npz, report .json and picture .png")
    for r in reports:
        _warn(f"voxel {', '.join(map(str, r['source']['voxel']))}", r)
    for failure in failures:
        click.echo(f"voxel {failure['voxel']}: {failure['error']}", err=True)
    if failures:
        sys.exit(1)


@main.command("protocol-report")
@click.argument("dwi", type=click.Path(path_type=Path), required=False)
@_gradients
@click.option("--snr", type=float, default=50.0, show_default=True, help="S0 over the noise of one measurement.")
@click.option("--prior", default=DEFAULTS["prior"], show_default=True, help="axon, axon-open or a path.")
@click.option("--diffusivity", type=float, default=DEFAULTS["diffusivity"], show_default=True, help="µm²/ms.")
@click.option("--fit-diffusivity/--fix-diffusivity", default=False, show_default=True)
@click.option("--draws", type=int, default=40, show_default=True, help="Of shape, from the prior, and orientation.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the draws.")
@_device
@_json
def protocol_report(dwi: Path | None, as_json: bool, **options: Any) -> None:
    """Say what a protocol can see, before a scan: the error to expect of radius, length, bend and beads.

    The protocol is a scan's, or that of gradient files alone; --preset paper is the ReMiDi paper's.
    """
    from napari_remidi.inversion import protocol_report as reported

    gradients = {name: options.pop(name) for name in ("bvals", "bvecs", "scheme", "delta", "Delta", "preset")}
    protocol = _protocol(dwi, **gradients)
    with TerminalProgress(as_json) as progress:
        report = reported(protocol, progress=progress.share("deriving the signals of shapes"), **options)
    if as_json:
        click.echo(json.dumps(report.to_dict(), indent=1))
    else:
        print_protocol_report(report)


@main.command()
@click.argument("recipe", default="axon")
@click.option("-o", "--out", type=click.Path(path_type=Path), help="Default: the prior's name, .safetensors, here.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of axon and axon-open; a file has its own.")
@click.option("--fresh", is_flag=True, help="Start anew where a stopped training could be gone on with.")
@_json
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


@main.command("train-preview")
@click.argument("dwi", type=click.Path(path_type=Path), required=False)
@_gradients
@click.option("--prior", default=DEFAULTS["prior"], show_default=True, help="axon or the path of one with closed ends.")
@click.option("--diffusivity", type=float, default=DEFAULTS["diffusivity"], show_default=True, help="µm²/ms.")
@click.option("--shapes", type=click.IntRange(min=100), help="Axons to simulate; default 6000.")
@click.option("--steps", type=click.IntRange(min=10), help="Of the network's training; default 3000.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of axons, noise and training.")
@click.option("-o", "--out", type=click.Path(path_type=Path), help="Default: where reconstruct looks for it.")
@_json
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

    protocol = _opened(dwi, **gradients).protocol if dwi else Protocol.paper()
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


def _opened(
    dwi: Path,
    bvals: Any = None,
    bvecs: Any = None,
    scheme: Any = None,
    delta: Any = None,
    Delta: Any = None,
    preset: Any = None,
) -> "Scan":
    from napari_remidi.scan import Scan

    scan = Scan.open(dwi, bvals, bvecs, scheme, delta, Delta)
    return scan if preset is None else scan.with_protocol(scan.protocol.with_preset(preset))


def _protocol(dwi: Path | None, preset: Any = None, **gradients: Any) -> "Protocol":
    """A scan's, that of gradient files alone, or the paper's."""
    from napari_remidi.scan import Protocol, open_protocol

    if dwi is not None:
        return _opened(dwi, preset=preset, **gradients).protocol
    if any(gradients[name] for name in ("bvals", "bvecs", "scheme")):
        protocol = open_protocol(**gradients)
        return protocol if preset is None else protocol.with_preset(preset)
    if preset in PAPER:
        return Protocol.paper()
    raise click.UsageError("give a DWI file, --bvals with --bvecs, --scheme, or --preset paper")


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


def _mesh(path: Path, scale: float) -> Any:
    from napari_remidi.physics import TetMesh
    from napari_remidi.physics.geometry import open_mesh, open_neuron
    from napari_remidi.physics.geometry.mesh_files import SUFFIXES

    if path.suffix in SUFFIXES:
        return open_mesh(path, scale)
    if scale != 1.0:
        raise click.UsageError(f"--scale is for mesh files ({' '.join(SUFFIXES)}); {path.name} must be in µm")
    return open_neuron(path) if path.suffix == ".swc" else TetMesh.from_surface(path)


def _has_display() -> bool:
    return sys.platform in ("win32", "darwin") or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def _warn(what: str, report: dict[str, Any]) -> None:
    if report["warning"]:
        click.secho(f"{what}: {report['warning']}", fg="yellow", err=True)


def _radius(report: dict[str, Any]) -> str:
    radius = report["radius_um"]
    return f"{radius['mean']:.2f}" + (f" ± {radius['sd']:.2f}" if radius["sd"] is not None else "")


def _listed(values: list[float]) -> str:
    return ", ".join(f"{value:g}" for value in values)


def _or_unknown(value: float | str | None) -> str:
    return f"{value:g}" if isinstance(value, float) else value or "unknown"
