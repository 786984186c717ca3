"""The paper's protocol on a 1500-node axon: seconds, and the ratio to one matrix exponential per measurement."""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import torch

from checks import shapes
from checks.accuracy import DIFFUSIVITY
from checks.baseline import dense_jacobian, dense_signal
from checks.table import Options, Row
from napari_remidi.physics import TetMesh, simulate
from napari_remidi.physics.devices import algebra_device
from napari_remidi.physics.encoding.pgse import pgse_signal
from napari_remidi.physics.encoding.pgse_jacobian import pgse_sensitivity
from napari_remidi.physics.encoding.pulses import pulse_blocks
from napari_remidi.physics.matrices.assembly import Topology
from napari_remidi.physics.reduction.modes import modes_in_basis, sparse_modes
from napari_remidi.physics.reduction.reduced import ReducedModel, reduced_model, reduced_tangents
from napari_remidi.scan import Protocol

MODES, BASIS, PARAMETERS = 60, 150, 20
SAMPLE = 24  # measurements whose exponentials are timed; the rest would cost the same
ROUNDS = 7  # of baseline and ours in turns
SIGNAL_RATIO, JACOBIAN_RATIO = 100.0, 200.0
SIGNAL_SECONDS, JACOBIAN_SECONDS = 0.06, 0.15


def axon(nodes: int = 1500) -> TetMesh:
    """R 2 × 16 µm, a little bent."""
    straight = shapes.cylinder(2.0, 16.0, nodes)
    x, y, z = (straight.points - straight.points.mean(axis=0)).T
    return TetMesh(np.stack([x + z**2 / 40, y, z], axis=1), straight.tetrahedra)


def best_seconds(work: Callable[[], object], device: torch.device, repeats: int = 5) -> float:
    """Fastest of some runs, after one to warm up."""
    times = []
    for _ in range(repeats + 1):
        begin = time.perf_counter()
        work()
        if device.type == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - begin)
    return min(times[1:])


def paired(
    baseline: Callable[[], object], ours: Callable[[], object], device: torch.device, rounds: int, share: float
) -> tuple[float, float, float]:
    """Median seconds of a baseline, times `share`, and of ours, and of their ratio, measured in turns.

    A machine whose speed changes while it is measured changes it for both.
    """
    times = np.array(
        [(share * best_seconds(baseline, device, 1), best_seconds(ours, device, 4)) for _ in range(rounds)]
    )
    slow, fast = np.median(times, axis=0)
    return float(slow), float(fast), float(np.median(times[:, 0] / times[:, 1]))


def rows(options: Options) -> Iterator[Row]:
    device, algebra = options.device, algebra_device(options.device)
    protocol, mesh = Protocol.paper(), axon()
    topology = Topology.of(mesh.tetrahedra, algebra)
    points = torch.tensor(mesh.points, device=algebra)
    decay, basis = sparse_modes(topology, topology.entries(points), BASIS)
    model = reduced_model(topology, topology.entries(points), decay[:MODES], basis[:, :MODES])
    velocities = torch.randn(PARAMETERS, *points.shape, generator=torch.Generator().manual_seed(0)) / 10
    velocities = velocities.to(algebra)
    blocks, count = pulse_blocks(protocol, device), len(protocol)
    tangents = reduced_tangents(topology, model, points, velocities)

    sample = np.flatnonzero(protocol.q > 0)[:: len(protocol) // (8 if options.quick else SAMPLE)]
    share = len(protocol) / len(sample)

    def anew() -> ReducedModel:
        """The model as a new shape has it, nothing known of it yet."""
        return replace(model)

    def signal(model: ReducedModel) -> torch.Tensor:
        return pgse_signal(model, blocks, DIFFUSIVITY, count=count)

    def jacobian(model: ReducedModel) -> None:
        signal(model)
        pgse_sensitivity(model, tangents, blocks, DIFFUSIVITY, count=count)

    rounds = 3 if options.quick else ROUNDS
    slow, fast, ratio = paired(
        lambda: dense_signal(model, protocol, sample, DIFFUSIVITY), lambda: signal(anew()), device, rounds, share
    )
    slower, faster, jacobian_ratio = paired(
        lambda: dense_jacobian(model, tangents, protocol, sample, DIFFUSIVITY),
        lambda: jacobian(anew()),
        device,
        rounds,
        share,
    )
    what = f"{len(mesh.points)} nodes, {count} measurements, {MODES} modes"
    yield Row(f"{what}: signal", fast, "s", at_most=SIGNAL_SECONDS)
    yield Row("the same by one matrix_exp per measurement", slow, "s")
    yield Row("ratio", ratio, "×", at_least=SIGNAL_RATIO)
    yield Row(f"{what}: signal and Jacobian of {PARAMETERS} parameters", faster, "s", at_most=JACOBIAN_SECONDS)
    yield Row("the same by one matrix_exp per measurement, with autograd", slower, "s")
    yield Row("ratio", jacobian_ratio, "×", at_least=JACOBIAN_RATIO)

    exact_signal, exact_slopes = dense_jacobian(model, tangents, protocol, sample, DIFFUSIVITY)
    found = pgse_sensitivity(model, tangents, blocks, DIFFUSIVITY, count=count).shape[sample].double().cpu()
    yield Row(
        "largest difference from it: signal", float((signal(model)[sample].cpu() - exact_signal.cpu()).abs().max())
    )
    relative = (found - exact_slopes.cpu()).abs().max() / exact_slopes.abs().max().cpu()
    yield Row("largest difference from it: Jacobian, relative to the largest", float(relative))

    for name, step in {
        "of which tangents of the matrices": lambda: reduced_tangents(topology, model, points, velocities),
        "modes in a basis of 150 (meshes of one template)": lambda: modes_in_basis(
            topology, topology.entries(points), basis, MODES
        ),
        "sparse eigensolve (any mesh)": lambda: sparse_modes(topology, topology.entries(points), MODES),
        "simulate(mesh, protocol), everything": lambda: simulate(mesh, protocol, device=str(device)),
    }.items():
        yield Row(name, best_seconds(step, device, 2), "s")
