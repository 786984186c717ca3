"""Gradients by torch.autograd against central differences of the whole simulation, solved again from its modes up.

Only the modes beyond the last are left out of a derivative that turns the modes: one per cent of the largest
derivative is allowed for that. A derivative that leaves the modes as they are (uniform diffusivity, a rotation) has
no such error: 1e-4, for the steps in time and of the difference.
"""

import math
import time
from collections.abc import Callable

import meshes
import numpy as np
import pytest
import torch
from derivatives import agree, deformations, jacobian, slope
from torch import Tensor

from napari_remidi.errors import InputError, MeshError, TimingError
from napari_remidi.physics import TetMesh
from napari_remidi.physics.autograd import DifferentiableSimulator, differentiable_signal
from napari_remidi.physics.encoding.pgse_jacobian import pgse_sensitivity
from napari_remidi.physics.encoding.pulses import pulse_blocks
from napari_remidi.physics.matrices.assembly import Topology
from napari_remidi.physics.reduction.frozen import projected
from napari_remidi.physics.reduction.modes import sparse_modes
from napari_remidi.physics.reduction.reduced import reduced_model, reduced_tangents
from napari_remidi.physics.simulation import simulate
from napari_remidi.scan import Protocol
from napari_remidi.shapes.families import closed_axon
from napari_remidi.shapes.spectral import SpectralBasis
from napari_remidi.shapes.tube import Tube

MODES = 120


def protocol_of(count: int) -> Protocol:
    rng = np.random.default_rng(0)
    bvecs = rng.standard_normal((count, 3))
    bvecs /= np.linalg.norm(bvecs, axis=1, keepdims=True)
    bvals = np.resize([1000.0, 3000.0, 6000.0, 10000.0], count)
    return Protocol.pgse(bvals, bvecs, 5.0, np.resize([10.0, 25.0, 50.0], count))


def axon(kind: str, seed: int) -> TetMesh:
    tube, basis = Tube(rings=3, layers=18), SpectralBasis(bend=8, calibre=12, ellipse=2, slant=2)
    drawn = closed_axon(np.random.default_rng(seed), kind, radius=1.5, length=9.0, beads=2)
    nodes = basis.vertices(torch.as_tensor(basis.coefficients(drawn.fields, math.log(drawn.length))), tube)
    return TetMesh(nodes.numpy(), tube.tetrahedra)


SHAPES: dict[str, Callable[[], TetMesh]] = {
    "bent axon": lambda: axon("bent", 1),
    "beaded axon": lambda: axon("beaded", 2),
    "mixed axon": lambda: axon("mixed", 3),
    "round cylinder": lambda: meshes.cylinder(3, 3.0, 9.0),
    "round ball": lambda: meshes.ball(6, 3.0),
    "cube": lambda: meshes.box((6, 6, 6), (5.0, 5.0, 5.0)),
}


@pytest.fixture(scope="module", params=SHAPES)
def mesh(request: pytest.FixtureRequest) -> TetMesh:
    return SHAPES[request.param]()


def nodes_of(mesh: TetMesh) -> Tensor:
    return torch.tensor(mesh.points - mesh.points.mean(axis=0))


def simulator(mesh: TetMesh, count: int = 8, **options: object) -> DifferentiableSimulator:
    settings: dict = {"modes": MODES, "device": "cpu", "dtype": torch.float64, **options}
    return DifferentiableSimulator(mesh, protocol_of(count), **settings)


def turned(points: Tensor, angle: float) -> Tensor:
    spin = torch.tensor([[0, -0.3, 0.2], [0.3, 0, 0.5], [-0.2, -0.5, 0]], dtype=torch.float64)
    return points @ torch.linalg.matrix_exp(angle * spin).T


