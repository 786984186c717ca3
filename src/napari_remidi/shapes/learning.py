"""Fitting the auto-encoder: vertices kept, and the latent near N(0, I)."""

import math

import torch
from torch import Tensor

from napari_remidi.shapes.autoencoder import SpectralAutoEncoder
from napari_remidi.shapes.recipe import Recipe
from napari_remidi.shapes.spectral import SpectralBasis

WARM_UP = 0.05  # of all steps
SETTLED = 4  # rounds of reweighted least squares
RIDGE = 1e-6
FINEST = 1e-3  # µm, a misfit that is as good as none


class Learner:
    """An auto-encoder in training.

    Parameters
    ----------
    recipe : Recipe
    data : (N, C) float32 coefficients

    Attributes
    ----------
    step : steps taken
    best : the least validation error so far, µm
    since : checks since then
    """

    def __init__(self, recipe: Recipe, data: Tensor) -> None:
        self.recipe, self.data, self.step = recipe, data, 0
        self.best, self.since = math.inf, 0
        self.generator = torch.Generator().manual_seed(recipe.seed)
        torch.manual_seed(recipe.seed)
        self.basis = recipe.basis
        self.network = SpectralAutoEncoder(data.shape[1], recipe.latent, recipe.width)
        self.network.fit_linear(data, torch.as_tensor(self.basis.scale(), dtype=data.dtype))
        weights = list(self.network.parameters()) or [torch.nn.Parameter(torch.zeros(0))]  # a linear basis has none
        self.optimiser = torch.optim.AdamW(weights, lr=recipe.rate, weight_decay=1e-4)

    @property
    def steps(self) -> int:
        """How many there are to take; none for a linear basis."""
        return self.recipe.steps if self.recipe.width else 0

    def advance(self, steps: int) -> None:
        """Take some steps, at most to the end."""
        for _ in range(min(steps, self.steps - self.step)):
            self._set_rate()
            self.optimiser.zero_grad()
            self._loss().backward()
            torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
            self.optimiser.step()
            self.step += 1

    def check(self, validation: Tensor) -> None:
        """Compare the error of coefficients that are not trained on, (M, C), with the best so far."""
        error = self.error(validation)
        self.best, self.since = (error, 0) if error < self.best else (self.best, self.since + 1)

    @torch.no_grad()
    def error(self, coefficients: Tensor) -> float:
        """About the mean distance of vertices, µm, of coefficients (N, C) that go through the network."""
        decoded = self.network.from_raw(self.network.raw(coefficients))
        misfit = (decoded - coefficients) * vertex_weight(self.basis, coefficients)
        return float(misfit.square().sum(dim=1).sqrt().mean())

    @torch.no_grad()
    def finished(self) -> SpectralAutoEncoder:
        """The network, settled, its latent N(0, I) along axes ordered by how far they move vertices."""
        network = self.network
        if self.steps:
            self._settle()
        network.gaussian.fit(self._raw())
        at_mean = network.raw(network.mean)
        jacobian = torch.func.jacfwd(network.decode)(network.gaussian(at_mean)) * network.scale[:, None]
        _, _, axes = torch.linalg.svd(jacobian, full_matrices=False)
        network.gaussian.turn(axes.T)
        return network.eval()

    def state(self) -> dict[str, Tensor]:
        """All that `restore` needs to go on as if nothing had happened."""
        state = {f"network.{name}": value for name, value in self.network.state_dict().items()}
        for index, moments in self.optimiser.state_dict()["state"].items():
            state |= {f"optimiser.{index}.{name}": torch.as_tensor(value) for name, value in moments.items()}
        state |= {name: torch.tensor(getattr(self, name), dtype=torch.float64) for name in ("step", "best", "since")}
        return {**state, "random": self.generator.get_state()}

    def restore(self, state: dict[str, Tensor]) -> None:
        """Go on from a `state`."""
        self.step, self.since = int(state["step"]), int(state["since"])
        self.best = float(state["best"])
        self.generator.set_state(state["random"])
        named = {key.removeprefix("network."): value for key, value in state.items() if key.startswith("network.")}
        self.network.load_state_dict(named)
        moments: dict[int, dict[str, Tensor]] = {}
        for key, value in state.items():
            if key.startswith("optimiser."):
                _, index, name = key.split(".")
                moments.setdefault(int(index), {})[name] = value
        self.optimiser.load_state_dict({**self.optimiser.state_dict(), "state": moments})

    @torch.no_grad()
    def _settle(self) -> None:
        """Set the decoder's last layer to what brings vertices nearest, in the mean of all axons.

        Descent with a noisy latent stops a hundredth of a micrometre short, more than plain axons lose in a linear
        basis. The last layer alone is a linear problem, of the mean distance by iterated reweighting.
        """
        network, wanted, raw = self.network, self.data.double(), self._raw()
        assert isinstance(network.decoder, torch.nn.Sequential)
        *others, last = network.decoder
        assert isinstance(last, torch.nn.Linear)
        hidden = [torch.nn.Sequential(*others)(part) for part in raw.split(8192)]
        features = torch.cat([torch.cat(hidden), torch.ones(len(raw), 1)], dim=1).double()
        unit = (network.spread[0] / network.scale).double()
        linear = ((raw * network.spread) @ network.axes.T / network.scale + network.mean).double()
        weight = vertex_weight(self.basis, self.data).double()
        misfit = (network.from_raw(raw).double() - wanted) * weight
        for _ in range(SETTLED):
            share = 1 / (misfit.norm(dim=1, keepdim=True) + FINEST)
            solution = torch.empty(features.shape[1], wanted.shape[1], dtype=features.dtype)
            for part in (part for part in alike(self.basis) if part.start < part.stop):
                rows = share * weight[:, part.start, None].square()
                normal = features.T @ (rows / rows.mean() * features)
                normal.diagonal().add_(RIDGE * normal.diagonal().mean())
                target = (wanted - linear)[:, part] / unit[part]
                solution[:, part] = torch.linalg.solve(normal, features.T @ (rows / rows.mean() * target))
            misfit = (linear + features @ solution * unit - wanted) * weight
        last.weight.copy_(solution[:-1].T)
        last.bias.copy_(solution[-1])

    @torch.no_grad()
    def _raw(self) -> Tensor:
        return torch.cat([self.network.raw(part) for part in self.data.split(8192)])

    def _set_rate(self) -> None:
        done = self.step / self.steps
        for group in self.optimiser.param_groups:
            group["lr"] = self.recipe.rate * min(1.0, done / WARM_UP) * (1 + math.cos(math.pi * done)) / 2

    def _loss(self) -> Tensor:
        recipe, generator = self.recipe, self.generator
        rows = torch.randint(len(self.data), (recipe.batch,), generator=generator)
        wanted = self.data[rows]
        raw = self.network.raw(wanted)
        noisy = raw + recipe.noise * torch.randn(raw.shape, generator=generator)
        misfit = (self.network.from_raw(noisy) - wanted) * vertex_weight(self.basis, wanted)
        loss = torch.sqrt(misfit.square().sum(dim=1) + 1e-4).mean()
        loss = loss + recipe.normal * _distance_from_normal(raw, generator)
        return loss


