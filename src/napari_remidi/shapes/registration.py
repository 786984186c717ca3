"""Closed surfaces of axon segments, written on the nodes of the reference tube.

Every section of the tube becomes an affine image of the unit disc: its centre c(s) and a map B(s), (3, 2), put the
node of radius ρ and angle θ at c(s) + B(s) (ρ cos θ, ρ sin θ), s the share of the centre line's length. So sections are
ellipses, and may be tilted against the centre line, as the flat ends of a cut axon are. The maps are found by least
squares between the two surfaces, both ways, point to plane (Chen & Medioni 1992), with their roughness along s as a
weak penalty; nearest points are sought in position and normal, so that a cap is fitted to a cap, and its rim to a rim.
"""

from collections.abc import Callable
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.polynomial.chebyshev import chebfit, chebval
from numpy.typing import NDArray
from scipy import sparse
from scipy.interpolate import CubicSpline
from scipy.linalg import solve
from scipy.spatial import KDTree

from napari_remidi.errors import InputError, MeshError
from napari_remidi.physics.mesh import signed_volumes
from napari_remidi.shapes.tube import Tube
from napari_remidi.shapes.tubelike import axial_orders, closed_and_whole, thickness

if TYPE_CHECKING:
    import trimesh

Floats = NDArray[np.float64]
FORMATS = (".ply", ".stl", ".obj")
TOLERANCE = 0.05  # µm, mean distance of the surfaces
SAMPLES = 8000  # of the surface, to fit
THINNED = 3  # of them, one in so many, to find the axis
MEASURED = 2000  # of each surface, to measure the distance
INSIDE = ((4, 1, 1), (1, 4, 1), (1, 1, 4), (2, 2, 2))  # sixths of a triangle's corners: samples of the template
ITERATIONS = 40
SOFTENING = 15  # iterations until the weights are the last ones
STIFF, SOFT = 1e-1, 1e-4  # of the squared roughness, at first and in the end
EVEN, SMOOTH, UPRIGHT = 1e-2, 1e-2, (1e-1, 1e-5)  # of the sections' spacing and tilt, where no cap says how they tilt
LINE, END = 200, 50  # points along the axis, and those of them that are near an end
FLAT = 0.4  # of what faces outward at an end, the least that makes a flat cap
PULL = 0.1  # at first, of the distance to the nearest point itself, beside that to its plane
DAMPING = 1e-9  # of a step, for the turn of a round tube about its axis, which nothing else fixes
SETTLED = 1e-4  # of the thickness, a last step


@dataclass(frozen=True, eq=False)
class Registration:
    """A surface on the template's nodes.

    Attributes
    ----------
    points : (n, 3) float, µm, nodes in the template's order, where the surface was
    mean_um, percentile_99_um : µm, distances from points spread over each surface to the triangles of the other
    name : of the surface
    """

    points: Floats
    mean_um: float
    percentile_99_um: float
    name: str


def register(surface: "trimesh.Trimesh", tube: Tube, name: str = "surface") -> Registration:
    """Write a closed, tube-like surface on the nodes of a template.

    Parameters
    ----------
    surface : µm, of any triangulation; normals that point inward are turned
    tube : the template
    name : for messages

    Raises
    ------
    MeshError
        For a surface that is open, in several parts, crosses itself, has a hole through it, branches, is a ball, has
        no axon's size, or is fitted worse than 0.05 µm on average.
    """
    import trimesh

    whole = closed_and_whole(surface, name)
    middle = whole.vertices.mean(axis=0)
    whole.apply_translation(-middle)
    points, face = trimesh.sample.sample_surface(whole, SAMPLES, seed=0)
    target = _Target(np.asarray(points), np.asarray(whole.face_normals[face]), thickness(whole))
    template = _Template(tube)
    fits = []
    along_surface, along_principal = axial_orders(target.points[::THINNED], target.thickness, name)
    for order, highest in ((along_surface, 3), (along_principal, 1), (along_surface, 8)):
        try:
            nodes = template.nodes @ _fitted(template, target, *_started(tube, target, order, highest))
        except np.linalg.LinAlgError:  # a start so far off that nothing fixes a section
            continue
        folded = int((signed_volumes(nodes, tube.tetrahedra) <= 0).sum())
        fits.append((*_distances(nodes, tube, whole), folded, nodes))
        if fits[-1][0] <= TOLERANCE and not folded:
            break
    if not fits:
        raise MeshError(f"{name} is no tube of elliptic sections: no axis fits it; leave it out")
    mean, percentile, folded, nodes = min(fits, key=lambda fit: (fit[0] > TOLERANCE, fit[2] > 0, fit[0]))
    if mean > TOLERANCE:
        raise MeshError(
            f"{name} is no tube of elliptic sections: the best fit is {mean:.3g} µm from it on average, more than "
            f"{TOLERANCE:g} µm; smooth it, cut it where it is irregular, or leave it out"
        )
    if folded:
        raise MeshError(
            f"{name} bends or widens so sharply that {folded} tetrahedra of the template fold: smooth it, or cut it "
            "there"
        )
    return Registration(nodes + middle, mean, percentile, name)


