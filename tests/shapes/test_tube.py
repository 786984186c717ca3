"""The template, and the fields written on it."""

import numpy as np
import pytest
import torch

from napari_remidi.physics import TetMesh
from napari_remidi.shapes.families import EFFECTS, closed_axon, open_axon
from napari_remidi.shapes.recipe import RECIPES
from napari_remidi.shapes.sections import FIELDS, SAMPLES
from napari_remidi.shapes.spectral import SpectralBasis
from napari_remidi.shapes.tube import Tube

TUBES = [Tube(3, 41), Tube(2, 81), Tube(3, 30, sectors=24)]


@pytest.mark.parametrize("tube", TUBES)
def test_a_tube_is_a_closed_mesh_with_a_circle_s_volume(tube: Tube) -> None:
    mesh = TetMesh(tube.straight(1.5, 12.0), tube.tetrahedra)
    assert mesh.surface.is_watertight
    assert mesh.surface.volume == pytest.approx(np.pi * 1.5**2 * 12, rel=1e-6)


def test_a_straight_axon_s_vertices_are_the_straight_tube() -> None:
    tube, basis = TUBES[0], SpectralBasis(14, 33, 6, 14)
    fields = np.zeros((FIELDS, SAMPLES))
    fields[2] = np.log(1.5)
    points = basis.vertices(torch.as_tensor(basis.coefficients(fields, np.log(12.0))), tube).numpy()
    np.testing.assert_allclose(points, tube.straight(1.5, 12.0), atol=1e-9)


def test_bending_keeps_the_centreline_s_length() -> None:
    tube, basis = TUBES[0], SpectralBasis(14, 33, 6, 14)
    fields = np.zeros((FIELDS, SAMPLES))
    fields[0] = np.deg2rad(80) * (np.linspace(0, 1, SAMPLES) - 0.5)
    points = basis.vertices(torch.as_tensor(basis.coefficients(fields, np.log(20.0))), tube).numpy()
    centre = points.reshape(tube.layers, -1, 3)[:, 0]
    # chords of 40 intervals are 2e-4 shorter than the arc
    assert np.linalg.norm(np.diff(centre, axis=0), axis=1).sum() == pytest.approx(20.0, rel=1e-3)
    assert np.linalg.norm(centre[-1] - centre[0]) < 19


@pytest.mark.parametrize("kind", EFFECTS)
def test_every_family_fills_a_valid_mesh(kind: str) -> None:
    recipe = RECIPES["axon"]
    for seed in range(5):
        axon = closed_axon(np.random.default_rng(seed), kind)
        coefficients = recipe.basis.coefficients(axon.fields, np.log(axon.length))
        points = recipe.basis.vertices(torch.as_tensor(coefficients), recipe.tube).numpy()
        assert TetMesh(points, recipe.tube.tetrahedra).surface.is_watertight


def test_long_axons_are_valid_and_as_long_as_said() -> None:
    recipe = RECIPES["axon-open"]
    for seed in range(5):
        axon = open_axon(np.random.default_rng(seed))
        points = recipe.basis.vertices(
            torch.as_tensor(recipe.basis.coefficients(axon.fields, np.log(axon.length))), recipe.tube
        ).numpy()
        assert TetMesh(points, recipe.tube.tetrahedra).surface.is_watertight
        assert axon.length == pytest.approx(100.0, rel=1e-4)


def test_a_family_that_must_fold_says_so() -> None:
    with pytest.raises(ValueError, match="is free of folds"):
        closed_axon(np.random.default_rng(0), "bent", radius=4.0, length=8.0, bend=300.0)


@pytest.mark.parametrize("tube", TUBES)
def test_linear_functions_are_interpolated_exactly(tube: Tube) -> None:
    finer, coarser = tube.halved(), tube.coarser()
    assert finer.layers == 2 * tube.layers - 1
    assert len(coarser.section) * coarser.layers < 0.7 * len(tube.section) * tube.layers

    def linear(of: Tube) -> np.ndarray:
        points = of.straight(1.0, 10.0)
        return np.c_[np.ones(len(points)), points @ [0.3, -0.5, 0.2]]

    for other in (finer, coarser):
        np.testing.assert_allclose(tube.interpolated(linear(tube), other), linear(other), atol=1e-12)
