"""What any signal must obey, for shapes and protocols drawn at random.

Everything is in float64, so what should be equal is to 1e-7 (modes found again, phases of a hundred radians). Where
the number of time steps changes with the input, results differ by what the simulator promises for each, 1e-3.
"""

import meshes
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from napari_remidi.physics import TetMesh, simulate
from napari_remidi.scan import Protocol

ROUNDING, SIMULATOR = 1e-7, 1e-3
few = settings(max_examples=12, deadline=None)
seeds = st.integers(0, 2**31)


@st.composite
def cells(draw: st.DrawFn) -> TetMesh:
    """A box, a ball or a cylinder of some size, gently warped."""
    kind = draw(st.sampled_from(["box", "ball", "cylinder"]))
    size = draw(st.floats(1.0, 6.0))
    mesh = {
        "box": lambda: meshes.box((4, 3, 3), (2 * size, size, size)),
        "ball": lambda: meshes.ball(4, size),
        "cylinder": lambda: meshes.cylinder(2, size / 2, 3 * size),
    }[kind]()
    rng = np.random.default_rng(draw(seeds))
    p = mesh.points / size
    warp = np.sin(p @ rng.uniform(-1, 1, (3, 3)) + rng.uniform(0, 6, 3))
    return TetMesh((p + 0.1 * warp) * size, mesh.tetrahedra)


@st.composite
def protocols(draw: st.DrawFn) -> Protocol:
    """Ten measurements of one timing, b = 0 among them."""
    rng = np.random.default_rng(draw(seeds))
    vectors = rng.standard_normal((10, 3))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    delta = draw(st.floats(1.0, 10.0))
    Delta = delta + draw(st.floats(0.0, 40.0))
    bvals = np.r_[0.0, rng.uniform(100, 8000, 9)]
    return Protocol.pgse(bvals, vectors, delta, Delta)


def signal(mesh: TetMesh, protocol: Protocol) -> NDArray:
    return simulate(mesh, protocol, device="cpu", modes=60, dtype=torch.float64)


@given(cells(), protocols())
@few
def test_a_signal_lies_between_nothing_and_all(mesh: TetMesh, protocol: Protocol) -> None:
    """S is a sum of squares for pulsed gradients; Richardson's difference may take it below zero."""
    values = signal(mesh, protocol)
    assert values[0] == pytest.approx(1, abs=1e-14)
    assert (values > -SIMULATOR).all()
    assert (values <= 1 + ROUNDING).all()


@given(cells(), protocols(), seeds)
@few
def test_where_a_cell_lies_changes_nothing(mesh: TetMesh, protocol: Protocol, seed: int) -> None:
    shift = np.random.default_rng(seed).uniform(-500, 500, 3)
    moved = TetMesh(mesh.points + shift, mesh.tetrahedra)
    assert signal(moved, protocol) == pytest.approx(signal(mesh, protocol), abs=ROUNDING)


@given(cells(), protocols(), seeds)
@few
def test_turning_cell_and_gradients_together_changes_nothing(mesh: TetMesh, protocol: Protocol, seed: int) -> None:
    rotation = Rotation.random(random_state=seed).as_matrix()
    turned = TetMesh(mesh.points @ rotation.T, mesh.tetrahedra)
    assert signal(turned, protocol.rotated(rotation)) == pytest.approx(signal(mesh, protocol), abs=ROUNDING)


@given(cells(), protocols())
@few
def test_a_cell_and_its_twin_give_the_same_signal(mesh: TetMesh, protocol: Protocol) -> None:
    twin = TetMesh(-mesh.points, mesh.tetrahedra[:, [0, 2, 1, 3]])
    assert signal(twin, protocol) == pytest.approx(signal(mesh, protocol), abs=ROUNDING)


@given(cells(), protocols(), seeds)
@few
def test_the_order_of_nodes_and_tetrahedra_changes_nothing(mesh: TetMesh, protocol: Protocol, seed: int) -> None:
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(mesh.points))
    number = np.argsort(order)
    tets = number[mesh.tetrahedra][rng.permutation(len(mesh.tetrahedra))][:, [1, 2, 0, 3]]
    assert signal(TetMesh(mesh.points[order], tets), protocol) == pytest.approx(signal(mesh, protocol), abs=ROUNDING)


@given(cells(), protocols(), seeds)
@few
def test_a_protocol_may_be_split(mesh: TetMesh, protocol: Protocol, seed: int) -> None:
    """The strongest gradient sets the number of steps of all that share a pulse, so the parts differ by the steps."""
    part = np.random.default_rng(seed).random(len(protocol)) < 0.5
    whole = signal(mesh, protocol)
    for rows in (part, ~part):
        if rows.any():
            assert signal(mesh, protocol.subset(rows)) == pytest.approx(whole[rows], abs=SIMULATOR)