def vertex_weight(basis: SpectralBasis, coefficients: Tensor) -> Tensor:
    """µm per unit of every coefficient of each axon, (N, C), so that a weighted misfit's length is about the mean
    distance of its vertices. Thin axons count for somewhat more than their micrometres.
    """
    calibre = coefficients[:, 2 * basis.bend : 2 * basis.bend + 1]
    radius = torch.exp(calibre)
    length = torch.exp(coefficients[:, -1:]) if basis.length is None else torch.full_like(radius, basis.length)
    unit = torch.as_tensor(basis.scale(1.0, 1.0), dtype=coefficients.dtype)
    bends, rest, lengths = alike(basis)
    if basis.length is not None:
        unit[bends] /= basis.length
    size = torch.empty_like(coefficients)
    size[:, bends], size[:, rest], size[:, lengths] = length, radius, length
    return unit * size / radius.sqrt()


def alike(basis: SpectralBasis) -> tuple[slice, ...]:
    """The coefficients that move vertices by a share of the length (bends), of the radius, and of the length again."""
    bends, last = 2 * basis.bend, basis.size - int(basis.length is None)
    return slice(0, bends), slice(bends, last), slice(last, basis.size)


def _distance_from_normal(raw: Tensor, generator: torch.Generator) -> Tensor:
    """Sliced Wasserstein distance of a batch, (N, d), from N(0, I)."""
    directions = torch.randn(raw.shape[1], 64, generator=generator)
    projected = (raw @ (directions / directions.norm(dim=0))).sort(dim=0).values
    levels = (torch.arange(len(raw)) + 0.5) / len(raw)
    return (projected - torch.special.ndtri(levels)[:, None]).square().mean()
