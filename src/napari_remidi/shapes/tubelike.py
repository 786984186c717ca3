"""Which surfaces can be a tube: what is checked before a surface is registered, and the axis it starts from."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components, dijkstra
from scipy.spatial import KDTree

from napari_remidi.errors import MeshError
from napari_remidi.physics.geometry.crossings import crossing_faces

if TYPE_CHECKING:
    import trimesh

Floats = NDArray[np.float64]
SMALLEST, LARGEST = 0.1, 500.0  # µm, the extents of a segment of an axon
NEIGHBOURS = 10  # of a point of the surface, for the distances along it
CUTS = 24  # across the surface, at distances along it from one end
BRANCH = 1.5  # of the thickness: what sticks out further than that beyond a cut, beside the rest, is a branch
BALL = 1.2  # longest over shortest extent along the principal axes, at least


def closed_and_whole(surface: "trimesh.Trimesh", name: str) -> "trimesh.Trimesh":
    """A copy with common vertices merged and normals outward.

    Raises
    ------
    MeshError
        For a surface that is empty, not finite, no axon's size, open, in several parts, with a hole through it, or
        that crosses itself.
    """
    import trimesh

    points, faces = np.asarray(surface.vertices, dtype=np.float64), np.asarray(surface.faces)
    if len(faces) == 0:
        raise MeshError(f"{name} has no triangles: export it as a surface, not as points or lines")
    if bad := int((~np.isfinite(points)).any(axis=1).sum()):
        raise MeshError(f"{name}: {bad} of {len(points)} vertices are not finite: export it again")
    _check_size(float(np.ptp(points[faces], axis=(0, 1)).max()), name)
    merged = trimesh.Trimesh(points, faces, process=False)
    merged.merge_vertices(merge_tex=True, merge_norm=True)
    corners = np.sort(merged.faces, axis=1)
    merged.update_faces((corners[:, 0] < corners[:, 1]) & (corners[:, 1] < corners[:, 2]))
    merged.remove_unreferenced_vertices()
    uses = np.unique(merged.edges_sorted, axis=0, return_counts=True)[1]
    if loose := int((uses != 2).sum()):
        raise MeshError(
            f"{name} is not watertight ({loose} of {len(uses)} edges do not lie between exactly two faces): close its "
            "holes, for example with trimesh.repair.fill_holes"
        )
    if (parts := merged.body_count) > 1:
        raise MeshError(f"{name} is in {parts} parts: write each to a file of its own")
    trimesh.repair.fix_normals(merged)
    if merged.euler_number != 2:
        raise MeshError(
            f"{name} has holes through it like a torus (genus {1 - merged.euler_number / 2:g}): an axon segment has "
            "none; fill them or leave this surface out"
        )
    if len(crossings := crossing_faces(merged.vertices, merged.faces)):
        place = ", ".join(f"{x:.2f}" for x in merged.triangles_center[crossings[0, 0]])
        raise MeshError(
            f"{name} crosses itself ({len(crossings)} pairs of faces, the first near ({place}) µm): mesh it again or "
            "smooth it there"
        )
    return merged


def thickness(surface: "trimesh.Trimesh") -> float:
    """Twice the volume over the area, µm: a little less than the radius of a long tube."""
    return float(2 * surface.volume / surface.area)


def axial_orders(points: Floats, thick: float, name: str) -> tuple[Floats, Floats]:
    """Coordinates that may run along the tube's axis, (p,) µm: along the surface, and along its longest principal axis.

    Parameters
    ----------
    points : (p, 3) spread over the surface, µm
    thick : of the surface, µm

    Raises
    ------
    MeshError
        For a surface that branches, or is about as long in all directions.
    """
    distance, near = KDTree(points).query(points, NEIGHBOURS + 1)
    rows = np.repeat(np.arange(len(points)), NEIGHBOURS)
    graph = coo_array((distance[:, 1:].ravel(), (rows, near[:, 1:].ravel())), shape=(len(points),) * 2).tocsr()
    graph = graph.maximum(graph.T)

    def along(start: int) -> Floats:
        reach = dijkstra(graph, indices=start)
        return np.where(np.isfinite(reach), reach, 0.0)

    one = along(int(along(0).argmax()))
    other = along(int(one.argmax()))
    for from_end in (one, other):
        for cut in np.linspace(0, from_end.max(), CUTS, endpoint=False)[1:]:
            beyond = np.flatnonzero(from_end > cut)
            part = connected_components(graph[beyond][:, beyond], directed=False)[1]
            tips = np.zeros(part.max() + 1)
            np.maximum.at(tips, part, from_end[beyond] - cut)
            if (tips > BRANCH * thick).sum() > 1:
                raise MeshError(
                    f"{name} branches: {cut:.2g} µm from one end it goes on in {(tips > BRANCH * thick).sum()} parts; "
                    "cut it into unbranched segments"
                )
    centred = points - points.mean(axis=0)
    turned = centred @ np.linalg.eigh(centred.T @ centred)[1]
    spans = np.ptp(turned, axis=0)
    if spans.max() < BALL * spans.min():
        raise MeshError(
            f"{name} is more a ball than a tube ({' by '.join(f'{span:.2g}' for span in spans)} µm): leave it out, or "
            "cut a longer segment"
        )
    return (one - other) / 2, turned[:, -1]


def _check_size(extent: float, name: str) -> None:
    if SMALLEST <= extent <= LARGEST:
        return
    unit, factor = ("nm", "0.001") if extent > LARGEST else ("mm", "1000") if extent > 5e-4 else ("m", "1e6")
    raise MeshError(
        f"{name} is {extent:.3g} µm long, which looks like {unit}: multiply its coordinates by {factor} to have µm"
    )