def register_folder(
    folder: str | PathLike[str], tube: Tube, progress: Callable[[float], None] = lambda done: None
) -> tuple[list[Registration], dict[str, str]]:
    """Register every PLY, STL and OBJ file of a folder, in the order of their names.

    Parameters
    ----------
    folder : of closed surfaces, µm
    tube : the template
    progress : told the share done

    Returns
    -------
    registrations : named as the files
    set_aside : name of every file that could not be read or registered, and the reason

    Raises
    ------
    InputError
        For a folder that is not there or has no such files.
    """
    place = Path(folder)
    if not place.is_dir():
        raise InputError(f"{place}: no such folder; give one with surfaces as PLY, STL or OBJ files")
    files = sorted(file for file in place.iterdir() if file.suffix.lower() in FORMATS and file.is_file())
    if not files:
        raise InputError(f"{place} has no PLY, STL or OBJ files: put the surfaces there, one axon segment a file")
    registrations, set_aside = [], {}
    for done, file in enumerate(files, 1):
        try:
            registrations.append(register(_read(file), tube, file.name))
        except MeshError as error:
            set_aside[file.name] = str(error)
        progress(done / len(files))
    return registrations, set_aside


def _read(file: Path) -> "trimesh.Trimesh":
    import trimesh

    try:
        surface = trimesh.load_mesh(file)
    except Exception as error:
        raise MeshError(f"{file.name} cannot be read ({error}): export it again as PLY, STL or OBJ") from None
    if not isinstance(surface, trimesh.Trimesh):
        raise MeshError(f"{file.name} holds no surface of triangles: export it again as PLY, STL or OBJ")
    return surface


class _Target:
    """Points spread over the surface, (p, 3) µm, its normals there and its thickness, µm."""

    def __init__(self, points: Floats, normals: Floats, thick: float) -> None:
        self.points, self.normals, self.thickness = points, normals, thick

    def joined(self, points: Floats, normals: Floats) -> Floats:
        """Position and normal in six dimensions, so that what is near also faces the same way."""
        return np.hstack([points, self.thickness / 2 * normals])


