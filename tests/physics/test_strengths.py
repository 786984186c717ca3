"""Gradient strengths between few propagated ones are interpolated; nobody can tell."""

import numpy as np
import pytest
import torch

from napari_remidi.physics import geometry
from napari_remidi.physics.encoding.care import CLOSE, FINE, ROUGH, ROUGHEST, Care
from napari_remidi.physics.encoding.pgse import Pulse, pgse_signal
from napari_remidi.physics.encoding.pgse_gradient import pgse_gradient
from napari_remidi.physics.encoding.pgse_jacobian import pgse_sensitivity
from napari_remidi.physics.encoding.pulses import pulse_blocks
from napari_remidi.physics.encoding.strengths import even_interpolation, points_needed
from napari_remidi.physics.matrices.assembly import Topology
from napari_remidi.physics.reduction.modes import sparse_modes
from napari_remidi.physics.reduction.reduced import ReducedModel, reduced_model, reduced_tangents
from napari_remidi.scan import Protocol

CPU = torch.device("cpu")
SOME = [38, 40, 77, 118, 150]  # the strongest, which decides the time steps, and others; too few to interpolate


@pytest.fixture(scope="module")
def protocol() -> Protocol:
    """Two directions, 20 strengths, four times between the pulses."""
    Delta = np.repeat([8.0, 12.0, 20.0, 40.0], 40)
    bvecs = np.tile([[0.6, 0.0, 0.8], [0.0, -1.0, 0.0]], (80, 1))
    return Protocol.pgse(np.tile(np.repeat(np.arange(1, 21) * 400.0, 2), 4), bvecs, 5.0, Delta)


@pytest.fixture(scope="module", params=["closed", "open"])
def model(request: pytest.FixtureRequest) -> ReducedModel:
    mesh = geometry.cylinder(1.5, 10.0, 400)
    topology, points = Topology.of(mesh.tetrahedra), torch.tensor(mesh.points)
    entries = topology.entries(points)
    density = None if request.param == "closed" else torch.exp(-((points[:, 2] - 5) ** 2) / 4)
    return reduced_model(topology, entries, *sparse_modes(topology, entries, 40), density)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("lead", [False, True])
def test_signal_is_the_one_that_each_strength_has_alone(
    protocol: Protocol, model: ReducedModel, lead: bool, dtype: torch.dtype
) -> None:
    before = protocol.Delta / 10 if lead else None
    blocks = pulse_blocks(protocol, CPU, dtype, before)
    propagated = Pulse(model, blocks[0], 2.0, None).strengths
    assert propagated.weights is not None
    assert propagated.gap[0].numel() < 80
    alone = pulse_blocks(protocol.subset(SOME), CPU, dtype, None if before is None else before[SOME])
    assert Pulse(model, alone[0], 2.0, None).strengths.weights is None
    found, exact = pgse_signal(model, blocks, 2.0)[SOME], pgse_signal(model, alone, 2.0)
    # float32: a thousandth of the bound, see `ALLOWED`, and roundings
    assert float((found - exact).abs().max()) < (1e-5 if dtype == torch.float32 else 1e-11)


def test_derivatives_are_those_that_each_strength_has_alone(protocol: Protocol, model: ReducedModel) -> None:
    lead = protocol.Delta / 10
    generator = torch.Generator().manual_seed(0)
    mesh = geometry.cylinder(1.5, 10.0, 400)
    velocities = torch.randn(3, *mesh.points.shape, generator=generator, dtype=torch.float64)
    tangents = reduced_tangents(Topology.of(mesh.tetrahedra), model, torch.tensor(mesh.points), velocities)
    blocks = pulse_blocks(protocol, CPU, torch.float64, lead)
    alone = pulse_blocks(protocol.subset(SOME), CPU, torch.float64, lead[SOME])
    for exact, allowed in ((True, 1e-8), (False, 2e-4)):  # the quick derivatives take fewer strengths
        found, single = (pgse_sensitivity(model, tangents, which, 2.0, exact=exact) for which in (blocks, alone))
        for name in ("shape", "diffusivity", "direction"):
            expected = getattr(single, name)
            assert float((getattr(found, name)[SOME] - expected).abs().max()) < allowed * float(expected.abs().max())
    weight = torch.zeros(len(protocol), dtype=torch.float64)
    weight[SOME] = torch.randn(len(SOME), generator=generator, dtype=torch.float64)
    by_all, by_some = pgse_gradient(model, blocks, weight, 2.0), pgse_gradient(model, alone, weight[SOME], 2.0)
    for name in ("decay", "position", "start", "detect"):
        expected = getattr(by_some, name)
        assert float((getattr(by_all, name) - expected).abs().max()) < 1e-8 * float(expected.abs().max())


