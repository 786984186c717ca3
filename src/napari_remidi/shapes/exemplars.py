"""Diffusion in a prior's first exemplars, in few modes: what an inversion compares every signal with to find starts.

It follows from the decoder and hardly any of it is needed, so it is kept with the prior, in half precision: a start
needs a signal to a few hundredths of S0 only, and simulating the shapes anew would take longer than the inversion.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from napari_remidi.physics.matrices.assembly import Topology
from napari_remidi.physics.reduction.modes import sparse_modes
from napari_remidi.physics.reduction.reduced import ModelStack, ReducedModel, reduced_model
from napari_remidi.shapes.tube import Tube

if TYPE_CHECKING:
    from napari_remidi.shapes.prior import Prior

Progress = Callable[[float], None]
MODES = 24
COUNT = 256


@dataclass(frozen=True, eq=False)
class ExemplarModels:
    """Reduced models of the first K exemplars of a prior with closed ends.

    Attributes
    ----------
    decay : (K, r) float16, 1/µm²
    position : (K, 3, r (r + 1) / 2) float16, µm, the upper triangles
    """

    decay: NDArray[np.float16]
    position: NDArray[np.float16]

    def __len__(self) -> int:
        return len(self.decay)

    def __getitem__(self, index: int) -> ReducedModel:
        """The model of one exemplar, in the body's frame, without its modes."""
        stack = self.stack(slice(index, index + 1))
        return ReducedModel(decay=stack.decay[0], position=stack.position[0], **_everywhere(stack.decay.shape[1]))

    def stack(self, which: slice, modes: int | None = None) -> ModelStack:
        """The models of some exemplars side by side, in all modes or the slowest of them."""
        decay = self.decay[which].astype(np.float64)
        count, size = decay.shape
        position = np.zeros((count, 3, size, size))
        rows, columns = np.triu_indices(size)
        position[:, :, rows, columns] = position[:, :, columns, rows] = self.position[which]
        decay, position = decay[:, :modes], position[:, :, :modes, :modes].copy()
        return ModelStack(
            decay=torch.from_numpy(decay), position=torch.from_numpy(position), **_everywhere(decay.shape[1])
        )

    @classmethod
    def of(
        cls, shapes: list[NDArray[np.float64]], tube: Tube, progress: Progress = lambda done: None
    ) -> "ExemplarModels":
        """Models of shapes, (n, 3) µm each, on a template."""
        topology = Topology.of(tube.tetrahedra)
        decays, positions = [], []
        for index, points in enumerate(shapes):
            entries = topology.entries(torch.as_tensor(points))
            model = reduced_model(topology, entries, *sparse_modes(topology, entries, MODES))
            decays.append(model.decay.clamp(min=0).numpy())
            positions.append(model.position.numpy()[:, *np.triu_indices(MODES)])
            progress((index + 1) / len(shapes))
        size = MODES * (MODES + 1) // 2
        return cls(
            np.array(decays, dtype=np.float16).reshape(-1, MODES),
            np.array(positions, dtype=np.float16).reshape(-1, 3, size),
        )


def _everywhere(size: int) -> dict[str, Any]:
    """What spins that start everywhere alike, which is the first mode, have in common."""
    first = torch.eye(size, dtype=torch.float64)[0]
    nothing = torch.zeros(0, size, dtype=torch.float64)
    return {"modes": nothing, "start": first, "detect": first, "density": None, "amount": torch.ones(()),
            "centre": torch.zeros(3)}  # fmt: skip


def with_exemplars(prior: "Prior", latents: NDArray[np.float64], progress: Progress = lambda done: None) -> "Prior":
    """The prior with other exemplars, (E, d), and their models; one that folds is brought nearer to the mean."""
    exemplars = np.array([prior.guarded(latent) for latent in latents])
    known = [prior.nodes(latent) for latent in exemplars[:COUNT]] if prior.ends == "closed" else []
    return replace(prior, exemplars=exemplars, models=ExemplarModels.of(known, prior.tube, progress))
