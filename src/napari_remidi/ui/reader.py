"""Reader: a diffusion MRI scan (NIfTI) into a layer that carries the scan."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from napari_remidi.errors import ProtocolError
from napari_remidi.ui.layers import LayerData, plain_layer, scan_layer


def scan_reader(path: str | Sequence[str]) -> Callable[[Any], list[LayerData]] | None:
    """A function that reads the file, or None where it holds no four-dimensional image (another reader may then)."""
    if not isinstance(path, str | Path) or not str(path).endswith((".nii", ".nii.gz")):
        return None
    return read_scan if _is_four_dimensional(path) else None


def read_scan(path: Any) -> list[LayerData]:
    """Layers of a 4D NIfTI file.

    Without gradient files beside it the image still opens; the widget then asks for them.

    Raises
    ------
    ScanError, ProtocolError
        A broken file, or gradients that contradict the image.
    """
    from napari_remidi.scan import Scan

    try:
        return [scan_layer(Scan.open(path))]
    except ProtocolError as error:
        from napari.utils.notifications import show_warning

        show_warning(f"{error}. The image is shown without its gradients: choose them in Axon reconstruction.")
        return [plain_layer(path)]


def _is_four_dimensional(path: str | Path) -> bool:
    import nibabel

    try:
        return len(getattr(nibabel.load(path), "shape", ())) == 4
    except Exception:  # a broken file is refused by read_scan, with the reason
        return True