def test_projection_has_the_gradient_of_its_dense_form() -> None:
    mesh = meshes.ball(3, 2.0)
    topology, points = Topology.of(mesh.tetrahedra), nodes_of(mesh)
    entries = topology.entries(points)[:2].requires_grad_()
    basis = torch.randn(topology.nodes, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    assert torch.autograd.gradcheck(lambda e: projected(topology, e, basis), (entries,))


def test_signal_is_that_of_simulate() -> None:
    mesh, protocol = meshes.cylinder(2, 3.0, 9.0), protocol_of(24)
    signal = differentiable_signal(mesh, protocol, diffusivity=1.7, modes=80, device="cpu")
    # the same scheme in single precision
    assert np.abs(signal.numpy() - simulate(mesh, protocol, 1.7, modes=80, device="cpu")).max() < 1e-5


def test_gradient_in_the_nodes(mesh: TetMesh) -> None:
    run, points = simulator(mesh), nodes_of(mesh).requires_grad_()
    by_node = jacobian(run(points), points)
    for name, velocity in deformations(points.detach()).items():
        differences = slope(lambda h, v=velocity: run(points + h * v))
        derivative = (by_node * velocity).sum((1, 2))
        assert float(differences.abs().max()) > 1e-3, name
        agree(derivative, differences, 1e-2)
    differences = slope(lambda h: run(turned(points, h)))
    velocity = slope(lambda h: turned(points, h))
    # a ball's signal turns by no more than its mesh is short of a ball: there the floor is what counts
    agree((by_node * velocity).sum((1, 2)), differences, 1e-4, floor=1e-6)


def test_gradient_in_the_diffusivity(mesh: TetMesh) -> None:
    run, value = simulator(mesh), torch.tensor(2.0, dtype=torch.float64, requires_grad=True)
    agree(jacobian(run(diffusivity=value), value), slope(lambda h: run(diffusivity=2.0 + h)), 1e-4)


def test_gradient_in_a_diffusion_tensor(mesh: TetMesh) -> None:
    run = simulator(mesh)
    tensor = torch.tensor([[2.0, 0.2, 0.0], [0.2, 1.5, 0.1], [0.0, 0.1, 1.8]], dtype=torch.float64, requires_grad=True)
    by_entry = jacobian(run(diffusivity=tensor), tensor)
    assert torch.equal(by_entry, by_entry.transpose(1, 2))
    largest = float(by_entry.abs().max())
    for i, j in ((0, 0), (2, 2), (0, 1), (1, 2)):
        change = torch.zeros(3, 3, dtype=torch.float64)
        change[i, j] = change[j, i] = 1.0
        differences = slope(lambda h, c=change: run(diffusivity=tensor + h * c))
        assert float(((by_entry * change).sum((1, 2)) - differences).abs().max()) <= 1e-2 * largest


def test_gradient_with_open_ends_moves_the_window_with_the_nodes() -> None:
    tube = Tube(rings=2, layers=34)
    mesh = TetMesh(tube.straight(1.5, 40.0), tube.tetrahedra)
    points = nodes_of(mesh).requires_grad_()
    short = Protocol.pgse([1000.0, 3000.0, 6000.0], np.eye(3), 3.0, 6.0)
    run = DifferentiableSimulator(mesh, short, modes=160, ends="open", device="cpu", dtype=torch.float64)
    by_node = jacobian(run(points), points)
    for velocity in deformations(points.detach()).values():
        differences = slope(lambda h, v=velocity: run(points + h * v))
        agree((by_node * velocity).sum((1, 2)), differences, 1e-2)


def test_autograd_is_the_adjoint_of_the_forward_jacobian() -> None:
    mesh, protocol = axon("mixed", 4), protocol_of(60)
    run, points = simulator(mesh, 60), nodes_of(mesh).requires_grad_()
    velocities = torch.stack(list(deformations(points.detach()).values()))
    weights = torch.randn(60, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    (gradient,) = torch.autograd.grad((weights * run(points)).sum(), points)
    topology = Topology.of(mesh.tetrahedra)
    entries = topology.entries(points.detach())
    model = reduced_model(topology, entries, *sparse_modes(topology, entries, MODES))
    tangents = reduced_tangents(topology, model, points.detach(), velocities)
    blocks = pulse_blocks(protocol, torch.device("cpu"), torch.float64)
    forward = pgse_sensitivity(model, tangents, blocks, 2.0, None, 60, exact=True).shape
    agree((velocities * gradient).sum((1, 2)), weights @ forward, 1e-5)


def test_quick_jacobian_is_within_a_few_thousandths_of_the_exact_one() -> None:
    """Also where a deformation ripples at the scale of the elements, and mixes in modes that decay within a step."""
    mesh, protocol = meshes.cylinder(3, 3.0, 9.0), protocol_of(60)
    topology, points = Topology.of(mesh.tetrahedra), nodes_of(mesh)
    entries = topology.entries(points)
    model = reduced_model(topology, entries, *sparse_modes(topology, entries, MODES))
    ripple = torch.sin(4 * points)
    tangents = reduced_tangents(topology, model, points, ripple[None])
    blocks = pulse_blocks(protocol, torch.device("cpu"), torch.float64)
    quick, exact = (pgse_sensitivity(model, tangents, blocks, 2.0, None, 60, exact=e).shape for e in (False, True))
    agree(quick, exact, 5e-3)


def test_an_optimiser_of_the_nodes_finds_the_radius() -> None:
    mesh, protocol = meshes.cylinder(2, 2.0, 8.0), protocol_of(40)
    wide = mesh.points * [1.15, 1.15, 1.0]
    target = torch.tensor(simulate(TetMesh(wide, mesh.tetrahedra), protocol, device="cpu"))
    run = DifferentiableSimulator(mesh, protocol, device="cpu", dtype=torch.float64)
    points = torch.tensor(mesh.points, requires_grad=True)
    optimiser = torch.optim.Adam([points], lr=0.02)
    losses = []
    for _ in range(25):
        optimiser.zero_grad()
        loss = ((run(points) - target) ** 2).sum()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < losses[0] / 30


def test_gradient_of_every_node_costs_a_few_signals(capsys: pytest.CaptureFixture[str]) -> None:
    tube = Tube(rings=5, layers=17)
    mesh, protocol = TetMesh(tube.straight(3.0, 9.0), tube.tetrahedra), Protocol.paper()
    run, points = DifferentiableSimulator(mesh, protocol, device="cpu"), nodes_of(mesh).requires_grad_()
    seconds = []
    for _ in range(4):
        begin = time.perf_counter()
        loss = run(points).square().sum()
        middle = time.perf_counter()
        loss.backward()
        seconds.append((middle - begin, time.perf_counter() - middle))
    signal, gradient = (min(times) for times in zip(*seconds[1:], strict=True))
    with capsys.disabled():
        print(f"\n{len(points)} nodes, {len(protocol)} measurements: signal {signal:.3f} s, gradient {gradient:.3f} s")
    assert gradient < 4 * signal


def test_second_derivatives_are_refused() -> None:
    value = torch.tensor(2.0, requires_grad=True)
    signal = differentiable_signal(meshes.ball(3, 2.0), protocol_of(8), diffusivity=value, device="cpu").square().sum()
    (first,) = torch.autograd.grad(signal, value, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        first.backward()


def test_bad_input_is_refused_in_one_sentence() -> None:
    mesh, protocol = meshes.ball(3, 2.0), protocol_of(8)
    folded = nodes_of(mesh)
    folded[0] += 10.0
    with pytest.raises(MeshError, match=r"of 162 tetrahedra are inside out at these points .* smaller step"):
        differentiable_signal(mesh, protocol, folded, device="cpu")
    with pytest.raises(MeshError, match=r"points have shape \(5, 3\)"):
        differentiable_signal(mesh, protocol, torch.zeros(5, 3), device="cpu")
    with pytest.raises(InputError, match="diffusivity of compartment cell is -1"):
        differentiable_signal(mesh, protocol, diffusivity=-1.0, device="cpu")
    with pytest.raises(InputError, match=r"shape \(2,\)"):
        differentiable_signal(mesh, protocol, diffusivity=torch.ones(2), device="cpu")
    with pytest.raises(InputError, match="diffusivity of sheath: the compartments are cell"):
        differentiable_signal(mesh, protocol, diffusivity={"sheath": 1.0}, device="cpu")
    with pytest.raises(InputError, match="relaxivity of compartment cell is zero in the substrate"):
        differentiable_signal(mesh, protocol, relaxivity=0.1, device="cpu")
    with pytest.raises(TimingError, match="echo times are known for 0 of 8"):
        differentiable_signal(mesh, protocol, t2=50.0, device="cpu")
    with pytest.raises(InputError, match="ends 'ajar'"):
        differentiable_signal(mesh, protocol, ends="ajar", device="cpu")  # type: ignore[arg-type]
