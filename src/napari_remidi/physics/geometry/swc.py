"""SWC files: a neuron as a tree of points with radii, and the round cones that this tree stands for."""

import math
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_remidi.errors import MeshError

NAMES = ("soma", "axon", "dendrite", "neurite")
KIND_OF = {1: 0, 2: 1, 3: 2, 4: 2}  # index of NAMES for an SWC type; others are neurites
OF_THE_PARENT = (5, 6)  # branch and end points, in files of the first convention

Array = NDArray[np.float64]
Indices = NDArray[np.int64]


@dataclass(frozen=True)
class Cones:
    """Round cones: all spheres between two, centre and radius both changing linearly."""

    starts: Array  # (c, 3) µm
    ends: Array  # (c, 3) µm
    start_radii: Array  # (c,) µm
    end_radii: Array  # (c,) µm
    kinds: Indices  # (c,) index of `names`
    lines: Indices  # (c,) where it stands in the file
    names: tuple[str, ...] = NAMES

    @property
    def thinnest(self) -> float:
        """The smallest radius, µm."""
        return float(min(self.start_radii.min(), self.end_radii.min()))

    @property
    def thinnest_line(self) -> int:
        """The line of the cone with the smallest radius."""
        return int(self.lines[np.argmin(np.minimum(self.start_radii, self.end_radii))])

    @property
    def bounds(self) -> Array:
        """Radius of a ball around the middle that holds the cone, (c,) µm."""
        return np.linalg.norm(self.ends - self.starts, axis=1) / 2 + np.maximum(self.start_radii, self.end_radii)

    @property
    def volume(self) -> float:
        """Sum of the frusta's and of the lone spheres' volumes, µm³: the neuron's, but for overlaps and round ends."""
        a, b, length = self.start_radii, self.end_radii, np.linalg.norm(self.ends - self.starts, axis=1)
        return float(
            (np.pi / 3 * length * (a**2 + a * b + b**2) + np.where(length == 0, 4 / 3 * np.pi * a**3, 0)).sum()
        )

    def cut_short(self, reach: float) -> "Cones":
        """The same union in pieces hardly longer than they are wide, `reach` counted in."""
        length = np.linalg.norm(self.ends - self.starts, axis=1)
        width = 2 * (np.maximum(self.start_radii, self.end_radii) + reach)
        pieces = np.maximum(1, np.ceil(length / width).astype(np.int64))
        of = np.repeat(np.arange(len(pieces)), pieces)
        place = np.arange(len(of)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
        s, e = place / pieces[of], (place + 1) / pieces[of]
        along, wider = (self.ends - self.starts)[of], (self.end_radii - self.start_radii)[of]
        return replace(
            self,
            starts=self.starts[of] + s[:, None] * along,
            ends=self.starts[of] + e[:, None] * along,
            start_radii=self.start_radii[of] + s * wider,
            end_radii=self.start_radii[of] + e * wider,
            kinds=self.kinds[of],
            lines=self.lines[of],
        )

    def distance(self, cone: Indices, points: Array) -> Array:
        """Signed distance of each point to one cone, (n,) µm, negative inside.

        In the plane of the point and the axis, with the wider end's radius a at 0 and the narrower's b at l, the
        tangent line touches both circles at the angle sin φ = (a - b)/l: the nearest of the three pieces follows from
        the point's place along that line.
        """
        swap = self.start_radii[cone] < self.end_radii[cone]
        start = np.where(swap[:, None], self.ends[cone], self.starts[cone])
        end = np.where(swap[:, None], self.starts[cone], self.ends[cone])
        a, b = (pick(self.start_radii[cone], self.end_radii[cone]) for pick in (np.maximum, np.minimum))
        axis = end - start
        length = np.linalg.norm(axis, axis=1)
        unit = np.divide(axis, length[:, None], out=np.zeros_like(axis), where=length[:, None] > 0)
        from_start = points - start
        y = (from_start * unit).sum(axis=1)
        x = np.linalg.norm(from_start - y[:, None] * unit, axis=1)
        sine = np.divide(a - b, length, out=np.ones_like(a), where=length > a - b)  # 1: one sphere holds the other
        cosine = np.sqrt(1 - sine**2)
        along = y * cosine - x * sine  # from where the tangent line touches the wider sphere
        wide = np.hypot(x, y) - a
        narrow = np.hypot(x, y - length) - b
        side = x * cosine + y * sine - a
        return np.where((along <= 0) | (sine >= 1), wide, np.where(along >= length * cosine, narrow, side))


@dataclass(frozen=True)
class _Point:
    line: int
    kind: int
    place: tuple[float, float, float]
    radius: float
    parent: int


def read_tree(path: Path) -> Cones:
    """Read an SWC file; MeshError, with the line, where it is no tree."""
    points = _points(path)
    _check_tree(path, points)
    kinds = _kinds(points)
    children: dict[int, list[int]] = {number: [] for number in points}
    for number, point in points.items():
        if point.parent in points:
            children[point.parent].append(number)
    left_out = _three_point_soma(points, children)
    rows = []
    for number, point in points.items():
        parent = points.get(point.parent)
        if number in left_out:
            continue
        if parent is None or point.parent in left_out:
            rows.append((*point.place, *point.place, point.radius, point.radius, kinds[number], point.line))
            continue
        leaves_soma = kinds[point.parent] == 0 and kinds[number] != 0
        before = point.radius if leaves_soma else parent.radius
        rows.append((*parent.place, *point.place, before, point.radius, kinds[number], point.line))
    table = np.array(rows)
    whole = table[:, 8:].astype(np.int64)
    return Cones(table[:, :3], table[:, 3:6], table[:, 6], table[:, 7], whole[:, 0], whole[:, 1])


def _points(path: Path) -> dict[int, _Point]:
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        reason = "no such file" if isinstance(error, FileNotFoundError) else error.strerror
        raise MeshError(f"{path}: {reason}") from None
    points: dict[int, _Point] = {}
    for line, content in enumerate(text.splitlines(), 1):
        fields = content.split("#")[0].split()
        if not fields:
            continue
        number, point = _point(path, line, fields)
        if number in points:
            raise MeshError(
                f"{path}, line {line}: point {number} stands at line {points[number].line} already: number it anew"
            )
        points[number] = point
    if not points:
        raise MeshError(f"{path}: no points in it; an SWC file has lines of number, type, x, y, z, radius and parent")
    return points


def _point(path: Path, line: int, fields: list[str]) -> tuple[int, _Point]:
    try:
        number, kind, parent = (int(fields[i]) for i in (0, 1, 6))
        x, y, z, radius = (float(field) for field in fields[2:6])
        if not all(map(math.isfinite, (x, y, z, radius))):
            raise ValueError
    except (ValueError, IndexError):
        found = " ".join(fields)
        raise MeshError(
            f"{path}, line {line}: {found[:60]!r} is not number, type, x, y, z, radius and parent: correct or remove it"
        ) from None
    if radius <= 0:
        raise MeshError(f"{path}, line {line}: point {number} has radius {radius:g} µm: give it a positive radius")
    return number, _Point(line, kind, (x, y, z), radius, parent)


def _check_tree(path: Path, points: dict[int, _Point]) -> None:
    roots = [point.line for point in points.values() if point.parent == -1]
    for number, point in points.items():
        if point.parent != -1 and point.parent not in points:
            raise MeshError(
                f"{path}, line {point.line}: the parent of point {number}, {point.parent}, is not in the file: "
                "add it, or give the root of the tree the parent -1"
            )
    if len(roots) > 1:
        raise MeshError(
            f"{path}, line {roots[1]}: a second root, after that at line {roots[0]}: connect the two trees, or write "
            "each to a file of its own"
        )
    reaches_root: set[int] = set()
    for number in points:
        way: dict[int, None] = {}
        here = number
        while here != -1 and here not in reaches_root:
            if here in way:
                raise MeshError(
                    f"{path}, line {points[here].line}: point {here} is its own ancestor: give it the parent that lies "
                    "nearer to the soma"
                )
            way[here] = None
            here = points[here].parent
        reaches_root.update(way)


def _kinds(points: dict[int, _Point]) -> dict[int, int]:
    """Index of NAMES for every point."""
    kinds = {}
    for number, point in points.items():
        while point.kind in OF_THE_PARENT and point.parent in points:
            point = points[point.parent]
        kinds[number] = KIND_OF.get(point.kind, len(NAMES) - 1)
    return kinds


def _three_point_soma(points: dict[int, _Point], children: dict[int, list[int]]) -> set[int]:
    """The two points that NeuroMorpho.org adds, a radius above and below the centre, to a soma that is one sphere."""
    soma = [number for number, point in points.items() if point.kind == 1]
    if len(soma) != 3:
        return set()
    centre, *others = sorted(soma, key=lambda number: points[number].parent in soma)
    radius = points[centre].radius
    for number in others:
        point = points[number]
        apart = math.dist(point.place, points[centre].place)
        if point.parent != centre or children[number] or point.radius != radius or abs(apart - radius) > 0.05 * radius:
            return set()
    return set(others)
