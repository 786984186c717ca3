"""A tight wrap has even thickness, shares the mesh's surface, and is refused where it would fold."""

import measures
import numpy as np
import pytest

from napari_remidi.errors import MeshError
from napari_remidi.physics import TetMesh
from napari_remidi.physics.geometry import box, cylinder, myelinated_cylinder, separate, sphere, tight_wrap


def test_the_mesh_inside_is_kept_and_its_surface_shared() -> None:
    axon = myelinated_cylinder(1, 1.4, 5, 800)
    wrapped = tight_wrap(axon, 0.2)
    assert wrapped.names == ("axon", "myelin", "extra")
    np.testing.assert_array_equal(wrapped.points[: len(axon.points)], axon.points)
    np.testing.assert_array_equal(wrapped.tetrahedra[: len(axon.tetrahedra)], axon.tetrahedra)
    walls = [measures.interface(wrapped, name, "extra") for name in ("axon", "myelin")]
    assert sum(map(len, walls)) == len(axon.boundary)
    assert wrapped.surface.is_watertight


def test_flat_faces_move_by_the_thickness_exactly() -> None:
    wrapped = tight_wrap(box((2, 3, 4), (2, 3, 4)), 0.25, layers=3)
    np.testing.assert_allclose(np.ptp(wrapped.points, axis=0), [2.5, 3.5, 4.5], rtol=1e-12)
    assert wrapped.volume == pytest.approx(2.5 * 3.5 * 4.5)


def test_a_wrapped_ball_is_a_larger_ball() -> None:
    ball = sphere(3, 1500)
    wrapped = tight_wrap(ball, 0.3)
    # a polyhedron of the ball's volume has more surface, by about half the square of the angle its sides of 0.16 R span
    assert measures.volume_of(wrapped, "extra") == pytest.approx(4 / 3 * np.pi * (3.3**3 - 27), rel=0.16**2 / 2)
    assert measures.shapes(wrapped).min() > 0.3


def test_separate_axons_can_be_wrapped_each() -> None:
    axon = cylinder(1, 4, 300)
    wrapped = tight_wrap(separate(axon, measures.moved(axon, (2.5, 0, 0))), 0.2)
    assert wrapped.names == ("cell 0", "cell 1", "extra")


def test_a_wrap_that_runs_into_a_neighbour_is_refused() -> None:
    block = box((1, 1, 1), (1, 1, 1))
    two = separate(block, measures.moved(block, (1.5, 0, 0)))
    assert tight_wrap(two, 0.24).volume > two.volume
    with pytest.raises(MeshError) as caught:
        tight_wrap(two, 0.4)
    assert str(caught.value) == (
        "a layer of 0.4 µm runs into itself or the mesh at 4 of 112 points of its outer surface (the first at "
        "(1.40, 0.80, 0.20) µm): make the layer thinner"
    )


def test_a_wrap_that_folds_is_refused() -> None:
    with pytest.raises(MeshError) as caught:
        tight_wrap(notched(), 1.5)
    assert "of a layer of 1.5 µm fold over (the first at (" in str(caught.value)
    assert str(caught.value).endswith("µm): make the layer thinner or smooth the surface there")


def notched() -> TetMesh:
    """A block with a groove 1 µm wide along y."""
    block = box((3, 1, 2), (6, 2, 4))
    x, _, z = block.points[block.tetrahedra].mean(axis=1).T
    kept = block.tetrahedra[~((x > 1) & (x < 2) & (z > 1))]
    used, tetrahedra = np.unique(kept, return_inverse=True)
    return TetMesh(block.points[used], tetrahedra.reshape(-1, 4))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"thickness": 0.0}, "2 layers over 0 µm make no wrap; give at least 1 and a positive thickness"),
        (
            {"thickness": 0.1, "layers": 0},
            "0 layers over 0.1 µm make no wrap; give at least 1 and a positive thickness",
        ),
        (
            {"thickness": 0.1, "name": "cell"},
            "the mesh has a compartment 'cell' already; give the wrap another name",
        ),
    ],
)
def test_impossible_wraps_are_refused(arguments: dict, message: str) -> None:
    with pytest.raises(MeshError) as caught:
        tight_wrap(box((1, 1, 1), (1, 1, 1)), **arguments)
    assert str(caught.value) == message
