"""Making a prior: from a recipe file, in one go or stopped and gone on with, and of one's own surfaces."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import trimesh
from click.testing import CliRunner

from napari_remidi.cli import main
from napari_remidi.errors import PriorError
from napari_remidi.shapes import Prior
from napari_remidi.shapes.calibre import axis_length, section_radii
from napari_remidi.shapes.families import closed_axon
from napari_remidi.shapes.learning import Learner
from napari_remidi.shapes.quality import vertex_errors
from napari_remidi.shapes.recipe import RECIPES, Recipe
from napari_remidi.shapes.training import CHECK_EVERY, drawn, train
from napari_remidi.shapes.tube import Tube

TINY = replace(
    RECIPES["axon"], name="tiny", axons=1000, held_out=50, steps=2 * CHECK_EVERY, batch=64, latent=8, width=32,
    exemplars=16, modes=20, pod_shapes=4, pod_size=40, seed=5,
)  # fmt: skip
FINE = Tube(4, 70)


def surface(axon_seed: int, kind: str) -> trimesh.Trimesh:
    basis = RECIPES["axon"].basis
    axon = closed_axon(np.random.default_rng(axon_seed), kind, radius=1.5, length=14.0)
    row = torch.as_tensor(basis.coefficients(axon.fields, np.log(axon.length)))
    return trimesh.Trimesh(basis.vertices(row, FINE).numpy(), FINE.boundary, process=False)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> tuple[Prior, Path]:
    path = tmp_path_factory.mktemp("prior") / "tiny.safetensors"
    return train(TINY, path), path


def test_a_prior_reopens_as_it_was_made(tiny: tuple[Prior, Path]) -> None:
    made, path = tiny
    again = Prior.load(path)
    z = made.draws(1)[0]
    np.testing.assert_allclose(again.nodes(z), made.nodes(z))
    assert again.content_hash == made.content_hash
    assert again.provenance["recipe"]["seed"] == 5
    assert again.provenance["steps"] == TINY.steps
    assert 0 < again.provenance["metrics"]["vertex_error_um"] < 0.5
    assert not path.with_suffix(".checkpoint").exists()


def test_no_change_of_the_settled_last_layer_brings_vertices_nearer() -> None:
    rows = torch.as_tensor(drawn(replace(TINY, axons=400, held_out=0)).coefficients, dtype=torch.float32)
    learner = Learner(TINY, rows)
    learner.advance(200)
    before = learner.error(rows)
    learner.finished()
    settled = learner.error(rows)
    assert settled < before
    weight = learner.network.decoder[-1].weight
    generator = torch.Generator().manual_seed(3)
    for _ in range(10):
        change = 0.02 * weight.std() * torch.randn(weight.shape, generator=generator)
        for sign in (1, -1):
            with torch.no_grad():
                weight.add_(sign * change)
                changed = learner.error(rows)
                weight.sub_(sign * change)
            assert changed > settled


def test_a_stopped_training_goes_on_to_the_same_prior(tiny: tuple[Prior, Path], tmp_path: Path) -> None:
    def stop(what: str, done: float) -> None:
        if what == "auto-encoder" and done >= 0.5:
            raise KeyboardInterrupt

    path = tmp_path / "stopped.safetensors"
    with pytest.raises(KeyboardInterrupt):
        train(TINY, path, progress=stop)
    assert not path.exists()
    told = []
    again = train(TINY, path, progress=lambda what, done: told.append((what, done)))
    assert all(what != "axons" for what, _ in told), "drawn anew"
    assert again.content_hash == tiny[0].content_hash


def test_a_stopped_training_is_as_patient(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At a rate of zero the first check is the best: three more, and the training ends, wherever it was stopped."""
    monkeypatch.setattr("napari_remidi.shapes.training.CHECK_EVERY", 2)
    recipe = replace(TINY, axons=100, held_out=10, steps=40, rate=0.0, patience=3, pod_shapes=1)
    checks: list[float] = []

    def stop(what: str, done: float) -> None:
        if what == "auto-encoder":
            checks.append(done)
        if what == "modes" or len(checks) == 3:
            raise KeyboardInterrupt

    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            train(recipe, tmp_path / "patient.safetensors", progress=stop)
    assert checks == [0.05, 0.1, 0.15, 0.2]


def test_a_checkpoint_of_another_recipe_is_not_used(tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    path.with_suffix(".checkpoint").write_bytes(b"not a checkpoint")
    told: list[str] = []

    def stop(what: str, done: float) -> None:
        told.append(what)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(TINY, path, progress=stop)
    assert told == ["axons"]


def test_one_s_own_surfaces_become_a_prior(tmp_path: Path) -> None:
    folder = tmp_path / "surfaces"
    folder.mkdir()
    for index in range(4):
        surface(index, ("bent", "tapered")[index % 2]).export(folder / f"axon-{index}.ply")
    opened = surface(9, "bent")
    opened.update_faces(np.arange(len(opened.faces)) > 40)
    opened.export(folder / "open.ply")
    (tmp_path / "own.toml").write_text(
        'family = "surfaces"\nsurfaces = "surfaces"\nlatent = 2\npod_shapes = 3\nmodes = 20\n'
    )
    done = CliRunner().invoke(main, ["train", str(tmp_path / "own.toml"), "-o", str(tmp_path / "own.safetensors")])
    assert done.exit_code == 0, done.output
    assert "left out: open.ply: " in done.output
    prior = Prior.load(tmp_path / "own.safetensors")
    assert prior.latent_dim == 2
    assert prior.provenance["recipe"]["width"] == 0
    assert (tmp_path / "own.json").is_file()
    assert (tmp_path / "own.png").stat().st_size > 5000
    mean = prior.nodes(np.zeros(2))
    assert axis_length(mean, prior.tube) == pytest.approx(14.0, abs=0.3)
    assert section_radii(mean, prior.tube).mean() == pytest.approx(1.5, abs=0.1)


def test_fewer_surfaces_than_dimensions_are_refused(tmp_path: Path) -> None:
    surface(0, "bent").export(tmp_path / "one.stl")
    recipe = Recipe("own", "surfaces", str(tmp_path), latent=4)
    with pytest.raises(PriorError, match="1 surfaces can be used and a latent of 4 dimensions needs 6; add surfaces"):
        train(recipe)


def test_a_linear_basis_is_the_recipe_of_width_zero() -> None:
    linear = train(replace(TINY, width=0, latent=12, axons=400))
    assert linear.provenance["steps"] == 0
    rng = np.random.default_rng(77)
    axons = [closed_axon(rng, "bent") for _ in range(40)]
    unseen = np.array([linear.basis.coefficients(axon.fields, np.log(axon.length)) for axon in axons])
    assert vertex_errors(linear, unseen).mean() < 0.1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("latent = ", "not TOML"),
        ("latnt = 3", "latnt is no setting of a prior; did you mean latent?"),
        ("steps = -4", "steps is -4; give a number that is not negative"),
        ('steps = "many"', "steps is 'many'; give a number"),
        ('family = "dendrite"', "family 'dendrite' is unknown; choose from closed, open, surfaces"),
        ('family = "surfaces"', "give the folder as surfaces"),
        ("latent = 0", "latent, batch, layers and rings must be at least"),
    ],
)
def test_a_recipe_that_is_wrong_says_where(content: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text(content)
    with pytest.raises(PriorError, match=message.replace("?", r"\?")):
        Recipe.read(path)


def test_a_recipe_file_that_is_missing_is_said() -> None:
    with pytest.raises(PriorError, match="cannot be read"):
        Recipe.read("nowhere.toml")
