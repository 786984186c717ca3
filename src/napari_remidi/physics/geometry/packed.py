"""Parallel axons, bare or in their myelin, in a box of extra-cellular space: a triangulated section, extruded."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_remidi.errors import MeshError
from napari_remidi.physics.geometry.discs import disc, polygon_radius
from napari_remidi.physics.geometry.layers import Layer, concentric_layers
from napari_remidi.physics.geometry.planar import Circles, triangles_between
from napari_remidi.physics.geometry.prisms import extruded
from napari_remidi.physics.mesh import TetMesh

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

# a polygon's sides are at most this many times as long as the gap beside them, so that no triangle crosses one
SIDE_PER_GAP = 1.5
NARROWEST = 0.1  # gap, in edge lengths: below it the nodes about the gap would outnumber all others


def packed_cylinders(
    centres: ArrayLike,
    radii: ArrayLike,
    size: tuple[float, float],
    height: float,
    edge_length: float,
    sheath: ArrayLike | None = None,
) -> TetMesh:
    """Cylinders along z in a box [0, x] × [0, y] × [0, height] of extra-cellular space, sharing their walls' nodes.

    The section of every axon, and of every axon in its myelin, is a polygon with the area of its circle. The
    compartments are "axon" (all of them), "myelin" (with a sheath) and "extra".

    Parameters
    ----------
    centres : (k, 2) float, µm
    radii : (k,) or one float, of the axons, µm
    size : of the box along x and y, µm
    height : µm
    edge_length : wanted distance between nodes, µm; they are closer where gaps or sheaths are narrow
    sheath : thickness of the myelin around every axon, (k,) or one float, µm; by default there is none

    Raises
    ------
    MeshError
        For lengths that are not positive, for cylinders that overlap or leave the box (by number), and for gaps too
        narrow for the edge length.

    Examples
    --------
    >>> pair = packed_cylinders([[1.5, 1.5], [3.5, 1.5]], 0.8, (5, 3), 2, 0.5)
    >>> pair.names, round(float(pair.volumes[pair.labels == 0].sum()) / (4 * np.pi * 0.8**2), 9)
    (('axon', 'extra'), 1.0)
    """
    middles = _checked_centres(centres)
    axons = _one_for_each(radii, len(middles), "radius")
    wholes = axons if sheath is None else axons + _one_for_each(sheath, len(middles), "thickness of the sheath")
    box = np.array(size, dtype=np.float64)
    _check_lengths(size[0], size[1], height, edge_length)
    sides = np.minimum(edge_length, SIDE_PER_GAP * _gaps(middles, wholes, box, edge_length))
    layers = [
        concentric_layers([axon] if sheath is None else [axon, whole], int(np.ceil(2 * np.pi * whole / (6 * side))))
        for axon, whole, side in zip(axons, wholes, sides, strict=True)
    ]
    section, triangles, labels = _section(middles, wholes, layers, box, edge_length)
    heights = np.linspace(0, height, max(2, round(height / edge_length)) + 1)
    points, tetrahedra = extruded(section, triangles, heights)
    names = ("axon", "extra") if sheath is None else ("axon", "myelin", "extra")
    return TetMesh(points, tetrahedra, np.resize(labels, len(tetrahedra)), names)


def _section(
    middles: Floats, radii: Floats, layers: list[list[Layer]], box: Floats, edge: float
) -> tuple[Floats, Ints, Ints]:
    """Points (n, 2), triangles (t, 3) and labels (t,): disc after disc, then what lies between them."""
    corners = np.array([6 * found[-1].division for found in layers])
    discs = [disc(found) for found in layers]
    placed = [points + middle for (points, _, _), middle in zip(discs, middles, strict=True)]
    rings = [points[-count:] for points, count in zip(placed, corners, strict=True)]
    reach = np.array([polygon_radius(radius, count) for radius, count in zip(radii, corners, strict=True)])
    circles = Circles(middles, reach, 2 * reach * np.sin(np.pi / corners), box, edge)
    places, between = triangles_between(circles, rings)
    starts = np.cumsum([0, *(len(points) for points in placed)])
    on_rings = [end - count + np.arange(count) for end, count in zip(starts[1:], corners, strict=True)]
    others = places[corners.sum() :]
    number = np.concatenate([*on_rings, starts[-1] + np.arange(len(others))])
    return (
        np.concatenate([*placed, others]),
        np.concatenate([*(t + start for (_, t, _), start in zip(discs, starts, strict=False)), number[between]]),
        np.concatenate([*(found for _, _, found in discs), np.full(len(between), layers[0][-1].label + 1)]),
    )


def _checked_centres(centres: ArrayLike) -> Floats:
    middles = np.atleast_2d(np.array(centres, dtype=np.float64))
    if middles.size == 0:
        raise MeshError("no cylinders to pack; for a box alone there is geometry.box")
    if middles.ndim != 2 or middles.shape[1] != 2:
        raise MeshError(f"centres have shape {middles.shape}; give x and y of every cylinder, (k, 2), in µm")
    for k in np.flatnonzero(~np.isfinite(middles).all(axis=1))[:1]:
        raise MeshError(f"the centre of cylinder {k} is not finite; give x and y in µm")
    return middles


def _one_for_each(values: ArrayLike, count: int, what: str) -> Floats:
    given = np.asarray(values, dtype=np.float64)
    if given.ndim and given.shape != (count,):
        raise MeshError(f"{given.size} values of the {what} for {count} cylinders: give one for each or one for all")
    found = np.broadcast_to(given, (count,))
    for k in np.flatnonzero(~(np.isfinite(found) & (found > 0)))[:1]:
        raise MeshError(f"the {what} of cylinder {k} is {found[k]:g} µm: give a positive length")
    return found


def _check_lengths(x: float, y: float, height: float, edge_length: float) -> None:
    for what, length in {"width": x, "depth": y, "height": height, "edge length": edge_length}.items():
        if not (np.isfinite(length) and length > 0):
            raise MeshError(f"the {what} is {length:g} µm: give a positive length")


def _gaps(middles: Floats, radii: Floats, box: Floats, edge: float) -> Floats:
    """From every cylinder to its nearest neighbour or wall, (k,) µm; raises MeshError where there is none."""
    apart = np.linalg.norm(middles[:, None] - middles, axis=2) - radii - radii[:, None]
    np.fill_diagonal(apart, np.inf)
    inside = np.minimum(middles, box - middles).min(axis=1) - radii
    i, j = sorted(divmod(int(np.argmin(apart)), len(apart)))
    if apart[i, j] < 0:
        pairs = int((apart < 0).sum()) // 2
        raise MeshError(
            f"{pairs} pairs of cylinders overlap, most of all {i} and {j}, by {-apart[i, j]:.3g} µm: "
            "move them apart or make them thinner"
        )
    if inside.min() < 0:
        k = int(np.argmin(inside))
        raise MeshError(
            f"{int((inside < 0).sum())} cylinders leave the box, most of all {k}, by {-inside[k]:.3g} µm: "
            "move it inside or enlarge the box"
        )
    gaps = np.minimum(apart.min(axis=1), inside)
    k = int(np.argmin(gaps))
    if gaps[k] < NARROWEST * edge:
        remedy = f" or give an edge length below {gaps[k] / NARROWEST:.2g} µm" if gaps[k] > 0 else ""
        raise MeshError(
            f"cylinder {k} is {gaps[k]:.3g} µm from its neighbour or the wall, too close for an edge length of "
            f"{edge:g} µm: move it away{remedy}"
        )
    return gaps
