"""A closed widget lets go of everything."""

import gc
import weakref

import pytest
from napari.components import ViewerModel
from napari.layers import Layer
from tests.ui.conftest import VOXEL, FakeEngine

from napari_remidi.ui.layers import scan_layer
from napari_remidi.ui.status import Phase
from napari_remidi.ui.widget import AxonReconstruction


@pytest.fixture
def viewer(scan):
    viewer = ViewerModel()
    viewer.add_layer(Layer.create(*scan_layer(scan)))
    return viewer


def callbacks(viewer):
    events = (
        viewer.events.theme,
        *(getattr(viewer.layers.events, name) for name in ("inserted", "removed", "renamed")),
    )
    return [len(event.callbacks) for event in events] + [len(viewer.mouse_drag_callbacks)]


def used_and_closed(viewer, qtbot):
    """Weak references to a widget that has made an axon and was closed, and to its parts."""
    widget = AxonReconstruction(viewer, engine=FakeEngine(steps=1))
    widget.pick(VOXEL)
    widget.reconstruct()
    qtbot.waitUntil(lambda: widget.status.now.phase is Phase.DONE, timeout=5000)
    widget.close()
    widget.deleteLater()
    return [weakref.ref(part) for part in (widget, widget.session, widget.microscope.model)]


def test_the_viewer_keeps_no_callback(viewer, qtbot):
    before = callbacks(viewer)
    widget = AxonReconstruction(viewer)
    assert callbacks(viewer) != before
    widget.close()
    assert callbacks(viewer) == before


def test_closing_stops_a_run(viewer, qtbot):
    engine = FakeEngine(steps=500, pause=0.02)
    widget = AxonReconstruction(viewer, engine=engine)
    widget.pick(VOXEL)
    widget.reconstruct()
    qtbot.waitUntil(lambda: engine.stepped > 1, timeout=5000)
    widget.close()
    qtbot.wait(100)
    stepped = engine.stepped
    qtbot.wait(200)
    assert engine.stepped == stepped


def test_a_closed_widget_is_freed(viewer, qtbot):
    alive = used_and_closed(viewer, qtbot)
    qtbot.wait(100)
    gc.collect()
    assert [part() for part in alive] == [None, None, None]
