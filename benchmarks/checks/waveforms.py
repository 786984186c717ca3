"""Gradients of any form: free diffusion, and oscillating gradients in a slab."""

from collections.abc import Iterator

import exact
import numpy as np
import torch
from numpy.typing import NDArray

from checks import shapes
from checks.accuracy import random_directions
from checks.table import Options, Row
from napari_remidi.physics import TetMesh
from napari_remidi.physics.encoding.waveforms import waveform_blocks, waveform_signal
from napari_remidi.physics.matrices.assembly import Topology
from napari_remidi.physics.reduction.modes import sparse_modes
from napari_remidi.physics.reduction.reduced import reduced_model
from napari_remidi.scan import Protocol, Waveform
from napari_remidi.scan.protocol import GAMMA

FREE, OSCILLATING = 1e-6, 2e-3
DIFFUSIVITY, SLAB = 2.0, (6.0, 2.0, 2.0)


def rows(options: Options) -> Iterator[Row]:
    waves = [random_waveform(seed) for seed in range(10)]
    expected = [np.exp(-np.trace(wave.b_tensor) * 0.7 / 1000) for wave in waves]
    found = [exact.box_waveform((60.0,) * 3, GAMMA * wave.gradient, wave.dt, 0.7).real for wave in waves]
    yield Row("exact box of 60 µm against exp(−b:D), 10 random waveforms: the truth itself", largest(found, expected))

    box = shapes.box((60.0, 60.0, 60.0), 3000)
    yield Row(
        f"free diffusion in a box of 60 µm, {len(box.points)} nodes, 10 random waveforms",
        largest(fem_signal(box, waves, 0.7, 200, options), expected),
        at_most=FREE,
    )

    slab = shapes.box(SLAB, 1500)
    across = [
        Waveform.ogse([1, 0, 0], 20, 25, periods, b=b, phase=phase)
        for phase in ("cosine", "sine") for periods in (1, 2, 5) for b in (200, 500, 1000)
    ]  # fmt: skip
    oblique = [Waveform.ogse(u, 20, 25, 2, b=600) for u in random_directions(4)]
    turning = [Waveform.spherical(15, 20, b=1500), Waveform.planar([0, 0.6, 0.8], 15, 20, b=1500),
               Waveform.double_pgse([[1, 0, 0], [0.6, 0.8, 0]], 4, 12, 8, b=3000),
               Waveform.trapezoid([0.6, 0.8, 0], 5, 25, 1, b=4000)]  # fmt: skip
    for name, kind in {
        "sine and cosine OGSE across the slab": across,
        "OGSE in random directions": oblique,
        "STE, PTE, double PGSE, trapezoid": turning,
    }.items():
        truth = [exact.box_waveform(SLAB, GAMMA * wave.gradient, wave.dt, DIFFUSIVITY).real for wave in kind]
        error = largest(fem_signal(slab, kind, DIFFUSIVITY, 150, options), truth)
        yield Row(f"{name}, slab 6 µm, {len(slab.points)} nodes", error, at_most=OSCILLATING)


def random_waveform(seed: int) -> Waveform:
    """Twenty random steps, refocused, b 500 to 1500 s/mm²."""
    rng = np.random.default_rng(seed)
    gradient = rng.standard_normal((20, 3))
    return Waveform.from_samples(gradient - gradient.mean(axis=0), 0.5, b=rng.uniform(500, 1500))


def fem_signal(mesh: TetMesh, waves: list[Waveform], diffusivity: float, modes: int, options: Options) -> NDArray:
    topology = Topology.of(mesh.tetrahedra)
    entries = topology.entries(torch.tensor(mesh.points - mesh.points.mean(axis=0)))
    model = reduced_model(topology, entries, *sparse_modes(topology, entries, modes))
    blocks = waveform_blocks(Protocol.of_waveforms(waves), options.device, torch.float64)
    return waveform_signal(model, blocks, diffusivity, count=len(waves)).real.cpu().numpy()


def largest(found: object, expected: object) -> float:
    return float(np.abs(np.asarray(found) - np.asarray(expected)).max())
