"""Whatever is wrong with a file or a number, the window says so in one sentence and stays usable."""

import nibabel
import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Layer
from tests.ui.conftest import VOXEL, FakeEngine, make_scan

from napari_remidi.ui.layers import scan_layer
from napari_remidi.ui.session import TYPED
from napari_remidi.ui.status import Phase
from napari_remidi.ui.widget import AxonReconstruction

DIRECTIONS = np.vstack([np.zeros(3), np.eye(3), -np.eye(3)])


@pytest.fixture
def said(errors, monkeypatch):
    """Sentences the window shows, errors and warnings."""
    monkeypatch.setattr("napari.utils.notifications.show_warning", errors.append)
    return errors


@pytest.fixture
def widget(said, qtbot):
    widget = AxonReconstruction(ViewerModel(), engine=FakeEngine())
    qtbot.addWidget(widget)
    return widget


def write_scan(folder, shape=(4, 5, 2, 7), bvals=(0, *[1000] * 6), bvecs=DIRECTIONS, cut=False):
    path = folder / "dwi.nii.gz"
    values = np.random.default_rng(0).uniform(1, 2, shape).astype("float32")
    nibabel.save(nibabel.Nifti1Image(values, np.diag([2.0, 2, 2, 1])), path)
    if cut:
        path.write_bytes(path.read_bytes()[:700])
    np.savetxt(folder / "dwi.bval", [bvals], fmt="%d")
    if bvecs is not None:
        np.savetxt(folder / "dwi.bvec", np.asarray(bvecs).T)
    return path


def open_by_button(widget, path, monkeypatch):
    monkeypatch.setattr("napari_remidi.ui.source.QFileDialog.getOpenFileName", lambda *_: (str(path), ""))
    widget.form.open.native.click()


def is_usable(widget, qtbot):
    """Whether the phantom-like scan can still be opened, picked and reconstructed."""
    layer = widget.viewer.add_layer(Layer.create(*scan_layer(make_scan())))
    widget.form.scan.value = layer
    widget.pick(VOXEL)
    widget.readout.reconstruct.native.click()
    qtbot.waitUntil(lambda: widget.status.now.phase is Phase.DONE, timeout=10_000)
    return True


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        ({"bvecs": None}, "no .bvec file"),
        ({"bvals": (0, 1000, 1000)}, "3 entries, but the image has 7 volumes"),
        ({"bvecs": 2 * DIRECTIONS}, "not unit vectors"),
        ({"shape": (4, 5, 2)}, "the image is 3D"),
        ({"cut": True}, "dwi.nii.gz"),
        ({"bvals": [1000] * 7, "bvecs": np.vstack([DIRECTIONS[1], DIRECTIONS[1:]])}, "no b=0 volume"),
    ],
    ids=["missing bvec", "wrong count", "not unit", "3D file", "truncated", "no b0"],
)
def test_a_bad_file(widget, said, qtbot, tmp_path, monkeypatch, files, sentence):
    open_by_button(widget, write_scan(tmp_path, **files), monkeypatch)
    assert len(said) == 1
    assert sentence in said[0]
    assert is_usable(widget, qtbot)


@pytest.mark.parametrize(
    ("delta", "Delta", "sentence"),
    [(30.0, 20.0, "longer than Delta"), (0.01, 0.02, "looks like seconds")],
    ids=["delta above Delta", "seconds"],
)
def test_a_bad_timing(widget, said, qtbot, delta, Delta, sentence):
    widget.viewer.add_layer(Layer.create(*scan_layer(make_scan(delta=None, Delta=None))))
    widget.form.timing.value = next(t for t in widget.form.timing.choices if t is not None and t.label == TYPED)
    widget.form.delta.value, widget.form.Delta.value = delta, Delta
    assert widget.session.protocol is None
    assert sentence in said[-1]
    assert is_usable(widget, qtbot)


@pytest.mark.parametrize(("value", "sentence"), [(0.0, "zero"), (np.nan, "NaN")])
def test_a_voxel_without_a_signal(widget, said, qtbot, value, sentence):
    scan = make_scan()
    scan.data[1, 1, 1] = value
    widget.viewer.add_layer(Layer.create(*scan_layer(scan)))
    widget.pick((1, 1, 1))
    assert len(said) == 1
    assert sentence in said[0]
    assert not widget.readout.reconstruct.enabled
    assert is_usable(widget, qtbot)


def test_a_voxel_outside(widget, said, qtbot):
    widget.viewer.add_layer(Layer.create(*scan_layer(make_scan())))
    widget.pick((8, 0, 0))
    assert "outside" in said[0]
    assert is_usable(widget, qtbot)


def test_gradients_asked_for_without_an_image(widget, said, qtbot):
    widget.form.use_files.native.click()
    assert "open a 4D NIfTI image first" in said[0]
    assert is_usable(widget, qtbot)
