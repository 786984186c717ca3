"""The paper's deformations written out, against the families of the prior, and the cases of its tables."""

import numpy as np
import pytest
import torch
from checks.paper_cases import SECTIONS, cases, protocol_of, table
from checks.paper_shapes import MESHES, deformed_cylinder, random_truth

from napari_remidi.results.metrics import chamfer_any_rotation
from napari_remidi.scan import Protocol
from napari_remidi.shapes.families import closed_axon
from napari_remidi.shapes.spectral import SpectralBasis
from napari_remidi.shapes.tube import Tube

ALL = [
    (kind, index, fixed)
    for kind, steps in {
        "sheared": [{"shear": bend, "twist": twist} for bend in (0, 0.25, 0.5) for twist in (0, 0.5)],
        "rippled": [{"beads": beads, "amplitude": size} for beads in range(9) for size in (0.3, 0.4)],
        "hinged": [{"fan": fan} for fan in (0, 30, 60)],
    }.items()
    for index, fixed in enumerate(steps)
]


@pytest.mark.parametrize(("kind", "index", "fixed"), ALL)
def test_deformed_cylinders_are_closed_and_keep_their_elements(kind: str, index: int, fixed: dict) -> None:
    """TetMesh refuses inverted elements and slivers; shear keeps the volume, so does a fan."""
    parameters = random_truth(kind, fixed, [1, index]).axon.parameters
    mesh = deformed_cylinder(kind, parameters, *MESHES[0])
    assert mesh.surface.is_watertight
    assert len(mesh.points) > 2 * len(Tube(3, 41).section) * 41
    length = parameters.get("height", parameters.get("length"))
    swelling = 1 + parameters.get("amplitude", 0) ** 2 / 2 * (parameters.get("beads", 0) > 0)
    assert mesh.volume == pytest.approx(np.pi * parameters["radius"] ** 2 * length * swelling, rel=0.01)


@pytest.mark.parametrize(
    ("kind", "fixed"),
    [
        ("sheared", {"shear": 0.5, "twist": 0.5, "radius": 1.5, "length": 20.0}),
        ("rippled", {"beads": 5, "amplitude": 0.4, "radius": 1.0, "length": 24.0}),
        ("hinged", {"fan": 60.0, "fan_at": 0.4, "radius": 1.2, "length": 20.0}),
    ],
)
def test_the_prior_s_families_are_the_paper_s_shapes(kind: str, fixed: dict) -> None:
    axon = closed_axon(np.random.default_rng(2), kind, **fixed)
    basis, tube = SpectralBasis(bend=40, calibre=100, ellipse=2, slant=40), Tube(3, 161, 24)
    coefficients = torch.as_tensor(basis.coefficients(axon.fields, np.log(axon.length)))
    nodes = basis.vertices(coefficients, tube).numpy()
    surface = deformed_cylinder(kind, axon.parameters, *MESHES[0]).surface
    family = type(surface)(nodes, tube.boundary, process=True)
    assert chamfer_any_rotation(surface, family, samples=2000) < 0.02


def test_a_truth_is_the_same_for_the_same_seed() -> None:
    first, again, other = (random_truth("hinged", {}, [3, index]) for index in (0, 0, 1))
    np.testing.assert_array_equal(first.mesh.points, again.mesh.points)
    assert not np.allclose(first.rotation, other.rotation)


def test_the_tables_protocol_is_the_paper_s() -> None:
    ours, preset = protocol_of(table()[0]), Protocol.paper()
    for name in ("bvals", "bvecs", "delta", "Delta"):
        np.testing.assert_array_equal(getattr(ours, name), getattr(preset, name))


def test_extremes_and_every_ablation_are_among_the_cases() -> None:
    lines = [line for _, make in SECTIONS.values() for line in make()]
    found = list(cases(lines, 20, ["free", "50"]))
    assert len({case.key for case in found}) == len(found)
    in_table = [case for case in found if case.line.section == "table"]
    assert {case.fixed["beads"] for case in in_table if case.kind == "rippled"} == set(range(9))
    assert {"fan": 60.0} in [case.fixed for case in in_table]
    assert {line.directions for line in lines} == {3, 15, 30, 60}
    assert {len(line.times) for line in lines} == {1, 2, 3, 4}