class _Template:
    """The tube as a linear map: nodes = `nodes` @ frames, with frames (3 layers, 3): centre and two half axes a layer.

    `samples` does the same for points spread over its surface, face by face.
    """

    def __init__(self, tube: Tube) -> None:
        rho, angle = tube.section.T
        section = np.stack([np.ones_like(rho), rho * np.cos(angle), rho * np.sin(angle)], axis=1)
        self.nodes = sparse.block_diag([section] * tube.layers, format="csr")
        self.faces = tube.boundary
        picks = sparse.csr_array(
            (
                np.tile(np.ravel(INSIDE) / 6, len(self.faces)),
                np.repeat(self.faces, len(INSIDE), axis=0).ravel(),
                np.arange(0, 3 * len(INSIDE) * len(self.faces) + 1, 3),
            ),
            shape=(len(INSIDE) * len(self.faces), self.nodes.shape[0]),
        )
        self.samples = (picks @ self.nodes).tocsr()
        bend = sparse.diags_array([1.0, -2.0, 1.0], offsets=[0, 3, 6], shape=(3 * tube.layers - 6, 3 * tube.layers))
        self.bend = bend.tocsr()
        self.roughness = (bend.T @ bend).toarray()

    def sliding(self, frames: Floats, slope: Floats, tilted: float) -> list[tuple[sparse.csr_array, Floats]]:
        """Rows and values of what a smooth wall does not fix: even spacing, and the sections' slopes."""
        layers = frames.reshape(-1, 3, 3)
        tangents = _tangents(layers[:, 0])
        radii = np.sqrt((np.cross(layers[:, 1:], tangents[:, None]) ** 2).sum(axis=(1, 2)) / 2)
        wanted = np.concatenate([np.zeros((1, len(radii))), radii * slope]).T.ravel()
        three = np.repeat(tangents, 3, axis=0)
        across = np.tile([0.0, 1.0, 1.0], len(layers))
        uneven = sparse.hstack([sparse.diags_array(three[3:-3, i]) @ self.bend for i in range(3)])
        tilt = sparse.hstack([sparse.diags_array(three[:, i] * across) for i in range(3)])
        even, held = np.sqrt(np.where(across[3:-3] > 0, SMOOTH, EVEN)), np.sqrt(tilted)
        return [(sparse.diags_array(even) @ uneven, np.zeros(uneven.shape[0])), (held * tilt.tocsr(), held * wanted)]

    def spread(self, frames: Floats) -> tuple[Floats, Floats, Floats]:
        """Points on the surface, their normals, (p, 3) each, and the area that each stands for, (p,)."""
        corners = (self.nodes @ frames)[self.faces]
        across = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        double = np.linalg.norm(across, axis=1)
        normals = across / np.maximum(double, 1e-12)[:, None]
        return self.samples @ frames, np.repeat(normals, len(INSIDE), axis=0), np.repeat(double, len(INSIDE))


def _started(tube: Tube, target: _Target, along: Floats, highest: int) -> tuple[Floats, Floats]:
    """Frames of a round tube from cap to cap, and the slopes of its two half axes along its axis, (2, layers)."""
    line = _principal_curve(target.points[::THINNED], target.normals[::THINNED], target.thickness, along, highest)
    caps = [_cap(target, line[0], line[0] - line[10]), _cap(target, line[-1], line[-1] - line[-11])]
    ends = []
    for place, beside, (point, normal) in zip((0, -1), (10, -11), caps, strict=True):
        outward = line[place] - line[beside]
        ends.append(line[place] + outward * ((point - line[place]) @ normal) / (outward @ normal))
    inner = np.ones(len(line), dtype=bool)
    inner[:END] = (line[:END] - caps[0][0]) @ caps[0][1] < 0
    inner[-END:] = (line[-END:] - caps[1][0]) @ caps[1][1] < 0
    whole = np.concatenate([ends[:1], line[inner][2:-2], ends[1:]])
    centres = _evenly(whole, whole, tube.layers)
    tangents = _tangents(centres)
    first = np.linalg.svd(tangents[:1])[2][1]
    across = np.empty((2, tube.layers, 3))
    for layer, tangent in enumerate(tangents):
        first = first - (first @ tangent) * tangent
        first /= np.linalg.norm(first)
        across[:, layer] = first, np.cross(tangent, first)
    slopes = [
        -across[:, end] @ normal / (tangents[end] @ normal) for end, (_, normal) in zip((0, -1), caps, strict=True)
    ]
    slope = np.linspace(slopes[0], slopes[1], tube.layers).T
    axes = target.thickness * (across + slope[..., None] * tangents)
    return np.concatenate([centres[None], axes]).swapaxes(0, 1).reshape(-1, 3), slope


def _principal_curve(points: Floats, normals: Floats, thick: float, along: Floats, highest: int) -> Floats:
    """A line along the axis, (l, 3): polynomials through the walls, by their place along the one before."""
    inside = points - thick * normals  # near the axis
    wall = np.ones(len(points))
    for degree in np.minimum((1, 2, 3, 4, 5, 6, 8, 8), highest):
        scaled = 2 * (along - along.min()) / np.ptp(along) - 1
        curve = chebfit(scaled, inside, degree, w=wall)
        low, high = np.quantile(scaled[wall > 0.5], (0.01, 0.99))
        line = np.asarray(chebval(np.linspace(low, high, LINE), curve).T, dtype=np.float64)
        line = np.vstack([2 * line[0] - line[10], line, 2 * line[-1] - line[-11]])
        nearest = KDTree(line).query(points)[1]
        along = _length_along(line)[nearest]
        wall = (1 - (normals * _tangents(line)[nearest]).sum(axis=1) ** 2) ** 2
    return line[1:-1]


