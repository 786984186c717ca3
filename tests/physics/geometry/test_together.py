"""Meshes side by side keep their volumes and names, and may not overlap."""

import measures
import pytest

from napari_remidi.errors import MeshError
from napari_remidi.physics.geometry import box, cylinder, myelinated_cylinder, separate, sphere


def test_meshes_side_by_side_keep_their_volumes() -> None:
    axon, soma = myelinated_cylinder(1, 1.4, 5, 300), measures.moved(sphere(2, 300, "soma"), (4, 0, 0))
    both = separate(axon, soma)
    assert both.names == ("axon", "myelin", "soma")
    assert measures.volume_of(both, "soma") == pytest.approx(soma.volume)
    assert both.volume == pytest.approx(axon.volume + soma.volume)
    assert len(both.points) == len(axon.points) + len(soma.points)


def test_names_in_use_twice_are_numbered() -> None:
    first, second = myelinated_cylinder(1, 1.4, 5, 300), cylinder(1, 5, 300, "axon")
    both = separate(first, measures.moved(second, (3, 0, 0)))
    assert both.names == ("axon 0", "myelin", "axon 1")


def test_touching_is_allowed() -> None:
    block = box((1, 1, 1), (1, 1, 1))
    assert separate(block, measures.moved(block, (1, 0, 0))).volume == pytest.approx(2)


def test_round_meshes_may_stand_closer_than_their_bounding_boxes() -> None:
    ball = sphere(1, 300)
    assert separate(ball, measures.moved(ball, (1.5, 1.5, 0))).volume == pytest.approx(2 * ball.volume)


def test_overlapping_meshes_are_refused() -> None:
    block = box((2, 2, 2), (1, 1, 1))
    with pytest.raises(MeshError) as caught:
        separate(block, measures.moved(block, (9, 9, 9)), measures.moved(block, (1.9, 0, 0)))
    assert str(caught.value) == "meshes 0 and 2 overlap, for example at (2.00, 1.33, 0.67) µm: move them apart"
    with pytest.raises(MeshError, match="no meshes to put side by side; give at least one"):
        separate()
