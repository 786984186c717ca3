"""Spins that pass through walls, relax, and differ in number: against exact layers, and in every limit."""

from functools import cache

import exact
import numpy as np
import pytest
import torch
from exact_layers import Layer, shells, slabs
from layered_meshes import concentric, stack
from numpy.typing import NDArray

from napari_remidi.errors import TimingError
from napari_remidi.physics import TetMesh, simulate
from napari_remidi.physics.matrices.pieces import Piece, pieces
from napari_remidi.physics.substrate import Compartment, Substrate
from napari_remidi.scan import Protocol

B = np.array([500.0, 1000.0, 2000.0, 4000.0, 7000.0, 10000.0])
TIMES = np.array([10.0, 25.0, 50.0])
DELTA, ECHO = 5.0, 70.0
EVERY = 500  # more modes than the small mesh has
FIGURE = 3e-3  # the largest error in S/S0 that this simulator promises at walls


def along(direction: list[float]) -> tuple[Protocol, NDArray, NDArray]:
    b, Delta = (axis.ravel() for axis in np.meshgrid(B, TIMES, indexing="ij"))
    return (
        Protocol.pgse(b, np.tile(direction, (len(b), 1)), DELTA, Delta, te=ECHO),
        exact.strength(b, 5.0, Delta),
        Delta,
    )


def signal(substrate: Substrate, protocol: Protocol, modes: int = 80, density: NDArray | None = None) -> NDArray:
    return simulate(substrate, protocol, modes=modes, dtype=torch.float64, device="cpu", density=density)


def substrate_of(mesh: TetMesh, layers: list[Layer], walls: list[float]) -> Substrate:
    parts = {str(k): Compartment(layer.diffusivity, layer.t2, layer.density) for k, layer in enumerate(layers)}
    return Substrate(
        mesh,
        parts,
        {(str(k), str(k + 1)): kappa for k, kappa in enumerate(walls)},
        {str(k): layer.relaxivity for k, layer in enumerate(layers)},
    )


ALIKE = [Layer(3.0), Layer(5.0)]
UNLIKE = [Layer(3.0, 1.0, 60.0, 0.7), Layer(2.0, 3.0, 30.0, 1.0), Layer(4.0, 2.0, np.inf, 1.3)]
STACKS = {
    "two alike, κ 0.005": (ALIKE, [0.005]),
    "two alike, κ 0.05": (ALIKE, [0.05]),
    "two alike, κ 0.5": (ALIKE, [0.5]),
    "two alike, κ 50": (ALIKE, [50.0]),
    "three of different D, T2 and density": (UNLIKE, [0.02, 0.2]),
}


@pytest.mark.parametrize("name", list(STACKS))
def test_a_stack_of_slabs_agrees_with_theory(name: str) -> None:
    layers, walls = STACKS[name]
    protocol, q, Delta = along([1, 0, 0])
    substrate = substrate_of(stack([12] * len(layers), [layer.thickness for layer in layers]), layers, walls)
    te = ECHO if substrate.relaxes else None
    truth = slabs(layers, walls).signal(q, DELTA, Delta, te)
    assert np.abs(signal(substrate, protocol) - truth).max() < FIGURE


def test_refining_a_stack_converges_at_second_order(capsys: pytest.CaptureFixture[str]) -> None:
    layers, walls = STACKS["three of different D, T2 and density"]
    protocol, q, Delta = along([1, 0, 0])
    truth = slabs(layers, walls).signal(q, DELTA, Delta, ECHO)
    errors = []
    for cells in (4, 8, 16):
        mesh = stack([cells] * 3, [layer.thickness for layer in layers])
        errors.append(np.abs(signal(substrate_of(mesh, layers, walls), protocol, 100) - truth).max())
    with capsys.disabled():
        print(f"\nthree slabs, κ 0.02 and 0.2 µm/ms, 4, 8 and 16 cells each: {', '.join(f'{e:.1e}' for e in errors)}")
    assert np.log2(errors[1] / errors[2]) > 1.8


SHELLS = {
    "alike, κ 0.01": ([Layer(3.0), Layer(2.0)], 0.01),
    "alike, κ 0.1": ([Layer(3.0), Layer(2.0)], 0.1),
    "slow and dense inside, fast and short-lived outside, κ 0.05": (
        [Layer(3.0, 1.0, 80.0, 1.2), Layer(2.0, 2.5, 40.0, 0.8)],
        0.05,
    ),
    "whose walls relax, κ 0.05": ([Layer(3.0, 1.0, relaxivity=0.02), Layer(2.0, 2.0, 80.0, relaxivity=0.05)], 0.05),
}


