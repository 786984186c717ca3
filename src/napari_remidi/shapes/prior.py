"""A prior: which shapes there are, how likely, and the basis that holds their modes."""

import copy
import hashlib
import json
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from importlib.resources import files
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as safetensors_bytes
from torch import Tensor

from napari_remidi.errors import PriorError
from napari_remidi.files import write_whole
from napari_remidi.physics import TetMesh
from napari_remidi.shapes.autoencoder import SpectralAutoEncoder
from napari_remidi.shapes.calibre import extension
from napari_remidi.shapes.exemplars import ExemplarModels
from napari_remidi.shapes.fitting import fitted_fields
from napari_remidi.shapes.quality import folded
from napari_remidi.shapes.spectral import SpectralBasis, placed
from napari_remidi.shapes.tube import Tube

Floats = NDArray[np.float64]
SHIPPED = ("axon", "axon-open")
FORMAT = 3
NUDGE = 1e-5  # standard deviations


@dataclass(frozen=True, eq=False)
class Prior:
    """Axons of a family: latent z ~ N(0, I) -> tetrahedral mesh.

    Attributes
    ----------
    name : "axon", "axon-open", or that of a file
    ends : "closed", a sealed segment; "open", the middle of a longer axon
    tube : the template
    basis : the spectral representation
    network : coefficients <-> latent
    pod : (n, R) float32, spans the low Laplacian modes of every shape of the family
    exemplars : (E, d) latents of family members, the most different first
    models : of diffusion in the first exemplars; none with open ends
    provenance : seed, families, metrics
    """

    name: str
    ends: str
    tube: Tube
    basis: SpectralBasis
    network: SpectralAutoEncoder
    pod: NDArray[np.float32]
    exemplars: Floats
    models: ExemplarModels
    provenance: dict[str, Any]

    @classmethod
    def load(cls, name: str | PathLike[str]) -> "Prior":
        """A shipped prior by name, or one from a file.

        Raises
        ------
        PriorError
            For an unknown name, or a file that holds no prior.
        """
        if name in SHIPPED:
            return _shipped(str(name))
        path = Path(name)
        if not path.is_file():
            raise PriorError(
                f"prior {str(name)!r} is unknown: choose {' or '.join(map(repr, SHIPPED))}, or give the path of a "
                ".safetensors file made by napari-remidi train"
            )
        return _read(path, path.stem)

    def __post_init__(self) -> None:
        self.prepare(torch.device("cpu"))

    @property
    def latent_dim(self) -> int:
        """d."""
        return self.network.latent

    @property
    def tetrahedra(self) -> NDArray[np.int64]:
        """(m, 4), the template's."""
        return self.tube.tetrahedra

    @property
    def boundary(self) -> NDArray[np.int64]:
        """(k, 3), the template's surface."""
        return self.tube.boundary

    def decode_points(self, latent: Tensor) -> Tensor:
        """Nodes of latents, (..., d) -> (..., n, 3) µm, in the latent's dtype and device; differentiable."""
        return placed(self.decode_sections(latent), self.tube)

    def decode_sections(self, latent: Tensor) -> Tensor:
        """Sections of latents, (..., d) -> (..., layers, 3, 3) µm, see `SpectralBasis.sections`; differentiable."""
        network = self._networks(latent.dtype, latent.device)
        return self.basis.sections(network.decode(latent), self.tube.layers)

    def velocities(self, latent: Tensor) -> Tensor:
        """Derivative of the nodes with respect to a latent, (d,) -> (d, n, 3) µm, in its dtype.

        By central differences in double precision, all in one batch: good to 1e-9, in a tenth of the time that
        forward-mode differentiation takes for so small a network.
        """
        steps = NUDGE * torch.eye(len(latent), dtype=torch.float64, device=latent.device)
        ahead, behind = self.decode_sections(torch.cat([latent + steps, latent - steps])).split(len(latent))
        moves = ((ahead - behind) / (2 * NUDGE)).to(latent.dtype)
        return placed(moves, self.tube)  # nodes are linear in sections

    def nodes(self, latent: ArrayLike) -> Floats:
        """Nodes of a latent, (d,) -> (n, 3) µm, whether they fold or not."""
        with torch.no_grad():
            return self.decode_points(torch.as_tensor(np.asarray(latent, dtype=np.float64))).numpy()

    def decode(self, latent: ArrayLike) -> TetMesh:
        """The mesh of a latent, (d,); MeshError where it folds."""
        return TetMesh(self.nodes(latent), self.tetrahedra)

    def encode(self, points: ArrayLike) -> Floats:
        """Latent of a mesh in the template's node order, (n, 3) µm -> (d,)."""
        nodes = np.asarray(points, dtype=np.float64)
        if nodes.shape != (self.tube.layers * len(self.tube.section), 3):
            raise PriorError(f"points of shape {nodes.shape} are not the nodes of the template of prior {self.name!r}")
        axon = fitted_fields(nodes, self.tube)
        return self.encode_coefficients(self.basis.coefficients(axon.fields, np.log(axon.length)))

    def encode_coefficients(self, coefficients: ArrayLike) -> Floats:
        """Latents of spectral coefficients, (..., C) -> (..., d)."""
        network = self._networks(torch.float64, torch.device("cpu"))
        with torch.no_grad():
            return network.encode(torch.as_tensor(np.asarray(coefficients, dtype=np.float64))).numpy()

    def coefficients(self, latent: ArrayLike) -> Floats:
        """Spectral coefficients of latents, (..., d) -> (..., C)."""
        network = self._networks(torch.float64, torch.device("cpu"))
        with torch.no_grad():
            return network.decode(torch.as_tensor(np.asarray(latent, dtype=np.float64))).numpy()

    def draws(self, count: int, seed: int = 0) -> Floats:
        """Draws of N(0, I), (count, d), whatever they decode to."""
        return np.random.default_rng(seed).standard_normal((count, self.latent_dim))

    def sample(self, count: int, seed: int = 0) -> Floats:
        """Draws of the latent, (count, d), none of which folds: one that would is brought nearer to the mean."""
        return np.array([self.guarded(latent) for latent in self.draws(count, seed)]).reshape(count, self.latent_dim)

    def guarded(self, latent: ArrayLike) -> Floats:
        """A latent, (d,), or the farthest point towards the mean whose mesh does not fold."""
        latent = np.asarray(latent, dtype=np.float64)
        for share in np.linspace(1, 0, 21):
            if not folded(self, share * latent[None])[0]:
                break
        return np.asarray(share * latent)

    def on(self, tube: Tube) -> "Prior":
        """The same shapes on another template."""
        return replace(self, tube=tube, pod=self.tube.interpolated(self.pod, tube))

    @cached_property
    def coarse(self) -> "Prior":
        """The same shapes on a mesh of an eighth of the nodes, for what needs no finer one."""
        return self.on(self.tube.coarser().coarser())

    @cached_property
    def extensions(self) -> Floats:
        """Of its exemplars, (E,), see `calibre.extension`."""
        prior = self.coarse if self.ends == "closed" else self  # with open ends the middle half is another on it
        return extension(prior.decode_points(torch.as_tensor(self.exemplars)).numpy(), prior.tube, self.ends)

    def moved(self, latent: ArrayLike, step: ArrayLike) -> Floats:
        """A latent, (d,), after a step of first order: along the curve that is straight before it is made Gaussian.

        The Gaussian latent stretches rare shapes exponentially; along the curve, signals follow a step much farther.
        """
        gaussian = self._networks(torch.float64, torch.device("cpu")).gaussian
        z, dz = (torch.as_tensor(np.asarray(x, dtype=np.float64)) for x in (latent, step))
        here, ahead, behind = gaussian.inverse(torch.stack([z, z + NUDGE * dz, z - NUDGE * dz]))
        end, start = gaussian(torch.stack([here + (ahead - behind) / (2 * NUDGE), here]))
        # a difference, for the two maps are inverse to a part in a million
        return np.asarray((z + end - start).numpy())

    @cached_property
    def content_hash(self) -> str:
        """First 16 hexadecimal digits of the SHA-256 of everything that shapes a decoded mesh."""
        digest = hashlib.sha256(json.dumps(_config(self), sort_keys=True).encode())
        for _, tensor in sorted(_tensors(self).items()):
            digest.update(tensor.numpy().tobytes())
        return digest.hexdigest()[:16]

    def save(self, path: str | PathLike[str]) -> None:
        """Write a .safetensors file; OutputError where it cannot be written."""
        metadata = {"config": json.dumps(_config(self)), "provenance": json.dumps(self.provenance)}
        content = safetensors_bytes({**_tensors(self), **_models(self)}, metadata)
        write_whole(Path(path), lambda file: file.write(content))

    def prepare(self, device: torch.device) -> None:
        """Put the weights on a device, in both precisions; needed once before decoding there."""
        for dtype in (torch.float32, torch.float64) if device.type != "mps" else (torch.float32,):
            if (dtype, device.type) not in self._cache:
                network = copy.deepcopy(self.network).to(device, dtype).requires_grad_(False)
                self._cache[dtype, device.type] = network

    @cached_property
    def _cache(self) -> dict[tuple[torch.dtype, str], SpectralAutoEncoder]:
        return {}

    def _networks(self, dtype: torch.dtype, device: torch.device) -> SpectralAutoEncoder:
        # not made on demand: a module cannot be moved inside torch.func transforms
        return self._cache[dtype, device.type]


