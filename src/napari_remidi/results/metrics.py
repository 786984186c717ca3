"""How far two surfaces are apart."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_remidi.errors import MeshError

if TYPE_CHECKING:
    import trimesh
    from scipy.spatial import KDTree

Floats = NDArray[np.float64]
SAMPLES = 5000
TURNS = 8  # about the long axis, from which rotations are refined
CLOSEST_POINTS = 20  # rounds of one refinement
FEW = 1000  # points that choose among starts


def chamfer(
    a: "trimesh.Trimesh | ArrayLike", b: "trimesh.Trimesh | ArrayLike", samples: int = SAMPLES, seed: int = 0
) -> float:
    """Chamfer distance of two surfaces, after centring, the smaller of b and its twin.

    Half the sum of the two mean distances, µm, from area-uniform samples of one surface to the triangles of the other
    (from sample to sample there would be a floor of about 0.05 µm). A diffusion signal knows neither position nor point
    inversion x -> −x, so both surfaces are centred on their area's centroid and b is compared mirrored as well.

    Parameters
    ----------
    a, b : surfaces (trimesh.Trimesh, or anything with `.surface`), or points (n, 3), µm; points are compared to points
    samples : per surface
    seed : of the samples

    Raises
    ------
    MeshError
        For a surface without faces or points of another shape.

    Examples
    --------
    >>> import trimesh
    >>> small, large = (trimesh.creation.icosphere(4, radius) for radius in (2.0, 2.5))
    >>> round(chamfer(small, large.apply_translation([5, 0, 0])), 2)
    0.5
    """
    first, second = _Samples.of(a, samples, seed), _Samples.of(b, samples, seed + 1)
    return float(min(_between(first, second), _between(first, second.mirrored())))


def chamfer_any_rotation(a: "trimesh.Trimesh", b: "trimesh.Trimesh", samples: int = SAMPLES, seed: int = 0) -> float:
    """The same of two surfaces, with b turned as it fits best: the measure of a work that is given the orientation.

    Rotations are refined by iterated closest points, from b as it is and from its long axis laid along a's, either way
    up and at several turns about it. Parameters and errors are those of `chamfer`.

    Examples
    --------
    >>> import trimesh
    >>> box, other = (trimesh.creation.box((2, 3, 9)) for _ in range(2))
    >>> turned = other.apply_transform(trimesh.transformations.rotation_matrix(1.0, [1, 2, 0]))
    >>> chamfer(box, turned) > 0.5, chamfer_any_rotation(box, turned) < 0.01
    (True, True)
    """
    first, second = _Samples.of(a, samples, seed), _Samples.of(b, samples, seed + 1)
    target = _Target.of(first)
    found = []
    for twin in (second, second.mirrored()):
        few = twin.points[:FEW]
        starts = (target.turned_nearer(few, start) for start in [np.eye(3), *_turns_onto(first.points, few)])
        best = min(starts, key=lambda turn: target.distance(few, turn))
        best = target.turned_nearer(twin.points, best)
        found.append((target.distance(twin.points, best), twin.turned(best)))
    return _between(first, min(found, key=lambda pair: pair[0])[1])


class _Samples:
    """Centred points that stand for a surface, and the surface itself where there is one."""

    def __init__(self, points: Floats, mesh: "trimesh.Trimesh | None") -> None:
        self.points, self.mesh = points, mesh

    @classmethod
    def of(cls, thing: "trimesh.Trimesh | ArrayLike", count: int, seed: int) -> "_Samples":
        import trimesh

        surface = getattr(thing, "surface", thing)
        if not isinstance(surface, trimesh.Trimesh):
            points = np.asarray(surface, dtype=np.float64)
            if points.ndim != 2 or points.shape[1] != 3 or len(points) == 0:
                raise MeshError(
                    f"points of shape {points.shape} are no surface: give (n, 3) points or a trimesh.Trimesh"
                )
            return cls(points - points.mean(axis=0), None)
        if len(surface.faces) == 0:
            raise MeshError("a surface without faces has no distance to another; give one with triangles")
        centre = surface.area_faces @ surface.triangles_center / surface.area
        mesh = trimesh.Trimesh(surface.vertices - centre, surface.faces, process=False)
        return cls(np.asarray(trimesh.sample.sample_surface(mesh, count, seed=seed)[0]), mesh)

    def mirrored(self) -> "_Samples":
        return self.turned(-np.eye(3))

    def turned(self, turn: Floats) -> "_Samples":
        """Under a rotation or rotoinversion, (3, 3)."""
        import trimesh

        mesh = None
        if self.mesh is not None:
            faces = self.mesh.faces if np.linalg.det(turn) > 0 else self.mesh.faces[:, ::-1]
            mesh = trimesh.Trimesh(self.mesh.vertices @ turn.T, faces, process=False)
        return _Samples(self.points @ turn.T, mesh)

    def distances(self, points: Floats) -> Floats:
        """From points, (p, 3), to this surface."""
        if self.mesh is None:
            from scipy.spatial import KDTree

            return np.asarray(KDTree(self.points).query(points)[0])
        import trimesh

        return np.asarray(trimesh.proximity.closest_point(self.mesh, points)[1])


def _between(a: _Samples, b: _Samples) -> float:
    return float(b.distances(a.points).mean() + a.distances(b.points).mean()) / 2


def _turns_onto(fixed: Floats, points: Floats) -> list[Floats]:
    """Rotations, (3, 3), that lay the long axis of one cloud along another's, either way up."""
    from scipy.spatial.transform import Rotation

    onto, own = _principal_frame(fixed), _principal_frame(points)
    abouts = Rotation.from_rotvec(np.outer(2 * np.pi * np.arange(TURNS) / TURNS, [1, 0, 0])).as_matrix()
    flips = (np.eye(3), np.diag([-1.0, -1.0, 1.0]))
    return [onto @ about @ flip @ own.T for about in abouts for flip in flips]


