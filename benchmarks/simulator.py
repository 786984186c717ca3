"""How fast the simulator is, as ratios against one dense matrix exponential per measurement in the same run.

    python benchmarks/simulator.py [--modes 60] [--parameters 18] [--device auto] [--json]

The protocol is the ReMiDi paper's (1890 measurements), the mesh a template-sized cylinder.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import scipy.linalg
import torch

from napari_remidi.physics.assembly import Topology
from napari_remidi.physics.devices import algebra_device, choose_device
from napari_remidi.physics.modes import modes_in_basis, sparse_modes
from napari_remidi.physics.pgse import pgse_sensitivity, pgse_signal
from napari_remidi.physics.pulses import pulse_blocks
from napari_remidi.physics.reduced import ReducedModel, reduced_model, reduced_tangents
from napari_remidi.scan import Protocol

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "physics"))
import meshes

DIFFUSIVITY = 2.0
BASELINE_SAMPLE = 60  # measurements whose exponentials are timed; the rest would cost the same


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


def dense_signal(model: ReducedModel, protocol: Protocol, rows: np.ndarray) -> np.ndarray:
    """The textbook way: one complex matrix exponential per measurement, float64."""
    decay = DIFFUSIVITY * model.decay.cpu().numpy()
    position = model.position.cpu().numpy()
    start = model.start.cpu().numpy()
    amount = float(model.amount)
    result = []
    for row in rows:
        gradient = np.einsum("c,cij->ij", protocol.bvecs[row], position)
        generator = np.diag(decay) + 1j * protocol.q[row] * gradient
        v = scipy.linalg.expm(-protocol.delta[row] * generator) @ start
        gap = protocol.Delta[row] - protocol.delta[row]
        result.append(amount * (np.exp(-gap * decay) * np.abs(v) ** 2).sum())
    return np.array(result)


def measured(modes: int, parameters: int, device: torch.device) -> dict[str, float]:
    """Seconds of every step, the ratios, and the difference from the baseline."""
    protocol = Protocol.paper()
    mesh = meshes.cylinder(3, 2.0, 16.0)
    algebra = algebra_device(device)
    topology = Topology.of(mesh.tetrahedra, algebra)
    points = torch.as_tensor(mesh.points - mesh.points.mean(axis=0), device=algebra)
    entries = topology.entries(points)
    decay, vectors = sparse_modes(topology, entries, 150)
    model = reduced_model(topology, entries, decay[:modes], vectors[:, :modes])
    generator = torch.Generator().manual_seed(0)
    velocities = torch.randn(parameters, *points.shape, generator=generator).to(algebra)
    blocks = pulse_blocks(protocol, device)
    tangents = reduced_tangents(topology, model, points, velocities)
    rows = np.flatnonzero(protocol.q > 0)[:: max(1, len(protocol) // BASELINE_SAMPLE)]
    baseline = best_seconds(lambda: dense_signal(model, protocol, rows), device, 1) * len(protocol) / len(rows)

    def signal() -> torch.Tensor:
        return pgse_signal(model, blocks, DIFFUSIVITY, count=len(protocol))

    steps = {
        "sparse eigensolve": lambda: sparse_modes(topology, topology.entries(points), modes),
        "modes in a basis": lambda: modes_in_basis(topology, topology.entries(points), vectors, modes),
        "tangents": lambda: reduced_tangents(topology, model, points, velocities),
        "signal": signal,
        "Jacobian": lambda: pgse_sensitivity(model, tangents, blocks, DIFFUSIVITY, count=len(protocol)),
    }
    seconds = {name: best_seconds(step, device) for name, step in steps.items()}
    difference = np.abs(signal().double().cpu().numpy()[rows] - dense_signal(model, protocol, rows)).max()
    return {
        **{f"{name}, s": value for name, value in seconds.items()},
        "baseline signal, s": baseline,
        "baseline / signal": baseline / seconds["signal"],
        "Jacobian / signal": seconds["Jacobian"] / seconds["signal"],
        "largest difference from the baseline": float(difference),
    }


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--modes", type=int, default=60)
    parser.add_argument("--parameters", type=int, default=18)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    device = choose_device(options.device)
    figures = measured(options.modes, options.parameters, device)
    if options.json:
        print(json.dumps({"device": str(device), "modes": options.modes, **figures}, indent=1))
        return
    print(f"{device}, {torch.get_num_threads()} threads, {options.modes} modes, {options.parameters} parameters")
    for name, value in figures.items():
        print(f"  {name:40s} {value:.3g}")


if __name__ == "__main__":
    main()
