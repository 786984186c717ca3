"""Waveforms in a reduced model against dense exponentials, exact slabs and free diffusion; their derivatives."""

from dataclasses import replace

import exact
import meshes
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.linalg import expm
from scipy.spatial.transform import Rotation

from napari_remidi.physics.encoding.pgse import pgse_signal
from napari_remidi.physics.encoding.pgse_jacobian import pgse_sensitivity
from napari_remidi.physics.encoding.pulses import pulse_blocks
from napari_remidi.physics.encoding.waveforms import (
    waveform_blocks,
    waveform_gradient,
    waveform_sensitivity,
    waveform_signal,
)
from napari_remidi.physics.matrices.assembly import Topology
from napari_remidi.physics.reduction.modes import sparse_modes
from napari_remidi.physics.reduction.reduced import ReducedModel, ReducedTangents, reduced_model
from napari_remidi.scan import Protocol, Waveform, spread_directions

Floats = NDArray[np.float64]
CPU, FLOAT64 = torch.device("cpu"), torch.float64
GAMMA = 2.67522e-4  # rad/(µm ms) for 1 mT/m
SLANTED = np.array([0.48, 0.6, 0.64])


def model_of(decay: Floats, position: Floats, start: Floats, detect: Floats) -> ReducedModel:
    """A reduced model that comes from no mesh: matrices (r,), (3, r, r), (r,), (r,)."""
    tensors = (torch.as_tensor(np.array(values)) for values in (decay, position, start, detect))
    one = torch.ones((), dtype=FLOAT64)
    return ReducedModel(torch.eye(len(decay), dtype=FLOAT64), *tensors, None, one, torch.zeros(3, dtype=FLOAT64))


def random_model(size: int = 10, seed: int = 0) -> ReducedModel:
    """Symmetric matrices of a cell's scale (rates to 1/ms, some µm), start and detection different: open ends."""
    rng = np.random.default_rng(seed)
    position = rng.standard_normal((3, size, size))
    start, detect = rng.standard_normal((2, size))
    start[0], detect[0] = 2, 2
    return model_of(
        np.r_[0, np.sort(rng.uniform(0, 1, size - 1))],
        (position + position.transpose(0, 2, 1)) / 2,
        start / (start @ detect),
        detect,
    )


def slab_model(length: float, axis: int = 0, count: int = 40) -> ReducedModel:
    eigenvalues, position = exact.slab_modes(count)
    matrices = np.zeros((3, count, count))
    matrices[axis] = length * (position - np.eye(count) / 2)
    first = np.eye(count)[0]
    return model_of(eigenvalues / length**2, matrices, first, first)


def by_exponentials(model: ReducedModel, waveform: Waveform, diffusivity: float) -> complex:
    """uᵀ Π exp(−dt (D Λ + i γ g·A)) c, one dense exponential per sample."""
    position = GAMMA * np.einsum("tc,cij->tij", waveform.gradient, model.position.numpy())
    state = model.start.numpy().astype(complex)
    for matrix in position:
        state = expm(-waveform.dt * (np.diag(diffusivity * model.decay.numpy()) + 1j * matrix)) @ state
    return complex(model.detect.numpy() @ state)


def signal(model: ReducedModel, waveforms: list[Waveform], diffusivity: float = 2.0, **choices) -> Floats:
    blocks = waveform_blocks(Protocol.of_waveforms(waveforms), CPU, FLOAT64)
    return waveform_signal(model, blocks, diffusivity, count=len(waveforms), **choices).numpy()


def of_every_kind(strength: float = 1.0) -> list[Waveform]:
    rng = np.random.default_rng(1)
    noise = rng.standard_normal((20, 3)) * 100
    return [
        Waveform.pgse(SLANTED, 5, 25, b=1000 * strength),
        Waveform.pgse(-SLANTED, 5, 25, b=3000 * strength),
        Waveform.trapezoid([1, 0, 0], 5, 15, 1, b=1000 * strength, dt=0.25),
        Waveform.ogse([0, 0, 1], 10, 15, 2, b=300 * strength, dt=0.5),
        Waveform.ogse([0, 0, 1], 10, 15, 1, b=500 * strength, phase="sine", dt=0.5),
        Waveform.double_pgse([[1, 0, 0], SLANTED], 4, 12, 8, b=1500 * strength),
        Waveform.spherical(15, 18, b=800 * strength, dt=0.5),
        Waveform.planar(SLANTED, 15, 18, b=800 * strength, dt=0.5),
        Waveform.from_samples(noise - noise.mean(axis=0), 1.0),
    ]


