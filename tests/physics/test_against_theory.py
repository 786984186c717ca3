"""The simulator against exact signals as the mesh is refined, and against an independent implementation on its mesh."""

from collections.abc import Callable
from pathlib import Path

import exact
import meshes
import numpy as np
import pytest
from numpy.typing import NDArray

from napari_remidi.physics import TetMesh, simulate
from napari_remidi.scan import Protocol

B = np.array([500.0, 1000.0, 2000.0, 4000.0, 7000.0, 10000.0])
TIMES = np.array([10.0, 25.0, 50.0])
DIFFUSIVITY = 2.0


def test_it_agrees_with_an_independent_implementation() -> None:
    """Both solve the same discrete problem, so they differ by their numerics alone."""
    with np.load(Path(__file__).parent / "data" / "closed_cylinder_p1.npz") as data:
        b, times, directions = data["bvalues_s_per_mm2"], data["Delta_ms"], data["directions"]
        truth, mesh = data["signal"], TetMesh(data["points_um"], data["tetrahedra"])
        delta, diffusivity = data["delta_ms"][0], float(data["diffusivity_um2_per_ms"])
    grid = np.meshgrid(b, times, np.arange(len(directions)), indexing="ij")
    bvals, Delta, which = (axis.ravel() for axis in grid)
    protocol = Protocol.pgse(bvals, directions[which.astype(int)], delta, Delta)
    difference = np.abs(simulate(mesh, protocol, diffusivity, tolerance=1e-4, device="cpu") - truth.ravel()).max()
    assert difference < 2e-4


def along(direction: list[float]) -> tuple[Protocol, NDArray, NDArray]:
    b, Delta = (axis.ravel() for axis in np.meshgrid(B, TIMES, indexing="ij"))
    return Protocol.pgse(b, np.tile(direction, (len(b), 1)), 5.0, Delta), b, Delta


SHAPES: dict[str, tuple[list[float], Callable[[int], TetMesh], Callable[[NDArray, NDArray], NDArray]]] = {
    "sphere, radius 3": (
        [0, 0, 1],
        lambda level: meshes.ball(4 * level, 3.0),
        lambda b, Delta: exact.sphere(3.0, b, 5.0, Delta, DIFFUSIVITY),
    ),
    "slab, 8 µm": (
        [1, 0, 0],
        lambda level: meshes.box((8 * level, 2, 2), (8.0, 3.0, 3.0)),
        lambda b, Delta: exact.slab(8.0, b, 5.0, Delta, DIFFUSIVITY),
    ),
    "cylinder 2 × 12, oblique": (
        [0.6, 0, 0.8],
        lambda level: meshes.cylinder(2 * level, 2.0, 12.0),
        lambda b, Delta: exact.cylinder(
            2.0, 12.0, [0, 0, 1], b, np.tile([0.6, 0, 0.8], (len(b), 1)), 5.0, Delta, DIFFUSIVITY
        ),
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", list(SHAPES))
def test_refining_the_mesh_converges_to_theory(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Linear elements: halving the mesh size should quarter the error; the finest is to be good to 0.2 %."""
    direction, mesh_of, truth_of = SHAPES[name]
    protocol, b, Delta = along(direction)
    truth = truth_of(b, Delta)
    errors = []
    with capsys.disabled():
        print(f"\n{name} µm, D 2 µm²/ms, δ 5 ms, Δ 10, 25, 50 ms, b to 10000 s/mm²")
        for level in (1, 2, 4):
            mesh = mesh_of(level)
            errors.append(np.abs(simulate(mesh, protocol, DIFFUSIVITY, device="cpu", modes=120) - truth).max())
            print(f"  {len(mesh.points):6d} nodes: largest error {errors[-1]:.1e}")
    assert errors[2] < 2e-3
    assert errors[2] < errors[0] / 8  # order two would be a factor of 16, less what the coarse mesh hides
