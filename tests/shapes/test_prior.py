"""The shipped priors: what they hold, how likely they find it, and what comes out of them."""

import numpy as np
import pytest
import torch
from scipy.stats import chi2, ortho_group

from napari_remidi.errors import MeshError, OutputError, PriorError
from napari_remidi.physics import TetMesh, simulate
from napari_remidi.physics.encoding.pgse import pgse_signal
from napari_remidi.physics.encoding.pulses import pulse_blocks
from napari_remidi.physics.matrices.assembly import Topology
from napari_remidi.physics.matrices.layered import Layers
from napari_remidi.physics.reduction.modes import modes_near_basis
from napari_remidi.physics.reduction.reduced import reduced_model
from napari_remidi.scan import Protocol, spread_directions
from napari_remidi.shapes import Prior
from napari_remidi.shapes.families import AxonFields, closed_axon, open_axon
from napari_remidi.shapes.quality import folded, is_folded, normality, vertex_errors

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
    assert errors.mean() < 0.05
    assert np.quantile(errors, 0.99) < 0.25


def test_encoded_axons_are_distributed_as_a_standard_normal(prior: Prior, unseen: np.ndarray) -> None:
    latents = prior.encode_coefficients(unseen)
    found = normality(latents)
    # 600 draws of N(0, I) in 24 dimensions come to about 0.13, 0.18 and 0.07
    assert found["latent_mean"] < 0.25
    assert found["latent_covariance"] < 0.4
    # an axis is one effect that most shapes are without, and peaked; any other direction is near N(0, 1)
    anywhere = ortho_group.rvs(prior.latent_dim, random_state=0)
    assert normality(latents @ anywhere)["latent_ks"] < 0.15
    square = (latents**2).sum(axis=1)
    assert np.quantile(square, 0.95) < 1.3 * chi2.ppf(0.95, prior.latent_dim)


def test_draws_do_not_fold(prior: Prior) -> None:
    assert folded(prior, prior.draws(1000, seed=7)).sum() <= 3  # one in a thousand is asked
    assert not folded(prior, prior.sample(200, seed=7)).any()


def test_the_guard_brings_a_folded_latent_back() -> None:
    prior = Prior.load("axon")
    far = next(z for z in 4 * prior.draws(300, seed=1) if folded(prior, z[None])[0])
    kept = prior.guarded(far)
    assert not folded(prior, kept[None])[0]
    assert 0 < np.linalg.norm(kept) < np.linalg.norm(far)
    np.testing.assert_allclose(kept / np.linalg.norm(kept), far / np.linalg.norm(far), atol=1e-9)
    near = prior.draws(1, seed=3)[0] / 2
    np.testing.assert_array_equal(prior.guarded(near), near)


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
    quick = torch.func.jacfwd(prior.decode_points)(latent.float()).double()
    assert (quick - slope).abs().max() < 1e-3 * slope.abs().max()
    step = 1e-5 * torch.eye(len(latent), dtype=latent.dtype)[4]
    numeric = (prior.decode_points(latent + step) - prior.decode_points(latent - step)) / 2e-5
    torch.testing.assert_close(slope[..., 4], numeric, atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(prior.velocities(latent), slope.movedim(-1, 0), atol=1e-7, rtol=1e-7)


def test_the_shipped_basis_holds_the_modes_of_unseen_axons() -> None:
    prior = Prior.load("axon")
    directions = spread_directions(12)
    protocol = Protocol.pgse(np.full(12, 6000.0), directions, 5.0, 25.0)
    blocks = pulse_blocks(protocol, torch.device("cpu"))
    topology = Topology.of(prior.tetrahedra)
    layers = Layers.of(topology, len(prior.tube.section))
    basis = torch.as_tensor(prior.pod.astype(np.float64))
    for latent in prior.sample(4, seed=11):
        mesh = prior.decode(latent)
        entries = topology.entries(torch.tensor(mesh.points))
        decay, modes = modes_near_basis(topology, layers, entries, basis, 60)
        quick = pgse_signal(reduced_model(topology, entries, decay, modes), blocks, 2.0, count=12).numpy()
        full = simulate(mesh, protocol, 2.0, modes=60, device="cpu")
        assert np.abs(quick - full).max() < 5e-4


def test_a_latent_that_folds_is_refused() -> None:
    prior = Prior.load("axon")
    folding = next(z for z in 4 * prior.draws(300, seed=1) if is_folded(prior.nodes(z), prior.tetrahedra))
    with pytest.raises(MeshError, match=r"inverted|sliver|flat|µm"):
        prior.decode(folding)


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


def test_a_step_of_a_latent_is_the_step_to_first_order() -> None:
    prior = Prior.load("axon")
    latent, step = 2 * prior.draws(2, seed=5)
    np.testing.assert_allclose(prior.moved(latent, 0 * step), latent, atol=1e-6)
    change = (prior.moved(latent, 1e-4 * step) - prior.moved(latent, -1e-4 * step)) / 2e-4
    np.testing.assert_allclose(change, step, atol=1e-3)