def _principal_frame(points: Floats) -> Floats:
    """Columns: the longest direction, the next, and the third, right-handed."""
    axes = np.linalg.svd(points, full_matrices=False)[2]
    return np.stack([axes[0], axes[1], np.cross(axes[0], axes[1])], axis=1)


@dataclass(frozen=True, eq=False)
class _Target:
    """Samples of a surface, (s, 3), with normals, to lay other points on."""

    points: Floats
    normals: Floats
    tree: "KDTree"

    @classmethod
    def of(cls, samples: _Samples) -> "_Target":
        import trimesh
        from scipy.spatial import KDTree

        if samples.mesh is None:
            raise MeshError("points have no normals to turn a shape by; give two surfaces (trimesh.Trimesh)")
        faces = trimesh.proximity.closest_point(samples.mesh, samples.points)[2]
        return cls(samples.points, np.asarray(samples.mesh.face_normals)[faces], KDTree(samples.points))

    def distance(self, points: Floats, turn: Floats) -> float:
        """Mean, µm, of turned points to the nearest sample."""
        return float(self.tree.query(points @ turn.T)[0].mean())

    def turned_nearer(self, points: Floats, turn: Floats) -> Floats:
        """The rotation, (3, 3), that brings points nearest to the surface's tangent planes, from a start.

        Point-to-plane, because distances between samples would hold a rotation back where they are.
        """
        from scipy.spatial.transform import Rotation

        for _ in range(CLOSEST_POINTS):
            moved = points @ turn.T
            nearest = self.tree.query(moved)[1]
            normals = self.normals[nearest]
            gaps = ((self.points[nearest] - moved) * normals).sum(axis=1)
            step = np.linalg.lstsq(np.cross(moved, normals), gaps, rcond=1e-3)[0]  # none about an axis of symmetry
            turn = Rotation.from_rotvec(step).as_matrix() @ turn
            if np.linalg.norm(step) < 1e-4:
                break
        return turn
