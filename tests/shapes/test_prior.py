"""The shipped priors: what they hold, how likely they find it, and what comes out of them."""

import numpy as np
import pytest
import torch

from napari_remidi.errors import MeshError, OutputError, PriorError
from napari_remidi.physics import TetMesh, simulate
from napari_remidi.physics.encoding.pgse import pgse_signal
from napari_remidi.physics.encoding.pulses import pulse_blocks
from napari_remidi.physics.matrices.assembly import Topology
from napari_remidi.physics.reduction.modes import modes_in_basis
from napari_remidi.physics.reduction.reduced import reduced_model
from napari_remidi.scan import Protocol, spread_directions
from napari_remidi.shapes import Prior
from napari_remidi.shapes.families import AxonFields, closed_axon, open_axon
from napari_remidi.shapes.training import FOLDED, Recipe, folded_share, train, vertex_errors

DRAWN = {"axon": closed_axon, "axon-open": open_axon}


@pytest.fixture(scope="module", params=["axon", "axon-open"])
def prior(request: pytest.FixtureRequest) -> Prior:
    return Prior.load(request.param)


@pytest.fixture(scope="module")
def unseen(prior: Prior) -> np.ndarray:
    """Coefficients of 600 axons that the training has not seen: its seed was 0."""
    rng = np.random.default_rng(999)
    axons: list[AxonFields] = [DRAWN[prior.name](rng) for _ in range(600)]
    return np.array([prior.basis.coefficients(axon.fields, np.log(axon.length)) for axon in axons])


def test_it_represents_axons_it_has_not_seen(prior: Prior, unseen: np.ndarray) -> None:
    errors = vertex_errors(prior, unseen)
    # the bar for a closed axon is a linear basis of the same size: 0.08 µm
    assert errors.mean() < {"axon": 0.04, "axon-open": 0.25}[prior.name]


def test_encoded_axons_are_distributed_as_a_standard_normal(prior: Prior, unseen: np.ndarray) -> None:
    latents = prior.encode_coefficients(unseen)
    square = (latents**2).sum(axis=1)
    # 600 of chi-squared with 16 degrees of freedom have a mean within 16 ± 4 · 5.7 / √600
    assert square.mean() == pytest.approx(prior.latent_dim, abs=1.0)
    # and 95 % of them lie within 26.3; a mixture of families has a somewhat heavier tail
    assert np.quantile(square, 0.95) < 1.4 * 26.3
    assert np.abs(latents.mean(axis=0)).max() < 0.3


def test_draws_do_not_fold(prior: Prior) -> None:
    assert folded_share(prior, prior.sample(300, seed=7)) < 0.02


@pytest.mark.parametrize("beads", range(1, 9))
def test_odd_and_even_bead_counts_decode(beads: int) -> None:
    prior = Prior.load("axon")
    rng = np.random.default_rng(beads)
    axon = closed_axon(rng, "beaded", radius=1.2, length=26.0, beads=beads, bead_size=0.4, bead_sharpness=1)
    error = vertex_errors(prior, prior.basis.coefficients(axon.fields, np.log(axon.length))[None])[0]
    assert error < 0.2  # half the height of a bead


def test_encode_finds_a_decoded_mesh_again() -> None:
    prior = Prior.load("axon")
    for latent in 0.7 * prior.sample(5, seed=3):
        mesh = prior.decode(latent)
        again = prior.decode(prior.encode(mesh.points))
        # the fields are read off a mesh of 41 sections, by differences
        assert np.linalg.norm(again.points - mesh.points, axis=1).mean() < 0.15


def test_decoding_is_differentiable_and_agrees_in_both_precisions(prior: Prior) -> None:
    latent = torch.as_tensor(prior.sample(1, seed=2)[0])
    single = prior.decode_points(latent.float()).double()
    assert (single - prior.decode_points(latent)).abs().max() < 1e-3
    slope = torch.func.jacfwd(prior.decode_points)(latent)
    step = 1e-5 * torch.eye(len(latent), dtype=latent.dtype)[4]
    numeric = (prior.decode_points(latent + step) - prior.decode_points(latent - step)) / 2e-5
    torch.testing.assert_close(slope[..., 4], numeric, atol=1e-6, rtol=1e-5)


