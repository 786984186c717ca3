"""Derivatives of a substrate's signal in its tissue and its nodes, against central differences of the whole simulation.

One per cent of the largest derivative is what the modes beyond the last may leave out.
"""

import meshes
import numpy as np
import pytest
import torch
from derivatives import STEP, agree, deformations, jacobian, slope

from napari_remidi.errors import InputError
from napari_remidi.physics import TetMesh
from napari_remidi.physics.autograd import DifferentiableSimulator, differentiable_signal
from napari_remidi.physics.simulation import simulate
from napari_remidi.physics.substrate import Compartment, Substrate
from napari_remidi.physics.substrate_derivatives import substrate_jacobian
from napari_remidi.scan import Protocol
from napari_remidi.scan.waveform import Waveform

MODES = 120


@pytest.fixture(scope="module")
def substrate() -> Substrate:
    """An axon of radius 1.5 in a sheath of its own T2 and diffusion tensor, and a third part beyond closed walls."""
    mesh = meshes.cylinder(2, 3.0, 8.0)
    centres = mesh.points[mesh.tetrahedra].mean(axis=1)
    labels = (np.hypot(*centres[:, :2].T) > 1.5).astype(int)
    labels[centres[:, 2] > 6.0] = 2
    tensor = np.diag([0.8, 0.8, 1.6])
    parts = {"axon": Compartment(2.0, 80.0), "sheath": Compartment(tensor, 15.0, 0.5), "cap": Compartment(1.5, 60.0)}
    return Substrate(
        TetMesh(mesh.points, mesh.tetrahedra, labels, list(parts)), parts, {("axon", "sheath"): 0.05}, {"sheath": 0.02}
    )


@pytest.fixture(scope="module")
def relaxing() -> Protocol:
    rng = np.random.default_rng(0)
    bvecs = rng.standard_normal((10, 3))
    bvecs /= np.linalg.norm(bvecs, axis=1, keepdims=True)
    bvals = np.resize([0.0, 1000.0, 3000.0, 6000.0, 10000.0], 10)
    return Protocol.pgse(bvals, bvecs, 5.0, np.resize([10.0, 25.0, 50.0], 10), te=np.resize([70.0, 80.0], 10))


def test_signal_is_that_of_the_substrate(substrate: Substrate, relaxing: Protocol) -> None:
    signal = differentiable_signal(substrate, relaxing, modes=60, device="cpu", dtype=torch.float64)
    expected = simulate(substrate, relaxing, modes=60, device="cpu", dtype=torch.float64)
    assert np.abs(signal.numpy() - expected).max() < 1e-10


@pytest.mark.parametrize(
    ("parameter", "name", "value"),
    [
        ("diffusivity", "axon", 2.0),
        ("diffusivity", "sheath", np.diag([0.8, 0.8, 1.6]).tolist()),
        ("diffusivity", "cap", 1.5),
        ("t2", "axon", 80.0),
        ("t2", "sheath", 15.0),
        ("t2", "cap", 60.0),
        ("permeability", ("sheath", "axon"), 0.05),
        ("relaxivity", "sheath", 0.02),
    ],
)
def test_gradient_in_the_tissue(
    substrate: Substrate, relaxing: Protocol, parameter: str, name: str | tuple[str, str], value: object
) -> None:
    run = DifferentiableSimulator(substrate, relaxing, MODES, device="cpu", dtype=torch.float64)
    here = torch.tensor(value, dtype=torch.float64, requires_grad=True)
    derivative = jacobian(run(**{parameter: {name: here}}), here)
    step = STEP * here.detach()
    differences = slope(lambda h: run(**{parameter: {name: here + h / STEP * step}}))
    agree((derivative * step / STEP).reshape(len(derivative), -1).sum(1), differences, 1e-2)


def test_gradient_in_the_nodes_of_a_substrate(substrate: Substrate, relaxing: Protocol) -> None:
    run = DifferentiableSimulator(substrate, relaxing, MODES, device="cpu", dtype=torch.float64)
    points = torch.tensor(substrate.mesh.points, requires_grad=True)
    by_node = jacobian(run(points), points)
    for velocity in deformations(points.detach()).values():
        agree((by_node * velocity).sum((1, 2)), slope(lambda h, v=velocity: run(points + h * v)), 1e-2)


