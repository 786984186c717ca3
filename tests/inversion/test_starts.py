"""Where an inversion starts: the tensor's frame, and an example in an unknown orientation."""

import numpy as np
import torch
from scipy.spatial.transform import Rotation

from napari_remidi.inversion.settings import Settings
from napari_remidi.inversion.sphere import half_sphere
from napari_remidi.inversion.starts import (
    StartLibrary,
    best_starts,
    build_library,
    coarse_rows,
    spread_subset,
    tensor_frame,
)
from napari_remidi.physics import TetMesh, simulate
from napari_remidi.scan import Protocol, spread_directions
from napari_remidi.shapes import Prior


def test_the_tensor_s_frame_has_the_fastest_direction_last() -> None:
    turn = Rotation.random(random_state=0).as_matrix()
    tensor = turn @ np.diag([0.2, 0.5, 1.5]) @ turn.T
    directions = half_sphere(40)
    signal = np.exp(-np.einsum("mi,ij,mj->m", directions, tensor, directions))
    frame = tensor_frame(signal, directions)
    assert np.linalg.det(frame) > 0
    np.testing.assert_allclose(frame.T @ tensor @ frame, np.diag([0.2, 0.5, 1.5]), atol=1e-10)


def test_an_example_is_found_again_in_another_orientation_even_a_u() -> None:
    """A U diffuses farthest across the line between its ends."""
    prior, device = Prior.load("axon"), torch.device("cpu")
    some = np.asarray(prior.exemplars[:24])
    centres = [prior.nodes(latent).reshape(prior.tube.layers, -1, 3).mean(axis=1) for latent in some]
    straightness = [np.linalg.norm(c[-1] - c[0]) / np.linalg.norm(np.diff(c, axis=0), axis=1).sum() for c in centres]
    wanted = int(np.argmin(straightness))
    assert straightness[wanted] < 0.8
    vectors = spread_directions(30)
    protocol = Protocol.pgse(
        np.repeat([0.0, 1000, 2000, 4000], [1, 30, 30, 30]), np.concatenate([[[0, 0, 0]], *[vectors] * 3]), 5.0, 25.0
    )
    turn = Rotation.random(random_state=3).as_matrix()
    mesh = prior.decode(some[wanted])
    signal = simulate(TetMesh(mesh.points @ turn.T, mesh.tetrahedra), protocol, 2.0, device="cpu")
    *_, library = build_library(prior, protocol, Settings(), device, count=24)
    assert isinstance(library, StartLibrary)
    latent, rotation = best_starts(library, signal, protocol, 1)[0]
    np.testing.assert_allclose(latent, some[wanted], atol=1e-6)
    found = simulate(TetMesh(mesh.points @ rotation.T, mesh.tetrahedra), protocol, 2.0, device="cpu")
    assert np.abs(found - signal).max() < 0.15  # the grid of rotations is coarse


def test_starts_compete_on_some_shells_and_directions_only_where_these_hold_enough() -> None:
    def rows_of(shells: int, directions: int) -> np.ndarray:
        vectors = spread_directions(directions)
        bvals = np.concatenate([[0.0], np.repeat(500.0 * np.arange(1, shells + 1), directions)])
        return coarse_rows(Protocol.pgse(bvals, np.concatenate([[[0, 0, 0]], *[vectors] * shells]), 5.0, 25.0))

    assert len(rows_of(20, 30)) == 1 + 12 * 15
    assert len(rows_of(8, 30)) == 1 + 8 * 30
    assert len(rows_of(12, 3)) == 1 + 12 * 3
    assert len(rows_of(20, 2)) == 1 + 20 * 2


def test_a_subset_of_directions_leaves_no_gap() -> None:
    vectors = spread_directions(30)
    order = np.argsort(vectors[:, 2])  # neighbours follow each other
    chosen = vectors[order][spread_subset(vectors[order], 15)]
    farthest = np.abs(vectors @ chosen.T).max(axis=1).min()
    assert len(chosen) == 15
    assert np.rad2deg(np.arccos(farthest)) < 35
    assert len(spread_subset(vectors, 40)) == 30
