"""A graphics processor gives what the CPU gives; skipped, with a line that says so, where there is none."""

import numpy as np
import pytest
import torch

from napari_remidi.inversion import Settings
from napari_remidi.inversion.cell import CellProblem
from napari_remidi.inversion.levenberg_marquardt import Point
from napari_remidi.inversion.preview import Preview
from napari_remidi.inversion.template import Template
from napari_remidi.inversion.tissue import TissueProblem
from napari_remidi.physics import TetMesh, simulate
from napari_remidi.physics.autograd import differentiable_signal
from napari_remidi.physics.geometry.cylinders import cylinder
from napari_remidi.physics.substrate import Compartment, Substrate
from napari_remidi.results import chamfer, inverter_for, reconstruct
from napari_remidi.scan import Protocol, Waveform
from napari_remidi.shapes import Prior

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no graphics processor that torch sees"),
]
AGREEMENT = 1e-3  # of S/S0
PROBLEMS = {"axon": (CellProblem, "axon"), "voxel": (TissueProblem, "axon-open")}


@pytest.fixture(scope="module")
def axon() -> TetMesh:
    return Prior.load("axon").decode(0.6 * np.asarray(Prior.load("axon").exemplars[300]))


def both(mesh: TetMesh | Substrate, protocol: Protocol) -> tuple[np.ndarray, np.ndarray]:
    return simulate(mesh, protocol, 2.0, device="cpu"), simulate(mesh, protocol, 2.0, device="cuda")


def test_signals_agree(axon: TetMesh, protocol: Protocol) -> None:
    on_cpu, on_gpu = both(axon, protocol)
    np.testing.assert_allclose(on_gpu, on_cpu, atol=AGREEMENT)


def test_signals_with_relaxation_agree(axon: TetMesh, protocol: Protocol) -> None:
    cell = Substrate(axon, {name: Compartment(2.0, 60.0) for name in Substrate(axon).names})
    echo = Protocol.pgse(protocol.bvals, protocol.bvecs, protocol.delta, protocol.Delta, te=80.0)
    on_cpu, on_gpu = (simulate(cell, echo, device=device) for device in ("cpu", "cuda"))
    assert on_cpu.max() < 0.5
    np.testing.assert_allclose(on_gpu, on_cpu, atol=AGREEMENT)


def test_signals_of_waveforms_agree(axon: TetMesh) -> None:
    waves = [
        Waveform.spherical(delta=20.0, Delta=25.0, b=2000),
        Waveform.double_pgse([[1, 0, 0], [0, 0.6, 0.8]], delta=5.0, Delta=20.0, mixing=25.0, b=2000),
    ]
    on_cpu, on_gpu = both(axon, Protocol.of_waveforms(waves))
    np.testing.assert_allclose(on_gpu, on_cpu, atol=AGREEMENT)


def test_gradients_of_the_nodes_agree(protocol: Protocol) -> None:
    mesh = cylinder(2.0, 8.0, 400)
    found = []
    for device in ("cpu", "cuda"):
        nodes = torch.tensor(mesh.points, requires_grad=True)
        differentiable_signal(mesh, protocol, nodes, device=device).square().sum().backward()
        assert nodes.grad is not None
        found.append(nodes.grad.cpu().numpy())
    np.testing.assert_allclose(found[1], found[0], atol=AGREEMENT * np.abs(found[0]).max())


@pytest.mark.parametrize("model", PROBLEMS)
def test_a_problem_s_signal_and_jacobian_agree(model: str, protocol: Protocol) -> None:
    kind, name = PROBLEMS[model]
    found: list[tuple[Point, np.ndarray]] = []
    for device in (torch.device("cpu"), torch.device("cuda")):
        prior = Prior.load(name)
        problem = kind(Template.of(prior), protocol, Settings(prior=name, model=model), device)
        parameters = problem.mean.copy()
        parameters[problem.latent] = 0.5 * prior.sample(1, seed=3)[0]
        point = problem.point(parameters, np.eye(3))
        found.append((point, problem.jacobian(point)))
    (point, jacobian), (on_gpu, jacobian_on_gpu) = found
    np.testing.assert_allclose(on_gpu.signal, point.signal, atol=AGREEMENT)
    np.testing.assert_allclose(jacobian_on_gpu, jacobian, atol=0.01 * np.abs(jacobian).max())


def test_an_axon_is_found_as_on_the_cpu(axon: TetMesh, protocol: Protocol) -> None:
    rng = np.random.default_rng(3)
    signal = simulate(axon, protocol, 2.0, device="cpu") + 0.01 * rng.standard_normal(len(protocol))
    inverter = inverter_for(protocol, "axon", noise_sd=0.01, device="cuda")
    found = reconstruct(signal, protocol, inverter=inverter)
    assert found.solution.device.startswith("cuda")
    assert chamfer(found.surface, axon.surface) < 0.25
    assert found.solution.chi2_per_dof == pytest.approx(1, abs=0.4)
    again = reconstruct(signal, protocol, inverter=inverter)  # what is prepared is used a second time
    assert chamfer(again.surface, found.surface) < 0.05


def test_a_voxel_of_tissue_is_explained(protocol: Protocol) -> None:
    prior, cpu = Prior.load("axon-open"), torch.device("cpu")
    problem = TissueProblem(Template.of(prior), protocol, Settings(model="voxel"), cpu)
    point = problem.point(problem.mean.copy(), np.eye(3))
    found = reconstruct(point.signal, protocol, prior="axon-open", model="voxel", noise_sd=0.02, device="cuda")
    assert found.solution.variance_explained > 0.99


def test_a_preview_can_be_trained(protocol: Protocol) -> None:
    *_, preview = Preview.train(protocol, Prior.load("axon"), Settings(device="cuda"), shapes=32, steps=20)
    assert isinstance(preview, Preview)
    assert preview.run(np.full(len(protocol), 0.5), 0.02)