def _cap(target: _Target, end: Floats, outward: Floats) -> tuple[Floats, Floats]:
    """A point of the surface's cap at an end of its axis, and its normal: the axis' where the cap is not flat."""
    axis = outward / np.linalg.norm(outward)
    near = np.linalg.norm(target.points - end, axis=1) < 3 * target.thickness
    near &= target.normals @ axis > 0.5
    points, normals = target.points[near], target.normals[near]
    if not len(points):
        return end, axis
    normal = axis
    kept = np.ones(len(points), dtype=bool)
    for steepest in (45, 30, 15, 15):
        height = points @ normal
        kept = normals @ normal > np.cos(np.deg2rad(steepest))
        kept &= np.abs(height - np.median(height[kept] if kept.any() else height)) < target.thickness / 4
        if kept.mean() < FLAT:
            return points.mean(axis=0), axis
        normal = normals[kept].sum(axis=0)
        normal /= np.linalg.norm(normal)
    return points[kept].mean(axis=0), normal


def _fitted(template: _Template, target: _Target, frames: Floats, slope: Floats) -> Floats:
    """Frames by least squares on distances from point to plane, nearest points found anew each time."""
    size = len(frames)
    tree = KDTree(target.joined(target.points, target.normals))
    for iteration in range(ITERATIONS):
        softened = min(1.0, iteration / SOFTENING)
        stiff, pull = STIFF ** (1 - softened) * SOFT**softened, PULL * (1 - softened)
        points, normals, area = template.spread(frames)
        near = tree.query(target.joined(points, normals))[1]
        back = KDTree(target.joined(points, normals)).query(target.joined(target.points, target.normals))[1]
        rows = sparse.vstack([template.samples, template.samples[back]]).tocsr()
        sought = np.concatenate([target.points[near], target.points])
        normal = np.concatenate([target.normals[near], target.normals])
        weight = np.concatenate([area / area.sum(), np.full(len(back), 1 / len(back))]) / 2
        offset = np.einsum("pi,pi->p", normal, sought)
        matrix = np.kron(np.eye(3), stiff * template.roughness + DAMPING * np.eye(size))
        right = DAMPING * frames.T
        for penalty, wanted in template.sliding(frames, slope, UPRIGHT[0] ** (1 - softened) * UPRIGHT[1] ** softened):
            matrix += (penalty.T @ penalty).toarray()
            right += (penalty.T @ wanted).reshape(3, size)
        for i in range(3):
            right[i] += rows.T @ (weight * (normal[:, i] * offset + pull * sought[:, i]))
            for j in range(3):
                metric = weight * (normal[:, i] * normal[:, j] + pull * (i == j))
                block = (rows.T @ (sparse.diags_array(metric) @ rows)).toarray()
                matrix[i * size : (i + 1) * size, j * size : (j + 1) * size] += block
        moved = solve(matrix, right.ravel(), assume_a="pos").reshape(3, size).T
        step = float(np.abs(moved - frames).max())
        frames = moved
        if softened == 1.0 and step < SETTLED * target.thickness:
            break
    layers = frames.reshape(-1, 3, 3)
    return _evenly(layers[:, 0], layers, len(layers)).reshape(-1, 3)


def _distances(nodes: Floats, tube: Tube, surface: "trimesh.Trimesh") -> tuple[float, float]:
    """Mean and 99th percentile of the distances between the tube's surface and another, both ways, µm."""
    import trimesh

    fitted = trimesh.Trimesh(nodes, tube.boundary, process=False)
    both = []
    for seed, (one, other) in enumerate(((fitted, surface), (surface, fitted))):
        points = trimesh.sample.sample_surface(one, MEASURED, seed=seed)[0]
        both.append(trimesh.proximity.closest_point(other, points)[1])
    return float(np.mean(both)), float(np.percentile(both, 99))


def _tangents(centres: Floats) -> Floats:
    steps = np.gradient(centres, axis=0)
    return np.asarray(steps / np.linalg.norm(steps, axis=1, keepdims=True))


def _length_along(line: Floats) -> Floats:
    return np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(line, axis=0), axis=1))])


def _evenly(line: Floats, values: Floats, count: int) -> Floats:
    """What is known at the points of a line, (l, ...), at as many evenly spaced along it."""
    along = _length_along(line)
    return np.asarray(CubicSpline(along, values)(np.linspace(0, along[-1], count)))
