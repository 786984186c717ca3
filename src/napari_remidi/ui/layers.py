"""Layers: the single place where scans, picked voxels and axons become something napari draws.

A scan's layer has its volume axis first, then z, y, x of the closest canonical orientation, in mm. An axon is
micrometres and a voxel is millimetres: in the scan's window an axon is centred on its voxel and magnified (its name
says by how much); in the microscope it keeps its own size.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_remidi.ui.shape import Shape

if TYPE_CHECKING:
    from napari_remidi.physics import TetMesh
    from napari_remidi.scan import Scan

Voxel = tuple[int, int, int]
LayerData = tuple[Any, dict[str, Any], str]

SPACE = ("z", "y", "x")
ORIENTATION = ("away", "up", "right")
"""How the microscope's camera sees depth, y and x."""
ACCENT = "#ffb454"
TWIN = "#b9a5ff"
TRUTH = "#e8e8ee"
SOUND, FOLDS = "#7fd6d0", "#ff8a5c"
CERTAINTY = {
    "name": "certainty",
    "colors": [[0.36, 0.82, 0.80, 1.0], [0.97, 0.91, 0.62, 1.0], [0.96, 0.52, 0.33, 1.0]],
}
_SHARE_OF_VIEW = 0.4
_FRAME_OF_VOXEL, _FRAME_OF_FIELD = 0.14, 0.008
_MAX_SAMPLED = 200_000
_HEADROOM = 1.3
_LEAST_SD, _LEAST_VALUE = 1e-3, 1e-9


def scan_layer(scan: "Scan") -> LayerData:
    """Image layer of a scan: (M, Z, Y, X), in mm, the scan itself in its metadata."""
    return (
        np.moveaxis(np.asanyarray(scan.data), -1, 0).transpose(0, 3, 2, 1),
        {
            "name": scan.name,
            "scale": (1.0, *scan.voxel_size[::-1]),
            "translate": (0.0, *_origin(scan)),
            "axis_labels": ("volume", *SPACE),
            "units": ("dimensionless", "mm", "mm", "mm"),
            "contrast_limits": _contrast(scan),
            "colormap": "gray",
            "metadata": {"scan": scan},
        },
        "image",
    )


def plain_layer(path: str | Path) -> LayerData:
    """Image layer of a 4D NIfTI file whose gradients are not known yet; its metadata remembers the file."""
    import nibabel

    image = nibabel.as_closest_canonical(nibabel.load(path))
    data = np.asanyarray(image.dataobj)
    return (
        np.moveaxis(data, -1, 0).transpose(0, 3, 2, 1),
        {
            "name": Path(path).name.removesuffix(".gz").removesuffix(".nii"),
            "scale": (1.0, *nibabel.affines.voxel_sizes(image.affine)[::-1]),
            "translate": (0.0, *image.affine[:3, 3][::-1]),
            "axis_labels": ("volume", *SPACE),
            "units": ("dimensionless", "mm", "mm", "mm"),
            "colormap": "gray",
            "metadata": {"nifti": str(path)},
        },
        "image",
    )


def voxel_mark(scan: "Scan", voxel: Voxel) -> LayerData:
    """Points layer that frames one voxel."""
    return (
        centre(scan, voxel)[None],
        {
            "name": "picked voxel",
            "symbol": "square",
            "size": mark_size(scan),
            "face_color": "transparent",
            "border_color": ACCENT,
            "border_width": min(_FRAME_OF_VOXEL * mark_size(scan), _FRAME_OF_FIELD * _field(scan)),
            "border_width_is_relative": False,
            "axis_labels": SPACE,
            "units": ("mm", "mm", "mm"),
        },
        "points",
    )


def mark_size(scan: "Scan") -> float:
    """Edge of the picked voxel's frame, mm."""
    return float(min(scan.voxel_size[:2]))


def axon_in_scan(scan: "Scan", voxel: Voxel, shape: Shape, name: str = "axon") -> LayerData:
    """Surface layer at the voxel's centre, magnified until it can be seen beside voxels.

    The layer's data are axon lengths (the layer's scale turns them into mm): a two-dimensional slice through the voxel
    then shows the whole axon, because napari draws what lies within half a data unit of the slice.
    """
    outside, factor = shape.outside(), magnification(scan, shape)
    vertices = outside.centred @ _image_axes(scan) / _length(shape)
    # a slice has no depth: what is drawn last is seen, so the faces nearest to the viewer come last
    faces = outside.faces[np.argsort(vertices[outside.faces, 2].mean(axis=1))]
    # z, y, x is x, y, z mirrored: the faces turn round with it to stay outward
    data = (vertices[:, ::-1], faces[:, ::-1], _values(outside))
    look = {
        "name": f"{name} ×{factor:g}",
        "scale": (_length(shape) * factor * 1e-3,) * 3,
        "translate": tuple(centre(scan, voxel)),
        "shading": "none",
        "blending": "translucent_no_depth",
        "axis_labels": SPACE,
        "units": ("mm",) * 3,
    }
    return data, look | _colours(outside), "surface"


def axon_in_microns(shape: Shape, name: str = "axon", color: str | None = None, opacity: float = 1.0) -> LayerData:
    """Surface layer in micrometres, centred on the origin; one colour if given, else coloured by uncertainty.

    Its axes are depth (−z), y and x, and the camera must have this module's ORIENTATION: napari lights surfaces from
    the front only in such a left-handed view (https://github.com/napari/napari/issues/9273).
    """
    outside = shape.outside()
    vertices = outside.centred[:, ::-1] * (-1.0, 1.0, 1.0)
    look = {
        "name": name,
        "shading": "smooth",
        "axis_labels": ("depth", "y", "x"),
        "units": ("µm",) * 3,
        "opacity": opacity,
        "blending": "translucent" if opacity < 1 else "opaque",
    }
    if color is None:
        return (vertices, outside.faces, _values(outside)), look | _colours(outside), "surface"
    one = {"colormap": {"name": color, "colors": ["black", color]}, "contrast_limits": (0.0, 1.0)}
    return (vertices, outside.faces, np.ones(len(vertices))), look | one | _remembered(outside), "surface"