@pytest.mark.parametrize("name", list(SHELLS))
def test_a_ball_in_a_shell_agrees_with_theory(name: str, ball_in_shell: TetMesh) -> None:
    layers, kappa = SHELLS[name]
    protocol, q, Delta = along([0, 0.6, 0.8])
    substrate = substrate_of(ball_in_shell, layers, [kappa])
    truth = shells(layers, [kappa]).signal(q, DELTA, Delta, ECHO if substrate.relaxes else None)
    assert np.abs(signal(substrate, protocol, 120) - truth).max() < FIGURE


@pytest.fixture(scope="module")
def ball_in_shell() -> TetMesh:
    return concentric([5, 3], [3.0, 2.0])


@cache
def small() -> tuple[TetMesh, Protocol]:
    return stack([5, 5], [3.0, 4.0]), along([0.8, 0.6, 0])[0].subset(np.arange(0, 18, 3))


def test_a_closed_wall_makes_two_cells() -> None:
    """Both alone, weighted by their volumes; and the limit of a wall that is almost closed."""
    mesh, protocol = small()
    apart = signal(Substrate(mesh), protocol)
    alone = []
    for label in (0, 1):
        used, tets = np.unique(mesh.tetrahedra[mesh.labels == label], return_inverse=True)
        alone.append(signal(Substrate(TetMesh(mesh.points[used], tets.reshape(-1, 4))), protocol))
    assert apart == pytest.approx((3 * alone[0] + 4 * alone[1]) / 7, abs=1e-8)
    nearly = signal(Substrate(mesh, permeability={("0", "1"): 1e-9}), protocol, EVERY)
    assert nearly == pytest.approx(signal(Substrate(mesh), protocol, EVERY), abs=1e-6)


def test_an_absent_wall_makes_one_cell() -> None:
    """κ = ∞ is the mesh without labels; κ = 10⁶ µm/ms is it but for about D / κ per µm."""
    mesh, protocol = small()
    whole = simulate(TetMesh(mesh.points, mesh.tetrahedra), protocol, device="cpu", modes=80, dtype=torch.float64)
    merged = signal(Substrate(mesh, permeability={("0", "1"): np.inf}), protocol)
    assert merged == pytest.approx(whole, abs=1e-8)
    open_wall = signal(Substrate(mesh, permeability={("1", "0"): 1e6}), protocol)
    assert open_wall == pytest.approx(whole, abs=1e-5)


def test_a_uniform_t2_is_a_factor() -> None:
    mesh, protocol = small()
    walls = {("0", "1"): 0.05}
    plain = signal(Substrate(mesh, permeability=walls), protocol)
    relaxed = signal(Substrate(mesh, Compartment(t2=55.0), walls), protocol)
    assert relaxed == pytest.approx(np.exp(-ECHO / 55) * plain, abs=1e-8)


def test_two_compartments_without_exchange_equal_their_sum() -> None:
    mesh, protocol = small()
    parts = {"0": Compartment(1.0, 40.0, 0.5), "1": Compartment(3.0, 90.0, 2.0)}
    alone = []
    for label in (0, 1):
        used, tets = np.unique(mesh.tetrahedra[mesh.labels == label], return_inverse=True)
        cell = TetMesh(mesh.points[used], tets.reshape(-1, 4))
        part = parts[str(label)]
        alone.append(np.exp(-ECHO / part.t2) * simulate(cell, protocol, part.diffusivity, device="cpu", modes=80,
                                                        dtype=torch.float64))  # fmt: skip
    expected = (3 * 0.5 * alone[0] + 4 * 2.0 * alone[1]) / (3 * 0.5 + 4 * 2.0)
    assert signal(Substrate(mesh, parts), protocol) == pytest.approx(expected, abs=1e-8)


@pytest.mark.parametrize("kappa", [0.0, 1e-3, 0.3, 1e4, np.inf])
def test_exchange_loses_no_spin(kappa: float) -> None:
    mesh, _ = small()
    parts = {"0": Compartment(1.0, density=0.5), "1": Compartment(3.0, density=2.0)}
    still = Protocol.pgse([0.0, 2000.0], [[0, 0, 0], [1, 0, 0]], DELTA, 25.0)
    assert signal(Substrate(mesh, parts, {("0", "1"): kappa}), still)[0] == pytest.approx(1.0, abs=1e-10)