@pytest.mark.parametrize("ends", ["closed", "open"])
def test_every_kind_agrees_with_dense_exponentials(ends: str) -> None:
    """To a tenth of the simulator's tolerance by itself, to 1e-6 with four times the steps: order four."""
    model = random_model()
    if ends == "closed":
        model = replace(model, start=model.detect / (model.detect @ model.detect))
    waveforms = of_every_kind()
    truth = np.array([by_exponentials(model, waveform, 1.0) for waveform in waveforms])
    coarse, error = (values.numpy() for values in waveform_signal(
        model, waveform_blocks(Protocol.of_waveforms(waveforms), CPU, FLOAT64), count=len(waveforms), with_error=True
    ))  # fmt: skip
    assert np.abs(coarse - truth).max() < 1e-4
    assert np.abs(signal(model, waveforms, 1.0, refine=4) - truth).max() < 1e-6
    assert (np.abs(coarse - truth) <= error).all()
    assert error.max() < 1e-2
    assert np.abs(truth.imag).max() > 0.01  # nothing is real by chance


def test_exact_slab_modes_give_the_exact_signal() -> None:
    """High modes decay within a step, where the order falls to 2.5; eight times the steps leave 1e-6."""
    waveforms = [
        *(Waveform.ogse([1, 0, 0], 20, 25, periods, b=b) for periods in (1, 2, 5) for b in (200, 1000)),
        *(Waveform.ogse([1, 0, 0], 20, 25, 2, b=b, phase="sine") for b in (500, 3000)),
        *(Waveform.trapezoid([1, 0, 0], 5, 25, 1, b=b) for b in (1000, 10000)),
        *(Waveform.pgse([1, 0, 0], 30, 40, b=b) for b in (1000, 3000, 10000)),
    ]
    model = slab_model(6.0)
    truth = np.array([by_exponentials(model, waveform, 2.0) for waveform in waveforms])
    estimates = signal(model, waveforms)
    assert np.abs(estimates - truth).max() < 1e-4
    assert np.abs(signal(model, waveforms, refine=8) - truth).max() < 1e-6


def test_a_slab_of_finite_elements_oscillates_as_the_exact_one() -> None:
    """At 1025 nodes, to the 2e-3 asked of the simulator."""
    length = 6.0
    slab = meshes.box((40, 4, 4), (length, 2.0, 2.0))
    topology = Topology.of(slab.tetrahedra)
    entries = topology.entries(torch.as_tensor(slab.points.copy()))
    model = reduced_model(topology, entries, *sparse_modes(topology, entries, 60))
    waveforms = [
        Waveform.ogse([1, 0, 0], 20, 25, periods, b=b, phase=phase)
        for phase in ("cosine", "sine")
        for periods in (1, 2, 5)
        for b in (500, 1500)
    ]
    truth = np.array([by_exponentials(slab_model(length), waveform, 2.0) for waveform in waveforms])
    assert np.abs(signal(model, waveforms) - truth).max() < 2e-3
    assert 0.1 < truth.real.min() < 0.9


def test_pulses_written_as_a_waveform_give_the_same_signal_and_jacobian() -> None:
    directions = spread_directions(4)
    model = random_model()
    model = replace(model, start=model.detect / (model.detect @ model.detect), amount=model.detect @ model.detect)
    b = np.array([500.0, 1500.0, 3000.0, 6000.0])
    pulsed = Protocol.pgse(b, directions, 5.0, 20.0)
    written = Protocol.of_waveforms([Waveform.pgse(d, 5.0, 20.0, b=x) for d, x in zip(directions, b, strict=True)])
    rotation = torch.as_tensor(Rotation.from_rotvec([0.3, -0.5, 0.2]).as_matrix())
    one = pulse_blocks(pulsed, CPU, FLOAT64)
    other = waveform_blocks(written, CPU, FLOAT64)
    # each keeps the error of its own steps, a few 1e-6
    there, here = pgse_signal(model, one, 1.0, rotation, 4), waveform_signal(model, other, 1.0, rotation, 4)
    assert float((here.real - there).abs().max()) < 1e-5
    assert float(here.imag.abs().max()) < 1e-12  # of two equal pulses

    tangents = random_tangents(len(model.decay))
    tangents = replace(tangents, detect=tangents.start * model.amount)  # closed ends stay closed
    there = pgse_sensitivity(model, tangents, one, 1.0, rotation, 4, exact=True)
    here = waveform_sensitivity(model, tangents, other, 1.0, rotation, 4)
    scale = float(there.shape.abs().max())
    assert float((here.shape - there.shape).abs().max()) < 1e-4 * scale
    assert float((here.diffusivity - there.diffusivity).abs().max()) < 1e-4 * scale
    turning = -torch.linalg.cross(torch.as_tensor(directions), there.direction)
    assert float((here.direction - turning).abs().max()) < 1e-4 * scale


