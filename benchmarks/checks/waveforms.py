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
from napari_remidi.physics.reduction.reduced import ReducedModel, reduced_model
from napari_remidi.scan import Protocol, Waveform
from napari_remidi.scan.protocol import GAMMA

FREE, OSCILLATING = 1e-6, 2e-3
DIFFUSIVITY, SLAB = 2.0, (6.0, 2.0, 2.0)
MEDIUM = (0.2, 0.1, 0.15)  # µm²/ms along x, y, z
FREE_BOX, SPREAD = 64.0, 3.0  # µm


def rows(options: Options) -> Iterator[Row]:
    waves = [random_waveform(seed) for seed in range(10)]
    expected = [np.exp(-np.sum(wave.b_tensor / 1000 * np.diag(MEDIUM))) for wave in waves]
    yield Row(
        f"free diffusion, exp(−b:D), 10 random waveforms, in the middle of a box of {FREE_BOX:g} µm",
        largest(free_signal(waves, options), expected),
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
    """Sixteen random steps in three dimensions, refocused."""
    gradient = np.random.default_rng(seed).standard_normal((16, 3))
    return Waveform.from_samples(gradient - gradient.mean(axis=0), 2.5, b=3000)


def free_signal(waves: list[Waveform], options: Options) -> NDArray:
    """Signal of spins that start 5.5 standard deviations of their spread from the walls: 1e-7 of them meet one.

    A box's exact modes are products of cosines, so that its signal is the product of its three axes'.
    """
    modes = 64
    eigenvalues, position = exact.slab_modes(modes)
    k = np.arange(modes) * np.pi / FREE_BOX
    start = np.where(k == 0, 1.0, np.sqrt(2.0)) * np.cos(k * FREE_BOX / 2) * np.exp(-((k * SPREAD) ** 2) / 2)
    along = FREE_BOX * (position - np.eye(modes) / 2)
    blocks = waveform_blocks(Protocol.of_waveforms(waves), options.device, torch.float64)
    one, parts = torch.ones((), dtype=torch.float64), []
    for axis, diffusivity in enumerate(MEDIUM):
        matrices = np.zeros((3, modes, modes))
        matrices[axis] = along
        tensors = (torch.tensor(x) for x in (eigenvalues / FREE_BOX**2, matrices, start, np.eye(modes)[0]))
        model = ReducedModel(torch.eye(modes, dtype=torch.float64), *tensors, None, one, torch.zeros(3).double())
        parts.append(waveform_signal(model, blocks, diffusivity, count=len(waves), refine=2).cpu().numpy())
    return np.prod(parts, axis=0)


def fem_signal(mesh: TetMesh, waves: list[Waveform], diffusivity: float, modes: int, options: Options) -> NDArray:
    topology = Topology.of(mesh.tetrahedra)
    entries = topology.entries(torch.tensor(mesh.points - mesh.points.mean(axis=0)))
    model = reduced_model(topology, entries, *sparse_modes(topology, entries, modes))
    blocks = waveform_blocks(Protocol.of_waveforms(waves), options.device, torch.float64)
    return waveform_signal(model, blocks, diffusivity, count=len(waves)).real.cpu().numpy()


def largest(found: object, expected: object) -> float:
    return float(np.abs(np.asarray(found) - np.asarray(expected)).max())