def test_still_spins_relax_and_exchange_by_two_pools() -> None:
    """Fast diffusion between thin slabs: dm/dt = −(1/T2 + k) m + k m', k = κ / thickness (Kärger 1985)."""
    mesh = stack([3, 3], [0.5, 0.5], 0.5)
    kappa, t2, echoes = 0.01, np.array([20.0, 100.0]), np.array([5.0, 30.0, 80.0])
    parts = {"0": Compartment(3.0, t2[0]), "1": Compartment(3.0, t2[1])}
    protocol = Protocol.pgse(np.zeros(3), np.zeros((3, 3)), DELTA, 25.0, te=echoes)
    rates, vectors = np.linalg.eigh(np.diag(1 / t2) + kappa / 0.5 * np.array([[1, -1], [-1, 1]]))
    pools = [float(np.exp(-t * rates) @ vectors.sum(axis=0) ** 2 / 2) for t in echoes]
    assert signal(Substrate(mesh, parts, {("0", "1"): kappa}), protocol) == pytest.approx(pools, abs=1e-3)


def test_a_tensor_is_a_stretched_mesh() -> None:
    """x' = D^(−1/2) x and q' = D^(1/2) q turn the tensor into one; linear elements stay linear, so this is exact."""
    mesh, protocol = small()
    turn = np.linalg.qr(np.random.default_rng(0).standard_normal((3, 3)))[0]
    tensor = turn @ np.diag([0.5, 1.0, 2.5]) @ turn.T
    root = turn @ np.diag(np.sqrt([0.5, 1.0, 2.5])) @ turn.T
    stretched = TetMesh(mesh.points @ np.linalg.inv(root), mesh.tetrahedra)
    pull = protocol.bvecs @ root
    length = np.linalg.norm(pull, axis=1)
    unit = Protocol.pgse(protocol.bvals * length**2, pull / length[:, None], protocol.delta, protocol.Delta)
    whole = Substrate(TetMesh(mesh.points, mesh.tetrahedra), tensor)
    assert signal(whole, protocol, 200) == pytest.approx(signal(Substrate(stretched, 1.0), unit, 200), abs=1e-8)
    assert signal(Substrate(mesh, 1.5 * np.eye(3)), protocol) == pytest.approx(
        signal(Substrate(mesh, 1.5), protocol), abs=1e-10
    )


def test_relaxation_needs_echo_times_that_leave_room() -> None:
    mesh = stack([2], [6.0])
    protocol = Protocol.pgse([0, 1000], [[0, 0, 0], [1, 0, 0]], 5.0, 25.0)
    relaxing = Substrate(mesh, Compartment(t2=80.0))
    with pytest.raises(TimingError, match="known for 0 of 2 measurements, and relaxation needs all: give te, in ms"):
        signal(relaxing, protocol)
    hurried = Protocol.pgse([0, 1000], [[0, 0, 0], [1, 0, 0]], 5.0, 25.0, te=28.0)
    with pytest.raises(TimingError, match="measurement 1 has its echo at 28 ms, before its second pulse ends at"):
        signal(relaxing, hurried)
    assert signal(Substrate(mesh), protocol)[0] == pytest.approx(1.0, abs=1e-10)


def test_a_start_density_multiplies_the_spin_density() -> None:
    """What two starts that add up to one leave at the echo adds up to what everything leaves."""
    mesh, protocol = small()
    ones = np.ones(len(mesh.points))
    substrate = Substrate(mesh, {"0": Compartment(density=0.5), "1": Compartment()}, {("0", "1"): 0.05})
    assert signal(substrate, protocol, density=ones) == pytest.approx(signal(substrate, protocol), abs=1e-10)
    middle = np.where(mesh.points[:, 1] == 1.0, 1.5, 0.5)  # of the width, so that the centre and the steps stay
    parts = [signal(substrate, protocol, density=start) for start in (middle, 2 - middle)]
    amounts = [
        sum(float(piece.entries()[0] @ _pairs(piece, start)) for piece in pieces(substrate))
        for start in (middle, 2 - middle)
    ]
    assert np.average(parts, axis=0, weights=amounts) == pytest.approx(signal(substrate, protocol), abs=1e-8)


def _pairs(piece: Piece, density: NDArray) -> torch.Tensor:
    """What each entry of a mass matrix contributes to 1ᵀ M ρ0."""
    start = piece.density(density)
    rows, columns = piece.topology.rows, piece.topology.columns
    return torch.where(rows == columns, start[rows], start[rows] + start[columns])