def cosine_modes(length: float, count: int, width: float) -> tuple[Floats, Floats, Floats, Floats]:
    """A box's exact modes, and a Gaussian start in its middle with weights (r,): decay, position, start, detection."""
    eigenvalues, position = exact.slab_modes(count)
    k = np.arange(count) * np.pi / length
    norm = np.where(k == 0, 1.0, np.sqrt(2.0))
    start = norm * np.cos(k * length / 2) * np.exp(-((k * width) ** 2) / 2)
    return eigenvalues / length**2, length * (position - np.eye(count) / 2), start, np.eye(count)[0]


def turned_to(waveform: Waveform, axes: list[int]) -> Waveform:
    """A waveform's leading components along some axes; the others zero."""
    gradient = np.zeros_like(waveform.gradient)
    gradient[:, axes] = waveform.gradient[:, : len(axes)]
    return Waveform(gradient, waveform.dt, waveform.name)


def random_waveforms(count: int, steps: int, dt: float, strength: float) -> list[Waveform]:
    rng = np.random.default_rng(5)
    found = []
    for _ in range(count):
        samples = rng.standard_normal((steps, 3))
        found.append(Waveform.from_samples(samples - samples.mean(axis=0), dt, b=strength))
    return found


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_far_from_walls_a_gradient_along_a_line_weights_by_b_alone(axis: int) -> None:
    """S = exp(−bD): spins start 5.5 standard deviations of their spread from the walls, which leaves 1e-7."""
    length, diffusivity, count = 64.0, 0.2, 64
    decay, along, start, detect = cosine_modes(length, count, 3.0)
    position = np.zeros((3, count, count))
    position[axis] = along
    waveforms = [turned_to(w, [axis]) for w in random_waveforms(5, 16, 2.5, 9000)]
    waveforms.append(Waveform.ogse(np.eye(3)[axis], 18, 20, 2, b=3000))
    found = signal(model_of(decay, position, start, detect), waveforms, diffusivity, refine=2)
    free = np.exp([-w.bval / 1000 * diffusivity for w in waveforms])
    assert 0.2 < free.min() < free.max() < 0.9
    assert np.abs(found - free).max() < 1e-6


@pytest.mark.slow
@pytest.mark.parametrize("axes", [[0, 1], [1, 2], [2, 0]])
def test_far_from_walls_a_gradient_that_turns_in_a_plane_weights_by_its_b_tensor(axes: list[int]) -> None:
    """S = exp(−b:D) in an anisotropic medium; the third axis adds a factor of its own and is left out."""
    length, count, along_x, along_y = 36.0, 27, 0.10, 0.06
    decay, along, start, detect = cosine_modes(length, count, 2.6)
    one = np.eye(count)
    position = np.zeros((3, count**2, count**2))
    position[axes[0]], position[axes[1]] = np.kron(along, one), np.kron(one, along)
    decay = (along_x * decay[:, None] + along_y * decay).ravel()
    model = model_of(decay, position, np.kron(start, start), np.kron(detect, detect))
    waveforms = [turned_to(w, axes) for w in random_waveforms(3, 10, 2.4, 9000)]
    medium = np.zeros((3, 3))
    medium[axes[0], axes[0]], medium[axes[1], axes[1]] = along_x, along_y
    free = np.exp([-(w.b_tensor / 1000 * medium).sum() for w in waveforms])
    assert 0.3 < free.min() < free.max() < 0.9
    assert np.abs(signal(model, waveforms, 1.0) - free).max() < 1e-6


