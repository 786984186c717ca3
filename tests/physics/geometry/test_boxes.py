"""A box is filled without gaps."""

import measures
import pytest

from napari_remidi.errors import MeshError
from napari_remidi.physics.geometry import box


def test_a_box_has_its_volume_and_surface() -> None:
    block = box((4.0, 2.0, 3.0), (4, 3, 2), name="extra")
    assert block.volume == pytest.approx(24)
    assert measures.area(block, block.boundary) == pytest.approx(2 * (8 + 12 + 6))
    assert block.names == ("extra",)
    assert len(block.points) == 5 * 4 * 3


@pytest.mark.parametrize(
    ("size", "cells", "message"),
    [
        ((1, 0, 1), (1, 1, 1), "1 cells over 0 µm along y: give a positive length and at least 1 cell"),
        ((1, 1, 1), (1, 1, 0), "0 cells over 1 µm along z: give a positive length and at least 1 cell"),
        ((1, 1), (1, 1, 1), "a box needs three lengths and three numbers of cells, not 2 and 3"),
    ],
)
def test_impossible_boxes_are_refused(size: tuple, cells: tuple, message: str) -> None:
    with pytest.raises(MeshError) as caught:
        box(size, cells)
    assert str(caught.value) == message