def _config(prior: Prior) -> dict[str, Any]:
    tube, basis = prior.tube, prior.basis
    return {
        "format": FORMAT,
        "ends": prior.ends,
        "tube": [tube.rings, tube.layers, tube.sectors],
        "basis": [basis.bend, basis.calibre, basis.ellipse, basis.slant, basis.length],
        "latent": prior.latent_dim,
        "width": prior.network.width,
    }


def _tensors(prior: Prior) -> dict[str, Tensor]:
    weights = {f"network.{name}": value.contiguous() for name, value in prior.network.state_dict().items()}
    pod, exemplars = torch.from_numpy(prior.pod), torch.from_numpy(prior.exemplars.astype(np.float32))
    return {**weights, "pod": pod.contiguous(), "exemplars": exemplars}


def _models(prior: Prior) -> dict[str, Tensor]:
    return {f"models.{name}": torch.from_numpy(getattr(prior.models, name)) for name in ("decay", "position")}


@lru_cache(maxsize=2)
def _shipped(name: str) -> Prior:
    return _read(Path(str(files("napari_remidi.shapes") / "weights" / f"{name}.safetensors")), name)


def _read(path: Path, name: str) -> Prior:
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        config = json.loads(metadata["config"])
        if config["format"] != FORMAT:
            raise PriorError(f"{path.name}: a prior of format {config['format']}; this version reads format {FORMAT}")
        basis = SpectralBasis(*config["basis"])
        network = SpectralAutoEncoder(basis.size, config["latent"], config["width"])
        prefix = "network."
        network.load_state_dict({k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)})
    except PriorError:
        raise
    except (KeyError, ValueError, TypeError, RuntimeError, OSError, SafetensorError):
        raise PriorError(f"{path}: not a prior that can be read; make one with napari-remidi train") from None
    return Prior(
        name,
        config["ends"],
        Tube(*config["tube"]),
        basis,
        network,
        tensors["pod"].float().numpy(),
        tensors["exemplars"].double().numpy(),
        ExemplarModels(tensors["models.decay"].numpy(), tensors["models.position"].numpy()),
        json.loads(metadata.get("provenance", "{}")),
    )
