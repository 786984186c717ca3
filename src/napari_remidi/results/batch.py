"""Voxels of a scan, one after another, each to its own files; and the way back from a report to the run it records."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from napari_remidi.errors import Cancelled, InputError, OutputError, RemidiError
from napari_remidi.inversion import Inverter, Iterate
from napari_remidi.results.picture import Panel, draw_report
from napari_remidi.results.reconstruction import inverter_for, reconstruct
from napari_remidi.scan import Scan

Voxel = tuple[int, int, int]
PATHS = ("bvals", "bvecs", "scheme")


def reconstruct_voxels(
    scan: Scan,
    voxels: list[Voxel],
    settings: dict[str, Any],
    source: dict[str, Any],
    out: Path,
    watch: Callable[[str], Callable[[Iterate], bool | None]],
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Reconstruct voxels and write voxel-I-J-K.ply, .npz, .json and .png of each.

    Parameters
    ----------
    scan : Scan with timing
    voxels : indices (i, j, k)
    settings : fields of `Settings`; "noise_sd" None is taken from the scan's repeated b = 0 volumes
    source : how the scan was opened, for the reports
    out : folder, made where needed
    watch : gives a progress callback for a voxel's title; where it returns False, the voxel's best shape so far is
        written, marked as such, and no other voxel is begun

    Returns
    -------
    reports, failures
        A report for every voxel that was reconstructed, and {"voxel", "error"} for every other.

    Raises
    ------
    RemidiError
        Where the only voxel fails, a file cannot be written, or a run is cancelled before it has a shape.
    """
    options = dict(settings)
    given_noise, prior = options.pop("noise_sd", None), options.pop("prior")
    reports: list[dict[str, Any]] = []
    failures: list[dict[str, Any]] = []
    inverters: dict[float | None, Inverter] = {}
    for voxel in voxels:
        title = f"voxel {', '.join(map(str, voxel))}"
        name = f"voxel-{'-'.join(map(str, voxel))}"
        try:
            signal = scan.voxel(*voxel)
            noise_sd = given_noise or _rounded(scan.noise_sd(*voxel))
            if noise_sd not in inverters:
                inverters[noise_sd] = inverter_for(scan.protocol, prior, noise_sd=noise_sd, **options)
            where = {**source, "voxel": list(voxel)}
            axon = reconstruct(signal, scan.protocol, progress=watch(title), inverter=inverters[noise_sd], source=where)
            for suffix in (".ply", ".npz", ".json"):
                axon.save(out / f"{name}{suffix}")
            draw_report(Panel(axon, title, scan, voxel), out / f"{name}.png")
        except (OutputError, Cancelled):
            raise
        except RemidiError as error:
            if len(voxels) == 1:
                raise
            failures.append({"voxel": list(voxel), "error": str(error)})
        else:
            reports.append(axon.report())
            if axon.cancelled:
                break
    return reports, failures


def read_record(report: Path) -> tuple[Path, dict[str, Any], Voxel, dict[str, Any]]:
    """The run that wrote a report: image, how its gradients were opened, voxel, settings.

    Raises
    ------
    InputError
        For a file that is no report of a scan's voxel.
    """
    try:
        record = json.loads(report.read_text())
        source = dict(record["source"])
        image = Path(source.pop("scan"))
        i, j, k = (int(index) for index in source.pop("voxel"))
        settings = dict(record["parameters"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise InputError(
            f"{report}: not a report of napari-remidi reconstruct; give the .json that a run wrote"
        ) from None
    gradients = {name: Path(value) if name in PATHS else value for name, value in source.items()}
    return image, gradients, (i, j, k), settings


def _rounded(noise: float | None) -> float | None:
    """Noise to two digits, so that voxels share their preparation."""
    return None if noise is None else float(f"{noise:.2g}")
