"""Sections: what they say of an axon does not depend on how it lies, and the paper's deformations are what they say."""

import numpy as np
import pytest
import torch
import trimesh
from scipy.spatial.transform import Rotation

from napari_remidi.results.metrics import chamfer
from napari_remidi.shapes.families import EFFECTS, PAPER, closed_axon
from napari_remidi.shapes.fitting import fitted_fields
from napari_remidi.shapes.recipe import RECIPES
from napari_remidi.shapes.sections import SAMPLES, AxonFields, angles_of, canonical_pose, directions_of, fields_of
from napari_remidi.shapes.tube import Tube

RECIPE = RECIPES["axon"]
FINE = Tube(3, 161)


def nodes(axon: AxonFields, tube: Tube = RECIPE.tube) -> np.ndarray:
    row = RECIPE.basis.coefficients(axon.fields, np.log(axon.length))
    return RECIPE.basis.vertices(torch.as_tensor(row), tube).numpy()


def deformed(kind: str, p: dict) -> trimesh.Trimesh:
    """The paper's deformation of a straight cylinder's nodes, written out."""
    length = p.get("height", p.get("length"))
    x, y, z = FINE.straight(p["radius"], length).T
    if kind == "sheared":
        x = x + 30 * p["shear"] * 2 * p["radius"] * (z / length) ** 2
        turn = p["twist"] * z / length
        x, y = np.cos(turn) * x - np.sin(turn) * y, np.sin(turn) * x + np.cos(turn) * y
    elif kind == "rippled":
        wider = 1 + p["amplitude"] * np.sin(2 * np.pi * p["beads"] * (z / length + 0.5))
        x, y = x * wider, y * wider
    else:
        height, bend = z + length / 2, np.deg2rad(p["fan"])
        beyond = np.clip(height - p["fan_at"] * length, 0, None)
        curvature = bend / ((1 - p["fan_at"]) * length)
        turn = beyond * curvature
        radius = 1 / max(curvature, 1e-9)
        x, z = (
            x * np.cos(turn) + radius * (1 - np.cos(turn)),
            np.where(beyond > 0, p["fan_at"] * length + radius * np.sin(turn) - x * np.sin(turn), height),
        )
    return trimesh.Trimesh(np.stack([x, y, z], axis=1), FINE.boundary, process=False)


@pytest.mark.parametrize("kind", PAPER)
def test_the_paper_s_families_are_its_deformations(kind: str) -> None:
    for seed in range(4):
        axon = closed_axon(np.random.default_rng(seed), kind)
        truth = deformed(kind, axon.parameters)
        centre = truth.vertices.reshape(FINE.layers, -1, 3)[:, 0]
        truth.vertices = (truth.vertices - truth.vertices.mean(axis=0)) @ canonical_pose(centre).T
        surface = trimesh.Trimesh(nodes(axon, FINE), FINE.boundary, process=False)
        # fields of few orders on the one side, flat triangles across steep slopes on the other
        assert chamfer(surface, truth, samples=2000) < 0.012


@pytest.mark.parametrize("kind", EFFECTS)
def test_fields_do_not_depend_on_pose_or_labels(kind: str) -> None:
    axon = closed_axon(np.random.default_rng(5), kind)
    points = nodes(axon, FINE)
    turned = points @ Rotation.random(random_state=1).as_matrix().T + [3.0, -2.0, 7.0]
    here, there = fitted_fields(points, FINE), fitted_fields(turned, FINE)
    assert here.length == pytest.approx(axon.length, rel=2e-3)
    np.testing.assert_allclose(nodes(here), nodes(axon), atol=0.05)
    surfaces = [trimesh.Trimesh(nodes(a), RECIPE.tube.boundary, process=False) for a in (here, there)]
    assert chamfer(*surfaces, samples=2000) < 1e-3


def test_labels_turned_about_the_axis_leave_the_fields() -> None:
    centres = np.stack([np.linspace(0, 1, 41) ** 2, np.zeros(41), np.linspace(0, 9, 41)], axis=1)
    maps = np.broadcast_to(np.eye(3)[:, :2] * [1.2, 0.8], (41, 3, 2))
    turn = np.array([[0.6, -0.8], [0.8, 0.6]])
    np.testing.assert_allclose(fields_of(centres, maps)[0], fields_of(centres, maps @ turn)[0], atol=1e-12)


def test_angles_and_directions_are_inverse() -> None:
    angles = np.random.default_rng(0).uniform(-2, 2, (2, SAMPLES))
    np.testing.assert_allclose(angles_of(3 * directions_of(angles)), angles, atol=1e-12)


def test_level_sections_have_normals_that_never_turn() -> None:
    axon = closed_axon(np.random.default_rng(1), "sheared", shear=0.4, twist=0.3)
    lean = axon.fields[:2] - axon.fields[5:]
    np.testing.assert_allclose(lean, lean[:, :1] * np.ones(SAMPLES), atol=1e-3)
