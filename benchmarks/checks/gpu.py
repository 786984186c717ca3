"""A graphics processor against the CPU: agreement, the paper's protocol, and many shapes one after the other."""

from collections.abc import Iterator

import numpy as np
import torch

from checks.accuracy import DIFFUSIVITY
from checks.speed import MODES, PARAMETERS, axon, best_seconds
from checks.table import Options, Row
from napari_remidi.physics import simulate
from napari_remidi.physics.encoding.pgse import pgse_signal
from napari_remidi.physics.encoding.pgse_jacobian import pgse_sensitivity
from napari_remidi.physics.encoding.pulses import pulse_blocks
from napari_remidi.physics.matrices.assembly import Topology
from napari_remidi.physics.reduction.modes import modes_in_basis, sparse_modes
from napari_remidi.physics.reduction.reduced import reduced_model, reduced_tangents
from napari_remidi.scan import Protocol

AGREEMENT = 1e-4
BATCH = 256


def rows(options: Options) -> Iterator[Row]:
    if not torch.cuda.is_available():
        return
    device, protocol, mesh = torch.device("cuda"), Protocol.paper(), axon()
    name = torch.cuda.get_device_name(device)
    on_cpu, on_gpu = (simulate(mesh, protocol, device=kind) for kind in ("cpu", "cuda"))
    yield Row(f"{name}: largest difference from the CPU", float(np.abs(on_cpu - on_gpu).max()), at_most=AGREEMENT)

    topology = Topology.of(mesh.tetrahedra, device)
    points = torch.tensor(mesh.points, device=device)
    _, basis = sparse_modes(topology, topology.entries(points), 150)
    blocks, count = pulse_blocks(protocol, device), len(protocol)
    velocities = torch.randn(PARAMETERS, *points.shape, generator=torch.Generator().manual_seed(0)).to(device) / 10

    def signal(where: torch.Tensor) -> torch.Tensor:
        entries = topology.entries(where)
        model = reduced_model(topology, entries, *modes_in_basis(topology, entries, basis, MODES))
        return pgse_signal(model, blocks, DIFFUSIVITY, count=count)

    def jacobian(where: torch.Tensor) -> None:
        entries = topology.entries(where)
        model = reduced_model(topology, entries, *modes_in_basis(topology, entries, basis, MODES))
        tangents = reduced_tangents(topology, model, where, velocities)
        pgse_signal(model, blocks, DIFFUSIVITY, count=count)
        pgse_sensitivity(model, tangents, blocks, DIFFUSIVITY, count=count)

    yield Row(f"{name}: nodes to signal, the paper's protocol", best_seconds(lambda: signal(points), device), "s")
    what = f"nodes to signal and Jacobian of {PARAMETERS} parameters"
    yield Row(f"{name}: {what}", best_seconds(lambda: jacobian(points), device), "s")
    many = [points * (1 + 0.001 * k) for k in range(BATCH)]
    seconds = best_seconds(lambda: [signal(where) for where in many], device, 1)
    yield Row(f"{name}: {BATCH} shapes, nodes to signal", seconds, "s")
