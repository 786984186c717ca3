"""How far two surfaces are apart."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_remidi.errors import MeshError

if TYPE_CHECKING:
    import trimesh

Floats = NDArray[np.float64]
SAMPLES = 5000


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
        import trimesh

        mesh = None
        if self.mesh is not None:
            mesh = trimesh.Trimesh(-self.mesh.vertices, self.mesh.faces[:, ::-1], process=False)
        return _Samples(-self.points, mesh)

    def distances(self, points: Floats) -> Floats:
        """From points, (p, 3), to this surface."""
        if self.mesh is None:
            from scipy.spatial import KDTree

            return np.asarray(KDTree(self.points).query(points)[0])
        import trimesh

        return np.asarray(trimesh.proximity.closest_point(self.mesh, points)[1])


def _between(a: _Samples, b: _Samples) -> float:
    return float(b.distances(a.points).mean() + a.distances(b.points).mean()) / 2