def test_forward_and_adjoint_derivatives_agree_to_double_precision(protocol: Protocol, model: ReducedModel) -> None:
    generator = torch.Generator().manual_seed(3)
    mesh = geometry.cylinder(1.5, 10.0, 400)
    velocities = torch.randn(3, *mesh.points.shape, generator=generator, dtype=torch.float64)
    tangents = reduced_tangents(Topology.of(mesh.tetrahedra), model, torch.tensor(mesh.points), velocities)
    blocks = pulse_blocks(protocol.subset(SOME), CPU, torch.float64)
    weight = torch.randn(len(SOME), generator=generator, dtype=torch.float64)
    forward = weight @ pgse_sensitivity(model, tangents, blocks, 2.0, exact=True).shape
    by_model = pgse_gradient(model, blocks, weight, 2.0)
    adjoint = 2.0 * torch.einsum("ij,pij->p", by_model.decay, tangents.decay)
    adjoint += torch.einsum("cij,pcij->p", by_model.position, tangents.position)
    adjoint += tangents.start @ by_model.start + tangents.detect @ by_model.detect
    torch.testing.assert_close(forward, adjoint, rtol=1e-10, atol=1e-12)


def test_what_turns_is_kept_for_each_precision(model: ReducedModel) -> None:
    directions = torch.eye(3, dtype=torch.float64)
    twice = [model.turning(directions)[0] for _ in range(2)]
    assert twice[0] is twice[1]
    assert model.turning(directions.float())[0].dtype == torch.float32


@pytest.mark.parametrize("turn", [0.3, 3.0, 12.0, 60.0])
def test_as_many_points_as_the_bound_asks_for_keep_it(turn: float) -> None:
    """The bound's worst case: every spin goes from one end to the other."""
    positions = np.linspace(0, 1, 301)
    count = points_needed(turn, 1e-6, 500)
    points, weights = even_interpolation(positions, count)
    assert np.abs(weights @ np.cos(2 * turn * points) - np.cos(2 * turn * positions)).max() < 1e-6
    assert points_needed(turn, 1e-6, 2) == 2


@pytest.mark.parametrize(
    ("care", "rms", "largest"),
    [(FINE, 4e-5, 2e-4), (CLOSE, 2e-4, 1e-3), (ROUGH, 5e-4, 4e-3), (ROUGHEST, 1.5e-2, 4e-2)],
    ids=["fine", "close", "rough", "roughest"],
)
def test_more_care_comes_nearer_to_the_signal(
    protocol: Protocol, model: ReducedModel, care: Care, rms: float, largest: float
) -> None:
    exact = pgse_signal(model, pulse_blocks(protocol, CPU, torch.float64), 2.0, refine=6)
    wrong = pgse_signal(model, pulse_blocks(protocol, CPU), 2.0, care=care) - exact
    assert float(wrong.square().mean().sqrt()) < rms
    assert float(wrong.abs().max()) < largest


def test_rough_derivatives_are_nearly_the_fine_ones(protocol: Protocol, model: ReducedModel) -> None:
    blocks = pulse_blocks(protocol, CPU)
    generator = torch.Generator().manual_seed(0)
    mesh = geometry.cylinder(1.5, 10.0, 400)
    velocities = torch.randn(3, *mesh.points.shape, generator=generator)
    points = torch.tensor(mesh.points)
    tangents = reduced_tangents(Topology.of(mesh.tetrahedra), model, points, velocities)
    slopes = [pgse_sensitivity(model, tangents, blocks, 2.0, **how).shape for how in ({"rough": True}, {"exact": True})]
    assert float((slopes[0] - slopes[1]).norm() / slopes[1].norm()) < 2e-2


@pytest.mark.parametrize("radius", [0.5, 1.0])
def test_steps_follow_spins_that_cross_a_thin_axon_many_times_in_one(radius: float) -> None:
    """Steps by the gradient's phase alone would take the radius for a third less: 1e-3 of S0 and more."""
    mesh = geometry.cylinder(radius, 11.0, 900)
    topology = Topology.of(mesh.tetrahedra)
    entries = topology.entries(torch.tensor(mesh.points))
    model = reduced_model(topology, entries, *sparse_modes(topology, entries, 60))
    bvecs = np.repeat([[1.0, 0.0, 0.0], [0.6, 0.0, 0.8]], 10, axis=0)
    blocks = pulse_blocks(Protocol.pgse(np.tile(np.arange(1, 11) * 1000.0, 2), bvecs, 5.0, 10.0), CPU, torch.float64)
    found, exact = (pgse_signal(model, blocks, 2.0, refine=refine) for refine in (1, 6))
    assert float((found - exact).abs().max()) < 3e-4
