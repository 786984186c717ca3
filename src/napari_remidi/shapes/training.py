"""How a prior is made: axons -> coefficients -> auto-encoder -> examples and modes. Can be stopped and gone on with.

The same recipe makes the same prior to the bit, stopped or not, on the same machine with the same libraries and number
of threads. So whatever goes into a matrix product is first copied into a tensor, see `spectral`: a row of a file or of
an array lies anywhere.
"""

import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as safetensors_bytes
from torch import Tensor

from napari_remidi.errors import PriorError
from napari_remidi.files import write_whole
from napari_remidi.shapes.exemplars import ExemplarModels, with_exemplars
from napari_remidi.shapes.families import closed_axon, open_axon
from napari_remidi.shapes.fitting import fitted_fields
from napari_remidi.shapes.learning import Learner
from napari_remidi.shapes.pod import pod_basis
from napari_remidi.shapes.prior import Prior
from napari_remidi.shapes.quality import is_folded, measured
from napari_remidi.shapes.recipe import Recipe

Floats = NDArray[np.float64]
Progress = Callable[[str, float], None]
FEW = 1000  # shapes: fewer train no network
AT_ONCE = 200  # axons
CHECK_EVERY = 500  # steps between validations; a checkpoint is written at each
CHECKPOINT = 2  # its format


def train(
    recipe: str | Recipe = "axon",
    out: str | PathLike[str] | None = None,
    seed: int = 0,
    progress: Progress = lambda what, done: None,
    resume: bool = True,
) -> Prior:
    """Make a prior, and write it where `out` says.

    Parameters
    ----------
    recipe : "axon", "axon-open", or a Recipe
    out : path of the .safetensors file to write, or None; a checkpoint lies beside it until it is complete
    seed : of a shipped prior's recipe; a Recipe has its own
    progress : told what is done and its share, 0 to 1; an exception that it raises stops the training
    resume : go on from the checkpoint of a training that was stopped, where there is one of the same recipe

    Raises
    ------
    PriorError
        For a name without a recipe, or fewer shapes than the latent has dimensions.
    """
    recipe = Recipe.named(recipe, seed) if isinstance(recipe, str) else recipe
    began = time.perf_counter()
    checkpoint = _Checkpoint(Path(out).with_suffix(".checkpoint") if out is not None else None, recipe)
    state = checkpoint.read() if resume else None
    if state is None:
        axons = drawn(recipe, progress) if recipe.family != "surfaces" else registered(recipe, progress)
    else:
        axons = Axons(state["axons"].numpy(), **checkpoint.notes)
    recipe = _within_means(recipe, len(axons.coefficients))
    train_set, held_out = np.split(axons.coefficients, [len(axons.coefficients) - recipe.held_out])
    learner = Learner(recipe, torch.as_tensor(train_set, dtype=torch.float32))
    if state is not None:
        learner.restore(state)
    _learn(learner, torch.as_tensor(held_out, dtype=torch.float32), axons, checkpoint, progress)
    none = np.zeros((1, 1))
    prior = Prior(
        recipe.name, recipe.ends, recipe.tube, recipe.basis, learner.finished(), none.astype(np.float32), none,
        ExemplarModels.of([], recipe.tube), {},
    )  # fmt: skip
    picked = _most_different(train_set[:6000], recipe.basis.scale(), recipe.exemplars)
    prior = with_exemplars(
        prior, prior.encode_coefficients(train_set[picked]), lambda done: progress("exemplars", done)
    )
    shapes = [recipe.basis.vertices(torch.tensor(c), recipe.tube).numpy() for c in train_set[-recipe.pod_shapes :]]
    pod = pod_basis(shapes, recipe.tube, recipe.modes, recipe.pod_size, lambda done: progress("modes", done))
    provenance = {
        "recipe": recipe.settings(),
        "left_out": axons.left_out,
        "steps": learner.step,
        "metrics": measured(prior, held_out, axons.kinds[-recipe.held_out :]),
        "seconds": round(time.perf_counter() - began),
    }
    prior = replace(prior, pod=pod, provenance=provenance)
    if out is not None:
        prior.save(out)
    checkpoint.remove()
    return prior


@dataclass(frozen=True, eq=False)
class Axons:
    """What a prior learns from.

    Attributes
    ----------
    coefficients : (N, C)
    kinds : of each, the family or the file's name
    left_out : how many of a kind fold on the template, or why a file is not used
    """

    coefficients: Floats
    kinds: list[str]
    left_out: dict[str, int | str]