def prior_shape(shape: Shape, name: str, folds: bool) -> LayerData:
    """Surface layer of a prior's shape for the scan's window, in mm at the origin; one that folds has its own colour.

    Its data are mm too: napari steps through slices by the smallest scale of all layers. The view must be left-handed,
    as the microscope's and napari's own are.
    """
    (vertices, faces, values), look, kind = axon_in_microns(shape, name, SOUND)
    look |= {"axis_labels": SPACE, "units": ("mm",) * 3, "colormap": {"name": "folds", "colors": [SOUND, FOLDS]}}
    return (1e-3 * vertices, faces, np.full_like(values, folds)), look, kind


def field_in_microns(mesh: "TetMesh", values: NDArray[np.float64], name: str) -> LayerData:
    """Surface layer in micrometres, centred on the origin, coloured by real values at a mesh's nodes, (n,) or (k, n).

    A leading axis (times, modes) becomes a slider that counts from 0. Colours diverge about zero where values have both
    signs.
    """
    from napari_remidi.physics.fields import surface_values

    points, faces, shown = surface_values(mesh, values)
    shape = Shape(points, faces)
    top, signed = max(float(np.abs(shown).max()), _LEAST_VALUE), bool(shown.min() < 0)
    look = {
        "name": name,
        "shading": "smooth",
        "axis_labels": ("depth", "y", "x"),
        "units": ("µm",) * 3,
        "colormap": "twilight_shifted" if signed else "viridis",
        "contrast_limits": (-top if signed else 0.0, top),
    }
    return (shape.centred[:, ::-1] * (-1.0, 1.0, 1.0), faces, shown), look | _remembered(shape), "surface"


def magnification(scan: "Scan", shape: Shape) -> float:
    """How much an axon is magnified in the scan's window: a round number."""
    target = max(float(scan.voxel_size.max()), _SHARE_OF_VIEW * _field(scan))
    wanted = max(target / (_length(shape) * 1e-3), 1.0)
    decade = 10.0 ** np.floor(np.log10(wanted))
    return float(max(step * decade for step in (1, 1.5, 2, 3, 5, 7) if step * decade <= wanted))


def centre(scan: "Scan", voxel: Voxel) -> NDArray[np.float64]:
    """Where a voxel's centre lies in the window, (3,) mm in z, y, x."""
    return _origin(scan) + np.asarray(voxel, float)[::-1] * scan.voxel_size[::-1]


def redraw(layer: Any, made: LayerData) -> None:
    """Give a drawn surface new data in place: cheaper than a new layer, and the selection stays."""
    data, look, _ = made
    layer.scale = look.get("scale", layer.scale)
    layer.translate = look.get("translate", layer.translate)
    layer.data = data
    layer.contrast_limits = look["contrast_limits"]
    layer.metadata = layer.metadata | look["metadata"]
    layer.name = look["name"]


def scan_of(layer: Any) -> "Scan | None":
    """The scan a layer shows, if it shows one."""
    metadata: Mapping[str, Any] = getattr(layer, "metadata", {})
    return metadata.get("scan")


def nifti_of(layer: Any) -> str | None:
    """The NIfTI file of a 4D image layer that carries no scan yet."""
    path = getattr(layer, "metadata", {}).get("nifti") or getattr(getattr(layer, "source", None), "path", None)
    four = layer.ndim == 4 and scan_of(layer) is None
    return str(path) if four and path and str(path).endswith((".nii", ".nii.gz")) else None


def _values(shape: Shape) -> NDArray[np.float64]:
    return np.zeros(len(shape.points)) if shape.sd is None else np.asarray(shape.sd, float)


def _colours(shape: Shape) -> dict[str, Any]:
    top = 1.0 if shape.sd is None else max(float(np.percentile(shape.sd, 98)), _LEAST_SD)
    return {"colormap": CERTAINTY, "contrast_limits": (0.0, top)} | _remembered(shape)


def _remembered(shape: Shape) -> dict[str, Any]:
    return {"metadata": {"shape": shape}}


def _length(shape: Shape) -> float:
    """Edge of the cube around the surface's centre that holds it however it is turned, µm."""
    return 2.0 * float(np.linalg.norm(shape.outside().centred, axis=1).max())


def _field(scan: "Scan") -> float:
    """Smaller edge of a slice, mm."""
    return float((scan.voxel_size[:2] * scan.data.shape[:2]).min())


def _origin(scan: "Scan") -> NDArray[np.float64]:
    return np.asarray(scan.affine)[:3, 3][::-1]


def _image_axes(scan: "Scan") -> NDArray[np.float64]:
    """World to image axes: an oblique scan is drawn along its own axes, so its axons are turned with it."""
    return np.asarray(scan.affine)[:3, :3] / scan.voxel_size


def _contrast(scan: "Scan") -> tuple[float, float]:
    first = int(np.flatnonzero(scan.protocol.is_b0)[0]) if scan.protocol.is_b0.any() else 0
    values = np.asarray(scan.data[..., first], float).ravel()
    values = values[:: max(1, values.size // _MAX_SAMPLED)]
    values = values[np.isfinite(values)]
    top = float(np.percentile(values, 98)) * _HEADROOM if values.size else 1.0
    return (0.0, top if top > 0 else 1.0)
