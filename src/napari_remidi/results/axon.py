"""An axon: what one reconstruction found."""

import json
import platform
from dataclasses import dataclass, field, replace
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_remidi.errors import InputError, OutputError, PriorError
from napari_remidi.files import write_whole
from napari_remidi.inversion import Solution
from napari_remidi.inversion.solution import CANCELLED
from napari_remidi.results.surfaces import MESHES, save_surface
from napari_remidi.results.words import SIMPLE, warnings_of
from napari_remidi.scan import Protocol

if TYPE_CHECKING:
    import trimesh

    from napari_remidi.shapes import Prior

Floats = NDArray[np.float64]
SUFFIXES = (*MESHES, ".json", ".npz")


@dataclass(frozen=True, eq=False)
class Axon:
    """A reconstructed axon in world axes, µm, centred: its position is not in the signal, nor is its mirror image.

    Attributes
    ----------
    solution : Solution
    measured : (M,) S/S0
    protocol : Protocol
    provenance : versions, and where the signal came from
    chamfer_um : distance to the true surface, where one is known
    """

    solution: Solution
    measured: Floats
    protocol: Protocol
    provenance: dict[str, Any] = field(default_factory=dict)
    chamfer_um: float | None = None

    @classmethod
    def from_solution(
        cls, solution: Solution, measured: ArrayLike, protocol: Protocol, source: dict[str, Any] | None = None
    ) -> "Axon":
        """An axon with the versions of what made it; `source` says where the signal came from."""
        provenance = {"source": source or {}, "versions": versions()}
        return cls(solution, np.asarray(measured, dtype=np.float64), protocol, provenance)

    @property
    def points(self) -> Floats:
        """Nodes, (n, 3) µm."""
        return self.solution.points

    @property
    def tetrahedra(self) -> NDArray[np.int64]:
        """(m, 4)."""
        return self.solution.tetrahedra

    @property
    def faces(self) -> NDArray[np.int64]:
        """Surface triangles, (k, 3) indices of `points`, outward."""
        return self.solution.faces

    @cached_property
    def surface_nodes(self) -> NDArray[np.int64]:
        """Indices of the nodes on the surface, (s,)."""
        return np.unique(self.faces)

    @cached_property
    def surface(self) -> "trimesh.Trimesh":
        """The surface with its own nodes only."""
        import trimesh

        faces = np.searchsorted(self.surface_nodes, self.faces)
        return trimesh.Trimesh(self.points[self.surface_nodes], faces, process=False)

    @property
    def surface_sd(self) -> Floats:
        """Standard deviation of the surface's nodes along their normals, (s,) µm."""
        return self.vertex_sd[self.surface_nodes]

    @property
    def vertex_sd(self) -> Floats:
        """Standard deviation of every node, (n,) µm."""
        return self.solution.vertex_sd

    @property
    def signal(self) -> Floats:
        """Fitted S/S0, (M,)."""
        return self.solution.signal

    @property
    def latent(self) -> Floats:
        """(d,)."""
        return self.solution.latent

    @property
    def fractions(self) -> dict[str, float]:
        """Share of the signal at b = 0 of "intra", "extra" and "free"."""
        return self.solution.fractions

    @property
    def history(self) -> tuple[dict[str, Any], ...]:
        """One dict per iteration."""
        return self.solution.history

    @property
    def cancelled(self) -> bool:
        """Whether it is the best shape of a run that was cancelled, not a result."""
        return self.solution.stop_reason == CANCELLED

    @property
    def parameters(self) -> dict[str, Any]:
        """The settings that made it; `reconstruct` with them makes it again."""
        return self.solution.settings

    def twin(self) -> "Axon":
        """The axon's mirror through its centre, which has the same signal."""
        mirrored = replace(
            self.solution,
            points=-self.points,
            tetrahedra=self.tetrahedra[:, [0, 2, 1, 3]],
            faces=self.faces[:, ::-1],
            rotation=-self.solution.rotation,
        )
        return replace(self, solution=mirrored)

    def samples(self, count: int = 20, seed: int = 0, prior: "Prior | None" = None) -> "list[trimesh.Trimesh]":
        """Surfaces drawn from the posterior of shape and orientation, in world axes, µm, each centred.

        What folds is drawn again; there are fewer than `count` where nearly everything does. `prior` is loaded by its
        name in `parameters` if not given.

        Raises
        ------
        PriorError
            Where the prior cannot be loaded, or is not the one that made this axon.
        """
        import trimesh

        from napari_remidi.inversion.rotation import turned
        from napari_remidi.inversion.samples import posterior_samples
        from napari_remidi.shapes import Prior

        prior = prior or Prior.load(self.parameters["prior"])
        if (prior.latent_dim, len(prior.tetrahedra)) != (len(self.latent), len(self.tetrahedra)):
            raise PriorError(
                f"prior {prior.name!r} has {prior.latent_dim} latent dimensions, this axon {len(self.latent)}: "
                "give the prior that made it"
            )
        bodies, turns = posterior_samples(prior, self.latent, self.solution.covariance, count, seed)
        faces = np.searchsorted(self.surface_nodes, self.faces)
        return [
            trimesh.Trimesh((body @ turned(self.solution.rotation, turn).T)[self.surface_nodes], faces, process=False)
            for body, turn in zip(bodies, turns, strict=True)
        ]

    def with_truth(self, truth: "trimesh.Trimesh") -> "Axon":
        """The same axon, with its distance to the true surface."""
        from napari_remidi.results.metrics import chamfer

        return replace(self, chamfer_um=chamfer(self.surface, truth))

    def report(self) -> dict[str, Any]:
        """Everything but the mesh, in plain values: what report.json holds."""
        solution = self.solution
        found = {name: _rounded(quantity) for name, quantity in solution.quantities.items()}
        return {
            "chamfer_um": None if self.chamfer_um is None else round(self.chamfer_um, 4),
            "chi2_per_dof": round(solution.chi2_per_dof, 4),
            "variance_explained": round(solution.variance_explained, 6),
            "noise_sd": solution.noise_sd,
            "noise_source": solution.noise_source,
            "seconds": round(solution.seconds, 2),
            "iterations": solution.iterations,
            "stop_reason": solution.stop_reason,
            "fractions": {name: round(share, 4) for name, share in self.fractions.items()},
            "compartments": {name: round(value, 4) for name, value in solution.compartments.items()},
            "radius_um": {
                "mean": found["radius_mean"]["value"],
                "sd": found["radius_mean"]["sd"],
                "along_axis_sd": round(float(solution.radii.std()), 4),
                "min": found["radius_min"]["value"],
                "max": found["radius_max"]["value"],
            },
            "length_um": found["length"]["value"],
            "volume_um3": found["volume"]["value"],
            "surface_sd_um": {
                "mean": round(float(self.surface_sd.mean()), 4),
                "max": round(float(self.surface_sd.max()), 4),
            },
            "direction": [round(float(x), 5) for x in solution.rotation[:, 2]],
            "latent": [round(float(x), 5) for x in self.latent],
            "quantities": found,
            "explained": solution.fit["explained"],
            "warning": warnings_of(solution, self.measured, self.protocol),
            "fit": _rounded(solution.fit),
            "symmetry": solution.symmetry,
            "simple": SIMPLE if solution.simple else None,
            "twin": "the mirror image through the centre has the same signal",
            "timing_source": self.protocol.timing_source,
            "parameters": self.parameters,
            "device": solution.device,
            **self.provenance,
        }

    def save(self, path: str | PathLike[str]) -> None:
        """Write by the path's ending: .ply .stl .obj .glb (surface), .json (report), .npz (everything).

        Raises
        ------
        OutputError
            For another ending, or where the file cannot be written; nothing is left half-written.
        """
        target = Path(path)
        suffix = target.suffix.lower()
        if suffix in MESHES:
            save_surface(self.surface, target, self.surface_sd)
        elif suffix == ".json":
            write_whole(target, lambda file: file.write(json.dumps(self.report(), indent=1).encode()))
        elif suffix == ".npz":
            write_whole(target, lambda file: np.savez_compressed(file, allow_pickle=False, **self._packed()))
        else:
            raise OutputError(f"{target.name}: unknown ending {suffix!r}; choose one of {' '.join(SUFFIXES)}")

    @classmethod
    def open(cls, path: str | PathLike[str]) -> "Axon":
        """An axon saved as .npz; InputError for a file that is none."""
        source = Path(path)
        if not source.is_file():
            raise InputError(f"{source}: no such file")
        try:
            with np.load(source, allow_pickle=False) as file:
                record = json.loads(str(file["record"]))
                arrays = {name: file[name] for name in file.files if name != "record"}
            measured = arrays.pop("measured")
            solution = Solution(**arrays, **{**record["solution"], "history": tuple(record["solution"]["history"])})
            protocol = Protocol.from_dict(record["protocol"])
        except (KeyError, ValueError, TypeError, OSError):
            raise InputError(
                f"{source.name}: not an axon saved by napari-remidi; give an .npz file written by Save"
            ) from None
        return cls(solution, measured, protocol, record["provenance"], record["chamfer_um"])

    def _packed(self) -> dict[str, Any]:
        values = {name: getattr(self.solution, name) for name in Solution.__dataclass_fields__}
        arrays = {name: value for name, value in values.items() if isinstance(value, np.ndarray)}
        record = {
            "solution": {name: value for name, value in values.items() if name not in arrays},
            "protocol": self.protocol.to_dict(),
            "provenance": self.provenance,
            "chamfer_um": self.chamfer_um,
        }
        return {**arrays, "measured": self.measured, "record": np.array(json.dumps(record))}


def _rounded(values: dict[str, Any]) -> dict[str, Any]:
    """Numbers to six digits."""
    return {name: float(f"{value:.6g}") if isinstance(value, float) else value for name, value in values.items()}


def versions() -> dict[str, str]:
    """Versions of this package and of what it computes with."""
    from importlib.metadata import version

    names = ("napari-remidi", "torch", "numpy", "scipy")
    return {"python": platform.python_version(), **{name: version(name) for name in names}}
