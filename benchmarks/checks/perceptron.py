"""The ReMiDi paper's network baseline: a multilayer perceptron from the signal to the mesh's vertices."""

from dataclasses import dataclass

import numpy as np
import torch
import trimesh
from numpy.typing import NDArray
from torch import nn

from napari_remidi.inversion.preview.examples import Examples, TurnedSignals, noisy, random_rotations
from napari_remidi.scan import Protocol
from napari_remidi.shapes import Prior

WIDTH, BATCH, RATE = 512, 128, 1e-3


@dataclass(frozen=True, eq=False)
class Perceptron:
    """Signal (M,) -> surface nodes (s, 3) µm."""

    network: nn.Module
    faces: NDArray[np.int64]

    @classmethod
    def trained(cls, examples: Examples, prior: Prior, protocol: Protocol, steps: int, upright: bool) -> "Perceptron":
        """Trained on examples in random orientations, or all end to end along z; mean squared error of the nodes."""
        torch.manual_seed(0)
        generator = torch.Generator().manual_seed(0)
        signals, nodes = TurnedSignals(protocol), np.unique(prior.boundary)
        with torch.no_grad():
            points = torch.cat([prior.decode_points(part)[:, nodes] for part in examples.latents.split(100)])
        layers = [nn.Linear(len(protocol), WIDTH), nn.SiLU(), nn.Linear(WIDTH, WIDTH), nn.SiLU()]
        network = nn.Sequential(*layers, nn.Linear(WIDTH, WIDTH), nn.SiLU(), nn.Linear(WIDTH, 3 * len(nodes)))
        optimiser = torch.optim.AdamW(network.parameters(), lr=RATE)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, steps)
        for _ in range(steps):
            rows = torch.randint(len(points), (BATCH,), generator=generator)
            rotations = torch.eye(3).expand(BATCH, 3, 3) if upright else random_rotations(BATCH, generator)
            signal = noisy(signals(examples.polynomials[rows], rotations), generator)
            misfit = network(signal).unflatten(1, (-1, 3)) - points[rows] @ rotations.transpose(1, 2)
            optimiser.zero_grad()
            misfit.square().sum(dim=2).mean().backward()
            optimiser.step()
            schedule.step()
        return cls(network.eval().requires_grad_(False), np.searchsorted(nodes, prior.boundary))

    def surface(self, signal: NDArray[np.float64]) -> trimesh.Trimesh:
        """The mesh of a signal."""
        points = self.network(torch.as_tensor(signal, dtype=torch.float32)).reshape(-1, 3)
        return trimesh.Trimesh(points.numpy(), self.faces, process=False)