def test_jacobian_is_that_of_autograd(substrate: Substrate, relaxing: Protocol) -> None:
    motions = torch.stack(list(deformations(torch.tensor(substrate.mesh.points)).values()))
    forward = substrate_jacobian(substrate, relaxing, motions.numpy(), MODES, dtype=torch.float64)
    run = DifferentiableSimulator(substrate, relaxing, MODES, device="cpu", dtype=torch.float64)
    speeds = [
        torch.tensor(value, dtype=torch.float64, requires_grad=True)
        for value in (2.0, [[0.8, 0, 0], [0, 0.8, 0], [0, 0, 1.6]], 1.5)
    ]
    times = [torch.tensor(value, dtype=torch.float64, requires_grad=True) for value in (80.0, 15.0, 60.0)]
    flux, loss = (torch.tensor(value, dtype=torch.float64, requires_grad=True) for value in (0.05, 0.02))
    points = torch.tensor(substrate.mesh.points, requires_grad=True)
    signal = run(
        points,
        diffusivity=dict(zip(substrate.names, speeds, strict=True)),
        t2=dict(zip(substrate.names, times, strict=True)),
        permeability={("axon", "sheath"): flux},
        relaxivity={"sheath": loss},
    )
    isotropic = [
        jacobian(signal, d).diagonal(dim1=-2, dim2=-1).sum(-1) if d.ndim else jacobian(signal, d) for d in speeds
    ]
    for derivative, expected in (
        (forward.diffusivity, torch.stack(isotropic, 1)),
        (forward.t2, torch.stack([jacobian(signal, t) for t in times], 1)),
        (forward.permeability[:, :1], jacobian(signal, flux)[:, None]),
        (forward.relaxivity[:, 1:2], jacobian(signal, loss)[:, None]),
        (forward.shape, torch.einsum("mnk,pnk->mp", jacobian(signal, points), motions)),
    ):
        agree(torch.as_tensor(derivative), expected, 1e-6)  # the same numbers by two ways
    assert substrate.interfaces[0] == ("axon", "sheath")
    assert np.isnan(forward.permeability[:, 1:]).all()
    assert np.isnan(forward.relaxivity[:, [0, 2]]).all()
    assert np.abs(forward.signal - signal.detach().numpy()).max() < 1e-10


def test_waveforms_and_pulses_differentiate_alike(substrate: Substrate, relaxing: Protocol) -> None:
    twice = Waveform.double_pgse([[1, 0, 0], [0, 0.6, 0.8]], 4.0, 10.0, 12.0, b=3000, te=80.0)
    shaped = [Waveform.pgse([1, 0, 0], 5.0, 25.0, b=3000, te=70.0), twice]
    pulsed = Protocol.pgse([3000.0], [[1, 0, 0]], 5.0, 25.0, te=70.0)
    mixed = relaxing.subset([0, 1]) + Protocol.of_waveforms(shaped) + pulsed
    run = DifferentiableSimulator(substrate, mixed, 60, device="cpu", dtype=torch.float64)
    points, time = (
        torch.tensor(substrate.mesh.points, requires_grad=True),
        torch.tensor(15.0, dtype=torch.float64, requires_grad=True),
    )
    signal = run(points, t2={"sheath": time})
    by_node, by_time = jacobian(signal, points), jacobian(signal, time)
    assert float((signal[2] - signal[4]).detach().abs()) < 1e-5
    agree(by_node[2], by_node[4], 1e-2)  # single nodes mix in the fastest modes, which time steps show worst
    wave = deformations(points.detach())["wave 0"]
    differences = slope(lambda h: run(points + h * wave, t2={"sheath": time}))
    agree((by_node * wave).sum((1, 2)), differences, 1e-2)
    agree(by_time, slope(lambda h: run(points, t2={"sheath": time + h})), 1e-2)
    forward = substrate_jacobian(substrate, mixed, wave[None].numpy(), 60, dtype=torch.float64)
    agree(torch.as_tensor(forward.shape[:, 0]), differences, 1e-2)
    agree(torch.as_tensor(forward.t2[:, 1]), by_time, 1e-5)


def test_velocities_of_another_mesh_are_refused(substrate: Substrate, relaxing: Protocol) -> None:
    with pytest.raises(InputError, match=r"velocities have shape \(1, 5, 3\)"):
        substrate_jacobian(substrate, relaxing, np.zeros((1, 5, 3)))
