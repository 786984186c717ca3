"""Scans come in, surfaces go out."""

import nibabel
import numpy as np
import pytest
import trimesh
from napari.layers import Layer
from tests.ui.conftest import VOXEL, tube

from napari_remidi.errors import OutputError
from napari_remidi.ui.layers import axon_in_scan, nifti_of, scan_of
from napari_remidi.ui.reader import scan_reader
from napari_remidi.ui.shape import Shape
from napari_remidi.ui.writer import write_surface


def save_image(path, shape):
    rng = np.random.default_rng(0)
    nibabel.save(nibabel.Nifti1Image(rng.uniform(1, 2, shape).astype("float32"), np.diag([2.0, 2, 2, 1])), path)
    return str(path)


@pytest.fixture
def dwi(tmp_path):
    path = save_image(tmp_path / "dwi.nii.gz", (4, 5, 2, 7))
    directions = np.vstack([np.zeros(3), np.eye(3), -np.eye(3)])
    np.savetxt(tmp_path / "dwi.bval", [[0, *[1000] * 6]], fmt="%d")
    np.savetxt(tmp_path / "dwi.bvec", directions.T)
    return path


def test_a_diffusion_scan_becomes_a_layer_that_carries_it(dwi):
    (made,) = scan_reader(dwi)(dwi)
    layer = Layer.create(*made)
    assert layer.data.shape == (7, 2, 5, 4)
    assert len(scan_of(layer).protocol) == 7


def test_a_3d_image_is_left_to_other_readers(tmp_path):
    assert scan_reader(save_image(tmp_path / "t1.nii.gz", (4, 5, 2))) is None


@pytest.mark.parametrize("path", ["picture.png", ["a.nii", "b.nii"]])
def test_other_files_are_left_to_other_readers(path):
    assert scan_reader(path) is None


def test_without_gradients_the_image_opens_and_the_file_is_remembered(tmp_path, monkeypatch):
    warned = []
    monkeypatch.setattr("napari.utils.notifications.show_warning", warned.append)
    path = save_image(tmp_path / "dwi.nii.gz", (4, 5, 2, 7))
    (made,) = scan_reader(path)(path)
    layer = Layer.create(*made)
    assert scan_of(layer) is None
    assert nifti_of(layer) == path
    assert "choose them in Axon reconstruction" in warned[0]


@pytest.mark.parametrize("ending", [".ply", ".stl", ".obj", ".glb"])
def test_an_axon_is_written_in_micrometres_whatever_its_magnification(tmp_path, scan, ending):
    points, faces = tube()
    layer = Layer.create(*axon_in_scan(scan, VOXEL, Shape(points, faces)))
    path = str(tmp_path / f"axon{ending}")
    data, meta, _ = layer.as_layer_data_tuple()
    assert write_surface(path, data, meta) == [path]
    mesh = trimesh.load(path, force="mesh")
    np.testing.assert_allclose(mesh.bounds, [points.min(axis=0), points.max(axis=0)], rtol=1e-5)
    assert mesh.volume > 0


def test_any_surface_is_written_as_the_window_shows_it(tmp_path):
    box = trimesh.creation.box()
    layer = Layer.create((box.vertices[:, ::-1], box.faces[:, ::-1]), {"scale": (3, 2, 1)}, "surface")
    data, meta, _ = layer.as_layer_data_tuple()
    (path,) = write_surface(str(tmp_path / "box.ply"), data, meta)
    mesh = trimesh.load(path)
    np.testing.assert_allclose(mesh.extents, [1, 2, 3])
    assert mesh.volume == pytest.approx(6)


def test_an_unwritable_place_is_named(tmp_path):
    points, faces = tube()
    with pytest.raises(OutputError, match=r"a\.ply cannot be written to"):
        write_surface(str(tmp_path / "nowhere" / "a.ply"), (points, faces), {})