def random_tangents(size: int, count: int = 3) -> ReducedTangents:
    rng = np.random.default_rng(2)
    decay, position = rng.standard_normal((count, size, size)), rng.standard_normal((count, 3, size, size))
    start, detect = rng.standard_normal((2, count, size)) / 3
    decay, position = ((m + np.swapaxes(m, -1, -2)) / 8 for m in (decay, position))
    return ReducedTangents(*(torch.as_tensor(values) for values in (decay, position, start, detect)))


def moved(model: ReducedModel, tangents: ReducedTangents, index: int, step: float) -> ReducedModel:
    """The model a step along a tangent, brought back to diagonal form."""
    decay, turn = torch.linalg.eigh(torch.diag(model.decay) + step * tangents.decay[index])
    return replace(
        model,
        decay=decay,
        position=turn.T @ (model.position + step * tangents.position[index]) @ turn,
        start=turn.T @ (model.start + step * tangents.start[index]),
        detect=turn.T @ (model.detect + step * tangents.detect[index]),
    )


def test_the_jacobian_agrees_with_finite_differences() -> None:
    model, waveforms = random_model(), of_every_kind()
    protocol = Protocol.pgse([0, 1000], [[0, 0, 0], [1, 0, 0]], 5, 25) + Protocol.of_waveforms(waveforms)
    blocks, count = waveform_blocks(protocol, CPU, FLOAT64), len(protocol)
    rotation = torch.as_tensor(Rotation.from_rotvec([0.3, -0.5, 0.2]).as_matrix())
    tangents = random_tangents(len(model.decay))
    change = waveform_sensitivity(model, tangents, blocks, 1.3, rotation, count)

    def real(model: ReducedModel, diffusivity: float = 1.3, rotation: torch.Tensor = rotation) -> torch.Tensor:
        return waveform_signal(model, blocks, diffusivity, rotation, count).real

    h = 1e-4
    for index in range(len(tangents.start)):
        slope = (real(moved(model, tangents, index, h)) - real(moved(model, tangents, index, -h))) / (2 * h)
        assert float((change.shape[:, index] - slope).abs().max()) < 1e-4 * float(slope.abs().max())
    slope = (real(model, 1.3 + h) - real(model, 1.3 - h)) / (2 * h)
    assert float((change.diffusivity - slope).abs().max()) < 1e-4 * float(slope.abs().max())
    for axis in range(3):
        ahead, behind = (
            torch.as_tensor(Rotation.from_rotvec(s * h * np.eye(3)[axis]).as_matrix()) @ rotation for s in (1, -1)
        )
        slope = (real(model, rotation=ahead) - real(model, rotation=behind)) / (2 * h)
        assert float((change.direction[:, axis] - slope).abs().max()) < 1e-4 * float(slope.abs().max())
    assert not change.shape[:2].any()  # pulses and b = 0 are not this function's


def test_rates_that_decay_within_a_step_have_derivatives_as_exact() -> None:
    """Up to fifty e-foldings between two turns; what is left is the turns' own error and the differences'."""
    model = random_model()
    model = replace(model, decay=torch.cat([torch.zeros(1, dtype=FLOAT64), torch.logspace(-1, 2, 9, dtype=FLOAT64)]))
    tangents, waveforms, h = random_tangents(len(model.decay), 1), of_every_kind(), 1e-4
    blocks, count = waveform_blocks(Protocol.of_waveforms(waveforms), CPU, FLOAT64), len(waveforms)
    (change,) = waveform_sensitivity(model, tangents, blocks).shape.T
    ahead, behind = (waveform_signal(moved(model, tangents, 0, s * h), blocks, count=count).real for s in (1, -1))
    slope = (ahead - behind) / (2 * h)
    assert float((change - slope).abs().max()) < 1e-5 * float(slope.abs().max())


