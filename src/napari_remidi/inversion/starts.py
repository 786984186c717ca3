"""Where to start: the prior's own examples, simulated once for a protocol and compared with a signal in many
orientations.

Every example's signal is needed in any orientation. On one shell it is a smooth, even function on the sphere, so a
homogeneous polynomial of degree six (the span of the even spherical harmonics up to six) tells it well enough from
others, and turning the cell is evaluating that polynomial in turned directions: one matrix product for all examples.
All are held in the frame of their own diffusion tensor, because that is what the measured one can be laid on: an axon
bent to a U diffuses farthest across the line between its ends.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from napari_remidi.errors import ProtocolError
from napari_remidi.inversion.rotation import rotations_about
from napari_remidi.inversion.settings import Settings
from napari_remidi.inversion.sphere import half_sphere, monomials
from napari_remidi.physics.devices import workers
from napari_remidi.physics.encoding.care import ROUGHEST
from napari_remidi.physics.encoding.pgse import pgse_signal
from napari_remidi.physics.encoding.pulses import pulse_blocks
from napari_remidi.physics.reduction.reduced import ModelStack
from napari_remidi.scan.lacking import tensor_numbers

if TYPE_CHECKING:
    from napari_remidi.scan import Protocol
    from napari_remidi.scan.shells import Shell
    from napari_remidi.shapes import Prior
    from napari_remidi.shapes.exemplars import ExemplarModels

Floats = NDArray[np.float64]
DEGREE = 6  # with 4 two of 15 bent, fanned and mixed axons ended in wrong valleys; 8 finds no more
DIRECTIONS = 30  # on a half sphere, for its 28 coefficients
SHELLS = 4  # of a protocol that has more
TENSOR_B = 2000.0  # s/mm², of the shell that the axis is taken from, or the one next to it
MODES = 12  # that examples are simulated in, of 24: that leaves out more than the roughest steps
TOGETHER = 32  # examples simulated
COARSE_SHELLS, COARSE_DIRECTIONS = 12, 15  # of a protocol that has more, where starts compete
COARSE_LEAST = 150  # measurements
FEWEST_DIRECTIONS = 3  # of a shell that says how an axon lies
LEAST_SIGNAL = 1e-3  # of S0: what is less counts as that in a logarithm


@dataclass(frozen=True, eq=False)
class StartLibrary:
    """Signals of the prior's examples on some shells of a protocol, ready to be turned.

    Attributes
    ----------
    latents : (E, d)
    frames : (E, 3, 3) from the tensor's frame, its principal direction +z, to the body's
    polynomials : (shells, 28, E), in the tensor's frame
    rows : for each shell, the protocol's measurements that belong to it
    """

    latents: Floats
    frames: Floats
    polynomials: Floats
    rows: tuple[NDArray[np.int64], ...]


def build_library(
    prior: "Prior", protocol: "Protocol", settings: Settings, device: torch.device, count: int | None = None
) -> Iterator[float | StartLibrary]:
    """Simulate the first `count` exemplars whose models a prior has; yields the share done, and the library last."""
    from napari_remidi.scan import Protocol

    shells = spread_shells(protocol, SHELLS)
    directions = half_sphere(DIRECTIONS)
    bvals, delta, Delta = (
        np.repeat(column, DIRECTIONS) for column in np.array([(s.bval, s.delta, s.Delta) for s in shells]).T
    )
    body = Protocol.pgse(bvals, np.tile(directions, (len(shells), 1)), delta, Delta)
    blocks, count = pulse_blocks(body, device), min(count or len(prior.models), len(prior.models))
    several = cache(lambda cells: [block.repeated(cells, len(body)) for block in blocks])

    def simulated(first: int) -> Floats:
        models = _examples(prior.models, first, min(first + TOGETHER, count))
        cells = len(models.decay)
        signal = pgse_signal(models, several(cells), settings.diffusivity, count=cells * len(body), care=ROUGHEST)
        return np.asarray(signal.double().cpu()).reshape(cells, -1)

    latents = np.asarray(prior.exemplars, dtype=np.float64)[:count]
    signals: list[Floats] = []
    with workers(device) as each:
        for some in each(simulated, range(0, count, TOGETHER)):
            signals.extend(some)
            yield len(signals) / count
    at_nodes = np.array(signals).reshape(len(latents), len(shells), DIRECTIONS)
    frames = tensor_frame(at_nodes[:, 0], directions)
    fit = np.linalg.pinv(_monomials(directions))
    turned = fit @ _monomials(directions @ frames.transpose(0, 2, 1)) @ fit
    polynomials = np.einsum("ekd,esd->ske", turned, at_nodes)
    yield StartLibrary(latents, frames, polynomials, tuple(shell.indices for shell in shells))


@lru_cache(maxsize=64)
def _examples(models: "ExemplarModels", first: int, last: int) -> ModelStack:
    """Some examples' models. They keep the gradients' eigenvectors, which are the same for every protocol."""
    return models.stack(slice(first, last), MODES)


def best_starts(library: StartLibrary, signal: Floats, protocol: "Protocol", count: int) -> list[tuple[Floats, Floats]]:
    """The `count` examples, each in its best orientation near ± the signal's principal axis, that come closest to a
    signal: (latent, rotation).
    """
    rotations = rotations_about(principal_axis(signal, protocol))
    # |φ p − s|² = ⟨φᵀφ, p pᵀ⟩ − 2 (φᵀs)·p + |s|², whose first term shells of the same directions share
    misfit = np.zeros((len(rotations), len(library.latents)))
    parts = zip(library.polynomials, library.rows, strict=True)
    for _, alike in groupby(parts, key=lambda part: protocol.bvecs[part[1]].tobytes()):
        shells = list(alike)
        turned = np.einsum("rij,mi->rmj", rotations, protocol.bvecs[shells[0][1]])
        basis = _monomials(turned)
        squares = sum(polynomials[:, None] * polynomials for polynomials, _ in shells)
        misfit += (basis.transpose(0, 2, 1) @ basis).reshape(len(rotations), -1) @ squares.reshape(-1, misfit.shape[1])
        for polynomials, rows in shells:
            misfit -= 2 * (signal[rows] @ basis) @ polynomials
    orientation = misfit.argmin(axis=0)
    order = np.argsort(misfit.min(axis=0))
    return [
        (library.latents[example], rotations[orientation[example]] @ library.frames[example].T)
        for example in order[:count]
    ]


def principal_axis(signal: Floats, protocol: "Protocol") -> Floats:
    """Direction of fastest diffusion, (3,), in a signal on one shell."""
    shells = [shell.indices for shell in spread_shells(protocol, SHELLS)]
    weak = min(shells, key=lambda rows: abs(float(protocol.bvals[rows[0]]) - TENSOR_B))
    return np.asarray(tensor_frame(signal[weak], protocol.bvecs[weak])[:, 2])


def tensor_frame(signal: Floats, directions: Floats) -> Floats:
    """Principal axes, (..., 3, 3), of the tensors of one shell's signals, (..., M) in directions (M, 3): the columns x,
    y and, of fastest diffusion, z.
    """
    products = np.einsum("mi,mj->mij", directions, directions).reshape(-1, 9)
    decay = -np.log(np.maximum(signal, LEAST_SIGNAL)).reshape(-1, len(directions))
    tensors = np.linalg.lstsq(products, decay.T, rcond=None)[0].T.reshape(*signal.shape[:-1], 3, 3)
    axes = np.linalg.eigh(tensors)[1]
    return np.asarray(axes * np.linalg.det(axes)[..., None, None])


def _monomials(directions: Floats) -> Floats:
    return monomials(torch.as_tensor(directions), DEGREE).numpy()


def spread_shells(protocol: "Protocol", count: int) -> list["Shell"]:
    """At most so many shells with enough different directions, spread over b and timing."""
    shells = _telling_shells(protocol)
    if len(shells) <= count:
        return list(shells)
    return [shells[i] for i in np.linspace(0, len(shells) - 1, count).round().astype(int)]


def require_directions(protocol: "Protocol") -> None:
    """Raise ProtocolError where no shell can say how an axon lies."""
    if not _telling_shells(protocol):
        raise ProtocolError(
            f"no shell of the protocol, one b-value and timing, has {FEWEST_DIRECTIONS} different directions, and "
            "nothing else says how an axon lies: take a protocol with more directions, best 15 or more a shell"
        )


@lru_cache(maxsize=8)  # asked for several times a voxel
def _telling_shells(protocol: "Protocol") -> tuple["Shell", ...]:
    """Shells that say how an axon lies, in order of b and timing."""
    telling = (s for s in protocol.shells if tensor_numbers(protocol.bvecs[s.indices]) >= FEWEST_DIRECTIONS)
    return tuple(sorted(telling, key=lambda s: (s.bval, s.Delta)))


def coarse_rows(protocol: "Protocol") -> NDArray[np.int64]:
    """Measurements that starts compete with: those of some shells in some directions, and all without gradient, or as
    many more as it takes to have enough.
    """
    shells = spread_shells(protocol, COARSE_SHELLS)
    few = [shell.indices[spread_subset(protocol.bvecs[shell.indices], COARSE_DIRECTIONS)] for shell in shells]
    for chosen in (few, [shell.indices for shell in shells]):
        if sum(map(len, chosen)) >= COARSE_LEAST:
            return np.sort(np.concatenate([np.flatnonzero(protocol.is_b0), *chosen]))
    return np.arange(len(protocol))


def spread_subset(directions: Floats, count: int) -> NDArray[np.int64]:
    """Some of the directions (M, 3), far from each other and each other's opposites: the first, then whichever is
    farthest from those chosen before.
    """
    chosen = [0]
    nearest = np.abs(directions @ directions[0])
    while len(chosen) < min(count, len(directions)):
        chosen.append(int(nearest.argmin()))
        nearest = np.maximum(nearest, np.abs(directions @ directions[chosen[-1]]))
    return np.sort(chosen)