def test_the_shipped_basis_holds_the_modes_of_unseen_axons() -> None:
    prior = Prior.load("axon")
    directions = spread_directions(12)
    protocol = Protocol.pgse(np.full(12, 6000.0), directions, 5.0, 25.0)
    blocks = pulse_blocks(protocol, torch.device("cpu"))
    topology = Topology.of(prior.tetrahedra)
    basis = torch.as_tensor(prior.pod.astype(np.float64))
    for latent in prior.sample(4, seed=11):
        mesh = prior.decode(latent)
        entries = topology.entries(torch.as_tensor(mesh.points))
        decay, modes = modes_in_basis(topology, entries, basis, 60)
        quick = pgse_signal(reduced_model(topology, entries, decay, modes), blocks, 2.0, count=12).numpy()
        full = simulate(mesh, protocol, 2.0, modes=60, device="cpu")
        assert np.abs(quick - full).max() < 5e-3


def test_a_latent_that_folds_is_refused() -> None:
    prior = Prior.load("axon")
    folding = next(latent for latent in 3 * prior.sample(200, seed=1) if folded_share(prior, latent[None]))
    with pytest.raises(MeshError, match=r"inverted|sliver|flat|µm"):
        prior.decode(folding)


def test_a_small_prior_trains_saves_and_reopens(tmp_path) -> None:
    shipped = Prior.load("axon")
    recipe = Recipe("closed", shipped.tube, shipped.basis, closed_axon, 20, 4, 40, axons=300, steps=20, exemplars=16)
    told = []
    made = train("tiny", tmp_path / "tiny.safetensors", 5, lambda what, done: told.append(what), recipe)
    again = Prior.load(tmp_path / "tiny.safetensors")
    latent = made.sample(1)[0]
    np.testing.assert_allclose(
        again.decode_points(torch.as_tensor(latent)), made.decode_points(torch.as_tensor(latent))
    )
    assert again.content_hash == made.content_hash
    assert again.provenance["seed"] == 5
    assert {"axons", "modes"} <= set(told)
    assert made.provenance["metrics"]["folded_draws"] <= 1
    assert FOLDED > 0


@pytest.mark.parametrize("name", ["axoon", "missing.safetensors"])
def test_an_unknown_prior_is_refused(name: str) -> None:
    message = (
        f"^prior '{name}' is unknown: choose 'axon' or 'axon-open', or give the path of a .safetensors file made by "
        "napari-remidi train$"
    )
    with pytest.raises(PriorError, match=message):
        Prior.load(name)


def test_a_file_that_is_no_prior_is_refused(tmp_path) -> None:
    (tmp_path / "no.safetensors").write_bytes(b"not weights")
    with pytest.raises(PriorError, match="not a prior that can be read; make one with napari-remidi train"):
        Prior.load(tmp_path / "no.safetensors")


def test_a_prior_that_cannot_be_written_leaves_nothing(tmp_path) -> None:
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(OutputError, match="choose another folder"):
        Prior.load("axon").save(tmp_path / "taken" / "axon.safetensors")


def test_points_of_another_mesh_are_refused() -> None:
    with pytest.raises(PriorError, match="are not the nodes of the template of prior 'axon'"):
        Prior.load("axon").encode(np.zeros((10, 3)))


def test_a_decoded_mesh_can_be_simulated(prior: Prior) -> None:
    mesh = prior.decode(np.zeros(prior.latent_dim))
    assert isinstance(mesh, TetMesh)
    protocol = Protocol.pgse([0.0, 2000.0], [[0, 0, 0], [1, 0, 0]], 5.0, 25.0)
    signal = simulate(mesh, protocol, 2.0, ends="closed", device="cpu")
    assert signal[0] == pytest.approx(1, abs=1e-4)
    assert 0 < signal[1] < 1