def test_the_adjoint_gradient_is_the_jacobian_summed() -> None:
    model, protocol = random_model(), Protocol.of_waveforms(of_every_kind() + of_every_kind(0.3))
    blocks, tangents = waveform_blocks(protocol, CPU, FLOAT64), random_tangents(len(model.decay))
    weights = torch.as_tensor(np.random.default_rng(3).standard_normal(len(protocol)))
    rotation = torch.as_tensor(Rotation.from_rotvec([0.3, -0.5, 0.2]).as_matrix())
    for turn in (None, rotation):
        jacobian = waveform_sensitivity(model, tangents, blocks, 1.3, turn, len(protocol)).shape
        gradient = waveform_gradient(model, blocks, weights, 1.3, turn)
        along = (
            torch.einsum("ij,pij->p", gradient.decay, 1.3 * tangents.decay)
            + torch.einsum("cij,pcij->p", gradient.position, tangents.position)
            + tangents.start @ gradient.start
            + tangents.detect @ gradient.detect
        )
        assert torch.allclose(along, weights @ jacobian, rtol=1e-10, atol=1e-10)
    assert torch.equal(gradient.decay, gradient.decay.T)


def test_equal_modes_have_derivatives() -> None:
    """Twice the same decay rates, as in a round section."""
    model = random_model()
    model = replace(model, decay=model.decay[[0, 1, 1, 3, 3, 5, 5, 5, 8, 8]])
    blocks = waveform_blocks(Protocol.of_waveforms(of_every_kind()), CPU, FLOAT64)
    weights = torch.ones(len(of_every_kind()), dtype=FLOAT64)
    gradient, h = waveform_gradient(model, blocks, weights, refine=2), 1e-4
    tangents = random_tangents(len(model.decay), 1)
    ahead, behind = (
        waveform_signal(moved(model, tangents, 0, s * h), blocks, count=len(weights), refine=2).real.sum()
        for s in (1, -1)
    )
    along = (gradient.decay * tangents.decay[0]).sum() + (gradient.position * tangents.position[0]).sum()
    along = along + gradient.start @ tangents.start[0] + gradient.detect @ tangents.detect[0]
    assert float(along) == pytest.approx(float((ahead - behind) / (2 * h)), rel=1e-4)


def test_chunks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory for one column at a time, or for all."""
    model, protocol = random_model(), Protocol.of_waveforms(of_every_kind() + of_every_kind(0.3))
    blocks, tangents = waveform_blocks(protocol, CPU, FLOAT64), random_tangents(len(model.decay))
    weights = torch.ones(len(protocol), dtype=FLOAT64)

    def everything() -> list[torch.Tensor]:
        change = waveform_sensitivity(model, tangents, blocks, 1.0)
        gradient = waveform_gradient(model, blocks, weights)
        return [waveform_signal(model, blocks), change.shape, change.direction, gradient.decay, gradient.position]

    whole = everything()
    monkeypatch.setattr("napari_remidi.physics.encoding.waveforms.CHUNK_BYTES", 1)
    # steps follow the strongest column of a chunk, so that only their error, 1e-6, may differ
    for one, other in zip(whole, everything(), strict=True):
        assert float((one - other).abs().max()) < 1e-4 * float(one.abs().max())


def test_single_precision_is_enough_for_a_thousand_steps() -> None:
    model, waveforms = slab_model(6.0), [Waveform.ogse([1, 0, 0], 20, 25, 2, b=b) for b in (300, 3000)]
    blocks = waveform_blocks(Protocol.of_waveforms(waveforms), CPU, torch.float32)
    single = waveform_signal(model, blocks, 2.0)
    assert single.dtype == torch.complex64
    assert np.abs(single.numpy() - signal(model, waveforms)).max() < 1e-4


def test_the_opposite_waveform_gives_the_conjugate_and_none_gives_one() -> None:
    wave = of_every_kind()[-1]
    waveforms = [wave, replace(wave, gradient=-wave.gradient), replace(wave, gradient=0 * wave.gradient)]
    one, other, nothing = signal(random_model(), waveforms)
    assert one == pytest.approx(np.conj(other), abs=1e-12)
    assert nothing == 1


def test_waveforms_of_one_form_share_a_block() -> None:
    waveforms = [Waveform.ogse(d, 20, 25, 2, b=b) for d in spread_directions(6) for b in (100, 200, 300)]
    (block,) = waveform_blocks(Protocol.of_waveforms(waveforms), CPU)
    assert block.strength.shape == (6, 3)
    assert len(block.course) == 1
    assert sorted(block.measurement.flatten().tolist()) == list(range(18))
    assert waveform_blocks(Protocol.paper(), CPU) == []
