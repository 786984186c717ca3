"""Other ways to make the same prior, trained alike: by what they hold, how they are distributed, what a fit reaches."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from checks.paper_cases import SUCCESS, Case, table
from checks.paper_runs import DIFFUSIVITY, Runs
from napari_remidi.results import chamfer, inverter_for, reconstruct
from napari_remidi.scan import Protocol
from napari_remidi.shapes import Prior
from napari_remidi.shapes.exemplars import with_exemplars
from napari_remidi.shapes.families import EFFECTS, closed_axon
from napari_remidi.shapes.gaussian import FEW
from napari_remidi.shapes.learning import Learner
from napari_remidi.shapes.quality import folded, normality, vertex_errors
from napari_remidi.shapes.recipe import RECIPES, Recipe
from napari_remidi.shapes.spectral import SpectralBasis
from napari_remidi.shapes.training import drawn

Floats = NDArray[np.float64]
AXONS, STEPS = 15_000, 6_000
SEED, SNR = 30_000, "50"
HEADINGS = (
    "prior", "decode error, mean (worst family), µm", "99th percentile, µm", "draws that fold",
    "covariance off I", "Kolmogorov-Smirnov", "fit at SNR 50: Chamfer, mean (median), µm", "found",
)  # fmt: skip


@dataclass(frozen=True)
class Variant:
    """A name, what it changes in the recipe, and what in the learner before it learns."""

    name: str
    changes: dict[str, float]
    alter: Callable[[Learner], None] = lambda learner: None
    gaussian: bool = True


def without_linear_path(learner: Learner) -> None:
    """The multilayer perceptrons alone."""
    learner.network.axes.zero_()
    start_anew(learner)


def with_learned_pooling(learner: Learner) -> None:
    """Learned pooling along the spectrum (Lemeunier et al., Computers & Graphics 107:131, 2022) instead of them."""
    recipe, network = learner.recipe, learner.network
    spectrum = Spectrum(recipe.basis)
    orders, channels, half, quarter = spectrum.orders, spectrum.channels, spectrum.orders // 2, spectrum.orders // 4
    network.encoder = nn.Sequential(
        spectrum, nn.Linear(orders, half), nn.Conv1d(channels, 16, 3, padding=1), nn.SiLU(),
        nn.Linear(half, quarter), nn.Conv1d(16, 32, 3, padding=1), nn.SiLU(), nn.Flatten(-2),
        nn.Linear(32 * quarter, recipe.latent),
    )  # fmt: skip
    network.decoder = nn.Sequential(
        nn.Linear(recipe.latent, 32 * quarter), nn.SiLU(), nn.Unflatten(-1, (32, quarter)),
        nn.Conv1d(32, 16, 3, padding=1), nn.Linear(quarter, half), nn.SiLU(),
        nn.Conv1d(16, channels, 3, padding=1), nn.Linear(half, orders), nn.SiLU(), nn.Flatten(-2),
        nn.Linear(channels * orders, recipe.basis.size),
    )  # fmt: skip
    without_linear_path(learner)


def start_anew(learner: Learner) -> None:
    """The last layer as it would be without a linear path, and an optimiser for what there is now."""
    for part in (learner.network.encoder, learner.network.decoder):
        part[-1].reset_parameters()
    learner.optimiser = torch.optim.AdamW(learner.network.parameters(), lr=learner.recipe.rate, weight_decay=1e-4)


class Spectrum(nn.Module):
    """Coefficients (..., C) -> fields by orders (..., 8, K), zero where a field has no such order."""

    def __init__(self, basis: SpectralBasis) -> None:
        super().__init__()
        self.channels, self.orders = len(basis.parts), max(basis.parts)
        places = [channel * self.orders + k for channel, size in enumerate(basis.parts) for k in range(size)]
        self.register_buffer("places", torch.tensor(places))

    def forward(self, x: Tensor) -> Tensor:
        flat = x.new_zeros(*x.shape[:-1], self.channels * self.orders)
        flat = flat.index_copy(-1, self.places, x)
        return flat.reshape(*x.shape[:-1], self.channels, self.orders)


VARIANTS = (
    Variant("linear path and residual, the shipped kind", {}),
    Variant("the same, latent not regularised", {"noise": 0.0, "normal": 0.0}, gaussian=False),
    Variant("perceptrons without linear path", {}, without_linear_path),
    Variant("learned pooling along the spectrum", {}, with_learned_pooling),
    Variant("linear basis (principal components)", {"width": 0}),
    Variant("linear basis, not made Gaussian", {"width": 0}, gaussian=False),
)


def made(variant: Variant, shipped: Prior, data: Tensor, recipe: Recipe) -> Prior:
    """A variant with the shipped prior's template and modes, its members re-encoded."""
    learner = Learner(replace(recipe, **variant.changes), data)
    variant.alter(learner)
    learner.advance(learner.steps)
    network = learner.finished()
    if not variant.gaussian:  # whitened only
        with torch.no_grad():
            network.gaussian.fit(network.raw(data[: FEW - 1]))
    prior = replace(shipped, name=variant.name, network=network)
    with torch.no_grad():
        members = shipped.network.double().decode(torch.as_tensor(shipped.exemplars))
        shipped.network.float()
    return with_exemplars(prior, prior.encode_coefficients(members.numpy()))


def lines(shipped: Prior, each: int, shapes: int) -> Iterator[list[str]]:
    """Cells under `HEADINGS`, a variant each."""
    recipe = replace(RECIPES[shipped.name], axons=AXONS, held_out=1, steps=STEPS)
    data = torch.as_tensor(drawn(recipe).coefficients[:-1], dtype=torch.float32)
    rng = np.random.default_rng(SEED)
    unseen = {kind: [closed_axon(rng, kind) for _ in range(each)] for kind in EFFECTS}
    rows_of = {
        kind: np.array([shipped.basis.coefficients(axon.fields, np.log(axon.length)) for axon in axons])
        for kind, axons in unseen.items()
    }
    protocol, runs = Protocol.paper(), Runs(shipped, SEED, "cpu")
    cases = [Case(line, i, SNR) for line in table() for i in range(shapes)]
    measured = [(runs.truth(case).mesh.surface, runs.signal(case)) for case in cases]
    for variant in VARIANTS:
        prior = made(variant, shipped, data, recipe)
        inverter = inverter_for(protocol, prior, noise_sd=1 / float(SNR), diffusivity=DIFFUSIVITY, device="cpu")
        errors = {kind: vertex_errors(prior, rows) for kind, rows in rows_of.items()}
        everything = np.concatenate(list(errors.values()))
        found = normality(prior.encode_coefficients(data.numpy()))
        strict = np.array([
            chamfer(reconstruct(signal, protocol, inverter=inverter).surface, truth) for truth, signal in measured
        ])  # fmt: skip
        worst = max(errors, key=lambda kind: errors[kind].mean())
        yield [
            variant.name,
            f"{everything.mean():.3f} ({errors[worst].mean():.3f}, {worst})",
            f"{np.quantile(everything, 0.99):.3f}",
            f"{folded(prior, prior.draws(2000, SEED)).mean():.2%}",
            f"{found['latent_covariance']:.2f}",
            f"{found['latent_ks']:.2f}",
            f"{strict.mean():.2f} ({np.median(strict):.2f})",
            f"{(strict < SUCCESS).mean():.0%}",
        ]
