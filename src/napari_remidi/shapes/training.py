"""How the shipped priors are made: families -> coefficients -> auto-encoder -> examples and modes."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from os import PathLike

import numpy as np
import torch
from numpy.typing import NDArray

from napari_remidi.errors import PriorError
from napari_remidi.physics.mesh import signed_volumes
from napari_remidi.shapes.autoencoder import SpectralAutoEncoder
from napari_remidi.shapes.families import AxonFields, closed_axon, open_axon
from napari_remidi.shapes.pod import pod_basis
from napari_remidi.shapes.prior import Prior
from napari_remidi.shapes.spectral import SpectralBasis
from napari_remidi.shapes.tube import Tube

Floats = NDArray[np.float64]
Progress = Callable[[str, float], None]
HELD_OUT = 2000
FOLDED = 1e-3  # of the mean volume, the thinnest element allowed


@dataclass(frozen=True)
class Recipe:
    """What makes one prior."""

    ends: str
    tube: Tube
    basis: SpectralBasis
    draw: Callable[[np.random.Generator], AxonFields]
    modes: int
    pod_shapes: int
    pod_size: int
    latent: int = 16
    axons: int = 30_000
    steps: int = 6000
    exemplars: int = 512


RECIPES = {
    "axon": Recipe("closed", Tube(3, 41), SpectralBasis(13, 25, 4), closed_axon, 72, 120, 220),
    "axon-open": Recipe("open", Tube(2, 81), SpectralBasis(24, 41, 4, 100.0), open_axon, 110, 100, 280),
}


def train(
    name: str = "axon",
    out: str | PathLike[str] | None = None,
    seed: int = 0,
    progress: Progress = lambda what, done: None,
    recipe: Recipe | None = None,
) -> Prior:
    """Make a prior, and write it where `out` says.

    Parameters
    ----------
    name : "axon" or "axon-open"; any name where a recipe is given
    out : path of the .safetensors file to write, or None
    seed : of every random draw; the same seed makes the same prior on the same machine
    progress : told what is done and its share, 0 to 1
    recipe : sizes and family; by default the shipped prior's

    Raises
    ------
    PriorError
        For a name without a recipe.
    """
    chosen = recipe or RECIPES.get(name)
    if chosen is None:
        raise PriorError(f"there is no recipe for prior {name!r}: choose {' or '.join(map(repr, RECIPES))}")
    began = time.perf_counter()
    rng = np.random.default_rng(seed)
    coefficients, kinds = _drawn(chosen, chosen.axons + HELD_OUT, rng, progress)
    train_set, held_out = coefficients[:-HELD_OUT], coefficients[-HELD_OUT:]
    network = _fitted(chosen, train_set, seed, progress)
    prior = Prior(
        name, chosen.ends, chosen.tube, chosen.basis, network, np.zeros((1, 1), np.float32), np.zeros((1, 1)), {}
    )
    picked = _most_different(train_set[:6000], chosen.basis.scale(), chosen.exemplars)
    exemplars = prior.encode_coefficients(train_set[picked])
    shapes = [_nodes(chosen, c) for c in train_set[-chosen.pod_shapes :]]
    pod = pod_basis(shapes, chosen.tube, chosen.modes, chosen.pod_size, lambda done: progress("modes", done))
    provenance = {
        "seed": seed,
        "family": chosen.ends,
        "axons": chosen.axons,
        "metrics": {**_metrics(prior, held_out, kinds[-HELD_OUT:]), "seconds": round(time.perf_counter() - began, 1)},
    }
    prior = Prior(name, chosen.ends, chosen.tube, chosen.basis, network, pod, exemplars, provenance)
    if out is not None:
        prior.save(out)
    return prior


def vertex_errors(prior: Prior, coefficients: Floats) -> Floats:
    """Mean distance of the nodes of encoded and decoded axons from their own, (N,) µm."""
    latents = torch.as_tensor(prior.encode_coefficients(coefficients))
    errors = []
    with torch.no_grad():
        for start in range(0, len(coefficients), 100):
            part = slice(start, start + 100)
            decoded = prior.decode_points(latents[part])
            truth = prior.basis.vertices(torch.as_tensor(coefficients[part]), prior.tube)
            errors.append((decoded - truth).norm(dim=-1).mean(dim=-1).numpy())
    return np.concatenate(errors)


def folded_share(prior: Prior, latents: Floats) -> float:
    """Share of latents whose mesh has an inverted or sliver tetrahedron."""
    folded = 0
    for latent in latents:
        with torch.no_grad():
            volumes = signed_volumes(prior.decode_points(torch.as_tensor(latent)).numpy(), prior.tetrahedra)
        folded += bool(volumes.min() < FOLDED * volumes.mean())
    return folded / len(latents)


def _drawn(recipe: Recipe, count: int, rng: np.random.Generator, progress: Progress) -> tuple[Floats, list[str]]:
    rows: list[Floats] = []
    kinds: list[str] = []
    while len(rows) < count:
        axon = recipe.draw(rng)
        rows.append(recipe.basis.coefficients(axon.fields, np.log(axon.length)))
        kinds.append(axon.kind)
        if len(rows) % 1000 == 0:
            progress("axons", len(rows) / count)
    return np.array(rows), kinds


def _fitted(recipe: Recipe, coefficients: Floats, seed: int, progress: Progress) -> SpectralAutoEncoder:
    torch.manual_seed(seed)
    data = torch.as_tensor(coefficients, dtype=torch.float32)
    scale = torch.as_tensor(recipe.basis.scale(), dtype=torch.float32)
    network = SpectralAutoEncoder(data.shape[1], recipe.latent)
    network.fit_linear(data, scale)
    weight = _vertex_weight(recipe.basis, data)
    optimiser = torch.optim.AdamW(network.parameters(), lr=2e-3, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 2e-3, total_steps=recipe.steps)
    for step in range(recipe.steps):
        rows = torch.randint(len(data), (1024,))
        raw = network.raw(data[rows])
        noisy = raw + 0.03 * torch.randn_like(raw)
        misfit = ((network.from_raw(noisy) - data[rows]) * weight[rows]).square().sum(dim=1)
        loss = torch.sqrt(misfit + 1e-4).mean() + 0.3 * _distance_from_normal(raw)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        if step % 100 == 99:
            progress("auto-encoder", (step + 1) / recipe.steps)
    _whiten(network, data)
    return network.eval()


def _vertex_weight(basis: SpectralBasis, coefficients: torch.Tensor) -> torch.Tensor:
    """µm per unit of every coefficient for each axon, so that the loss is about the mean distance of its vertices.

    Thin axons count for somewhat more than their micrometres.
    """
    *_, calibre, _, _, log_length = coefficients.split(basis.parts, dim=1)
    radius = torch.exp(calibre[:, :1])
    length = torch.exp(log_length) if basis.length is None else torch.full_like(radius, basis.length)
    unit = torch.as_tensor(basis.scale(1.0, 1.0), dtype=coefficients.dtype)
    if basis.length is not None:
        unit[: 2 * basis.bend] /= basis.length
    bends, lengths = 2 * basis.bend, int(basis.length is None)
    factor = torch.cat(
        [
            length.expand(-1, bends),
            radius.expand(-1, basis.size - bends - lengths),
            *([length] if lengths else []),
        ],
        dim=1,
    )
    return unit * factor / radius.sqrt()


def _distance_from_normal(raw: torch.Tensor) -> torch.Tensor:
    """Sliced Wasserstein distance of a batch, (N, d), from N(0, I)."""
    directions = torch.randn(raw.shape[1], 64)
    projected = (raw @ (directions / directions.norm(dim=0))).sort(dim=0).values
    levels = (torch.arange(len(raw)) + 0.5) / len(raw)
    normal = torch.special.ndtri(levels)[:, None]
    return (projected - normal).square().mean()


@torch.no_grad()
def _whiten(network: SpectralAutoEncoder, data: torch.Tensor) -> None:
    """Give the encoded set zero mean, unit variance and the mean square radius of N(0, I), along axes ordered by how
    far they move vertices.
    """
    raw = network.raw(data)
    network.shift.copy_(raw.mean(dim=0))
    values, vectors = torch.linalg.eigh(torch.cov(raw.T))
    whiten = vectors / values.sqrt()
    back = torch.linalg.inv(whiten)
    jacobian = torch.func.jacfwd(network.from_raw)(network.shift) * network.scale[:, None]
    _, _, order = torch.linalg.svd(jacobian @ back.T)
    network.whiten.copy_(whiten @ order.T)
    radius = (raw - network.shift) @ network.whiten
    network.stretch.copy_((raw.shape[1] / torch.asinh(radius.norm(dim=1)).square().mean()).sqrt())


def _most_different(coefficients: Floats, scale: Floats, count: int) -> list[int]:
    """Farthest-point order in weighted coefficients."""
    x = (coefficients - coefficients.mean(axis=0)) * scale
    x = x / np.sqrt(np.abs(x).mean())
    picked = [int(np.argmin((x**2).sum(axis=1)))]
    nearest = ((x - x[picked[0]]) ** 2).sum(axis=1)
    while len(picked) < count:
        picked.append(int(nearest.argmax()))
        nearest = np.minimum(nearest, ((x - x[picked[-1]]) ** 2).sum(axis=1))
    return picked


def _nodes(recipe: Recipe, coefficients: Floats) -> Floats:
    return recipe.basis.vertices(torch.as_tensor(coefficients), recipe.tube).numpy()


def _metrics(prior: Prior, held_out: Floats, kinds: list[str]) -> dict[str, float]:
    errors = vertex_errors(prior, held_out)
    by_kind = {
        f"vertex_error_{kind}_um": round(float(errors[np.array(kinds) == kind].mean()), 4)
        for kind in sorted(set(kinds))
    }
    return {
        "vertex_error_um": round(float(errors.mean()), 4),
        "vertex_error_95_um": round(float(np.quantile(errors, 0.95)), 4),
        **by_kind,
        "folded_draws": folded_share(prior, prior.sample(500, seed=1)),
    }