def drawn(recipe: Recipe, progress: Progress = lambda what, done: None) -> Axons:
    """Axons of a recipe's family; those that fold on its template are left out and counted."""
    rng = np.random.default_rng(recipe.seed)
    draw, basis, tube = open_axon if recipe.family == "open" else closed_axon, recipe.basis, recipe.tube
    rows: list[Floats] = []
    kinds: list[str] = []
    left_out: dict[str, int | str] = {}
    wanted = recipe.axons + recipe.held_out
    while len(rows) < wanted:
        axons = [draw(rng) for _ in range(min(AT_ONCE, wanted - len(rows)))]
        found = np.array([basis.coefficients(axon.fields, np.log(axon.length)) for axon in axons])
        meshes = basis.vertices(torch.tensor(found), tube).numpy()
        for axon, row, points in zip(axons, found, meshes, strict=True):
            if is_folded(points, tube.tetrahedra):
                left_out[axon.kind] = int(left_out.get(axon.kind, 0)) + 1
                continue
            rows.append(row)
            kinds.append(axon.kind)
        progress("axons", len(rows) / wanted)
    return Axons(np.array(rows), kinds, left_out)


def registered(recipe: Recipe, progress: Progress = lambda what, done: None) -> Axons:
    """One's own surfaces, registered to the template, in a random order."""
    from napari_remidi.shapes.registration import register_folder

    found, left_out = register_folder(recipe.surfaces, recipe.tube, lambda done: progress("surfaces", done))
    if len(found) <= recipe.latent + 1:
        reasons = "".join(f"; {name}: {reason}" for name, reason in list(left_out.items())[:3])
        raise PriorError(
            f"{recipe.surfaces}: {len(found)} surfaces can be used and a latent of {recipe.latent} dimensions needs "
            f"{recipe.latent + 2}; add surfaces or set a smaller latent{reasons}"
        )
    order = np.random.default_rng(recipe.seed).permutation(len(found))
    fields = [fitted_fields(found[index].points, recipe.tube) for index in order]
    rows = [recipe.basis.coefficients(axon.fields, np.log(axon.length)) for axon in fields]
    return Axons(np.array(rows), [found[index].name for index in order], dict(left_out))


def _within_means(recipe: Recipe, count: int) -> Recipe:
    """A recipe for so many shapes: a tenth held out, and a linear basis where there are few."""
    if recipe.family != "surfaces":
        return recipe
    held_out = max(1, min(count // 10, count - recipe.latent - 1))
    return replace(recipe, axons=count - held_out, held_out=held_out, width=recipe.width if count >= FEW else 0)


def _learn(learner: Learner, validation: Tensor, axons: Axons, checkpoint: "_Checkpoint", progress: Progress) -> None:
    """Train to the end, or until the validation error has not improved for `patience` checks."""
    while learner.step < learner.steps and learner.since < learner.recipe.patience:
        learner.advance(CHECK_EVERY)
        learner.check(validation)
        checkpoint.write({**learner.state(), "axons": torch.as_tensor(axons.coefficients)}, axons)
        progress("auto-encoder", learner.step / learner.steps)


class _Checkpoint:
    """A training that is under way, in a file; a path of None keeps nothing."""

    def __init__(self, path: Path | None, recipe: Recipe) -> None:
        self.path = path
        settings = json.dumps([CHECKPOINT, recipe.settings()], sort_keys=True)
        self.recipe = hashlib.sha256(settings.encode()).hexdigest()
        self.notes: dict[str, Any] = {}

    def read(self) -> dict[str, Tensor] | None:
        """What was written for the same recipe, or None."""
        if self.path is None or not self.path.is_file():
            return None
        try:
            with safe_open(self.path, "pt") as file:
                notes = json.loads((file.metadata() or {})["notes"])
                if notes.pop("recipe") != self.recipe:
                    return None
                self.notes = notes
                return {key: file.get_tensor(key).clone() for key in file.keys()}  # noqa: SIM118
        except (SafetensorError, KeyError, ValueError, OSError):
            return None

    def write(self, state: dict[str, Tensor], axons: Axons) -> None:
        """Replace what is there."""
        if self.path is None:
            return
        notes = {"recipe": self.recipe, "kinds": axons.kinds, "left_out": axons.left_out}
        content = safetensors_bytes({k: v.contiguous() for k, v in state.items()}, {"notes": json.dumps(notes)})
        write_whole(self.path, lambda file: file.write(content))

    def remove(self) -> None:
        """Nothing is under way any more."""
        if self.path is not None:
            self.path.unlink(missing_ok=True)


def _most_different(coefficients: Floats, scale: Floats, count: int) -> list[int]:
    """Farthest-point order in weighted coefficients."""
    x = (coefficients - coefficients.mean(axis=0)) * scale
    x = x / np.sqrt(np.abs(x).mean())
    picked = [int(np.argmin((x**2).sum(axis=1)))]
    nearest = ((x - x[picked[0]]) ** 2).sum(axis=1)
    while len(picked) < min(count, len(x)):
        picked.append(int(nearest.argmax()))
        nearest = np.minimum(nearest, ((x - x[picked[-1]]) ** 2).sum(axis=1))
    return picked
