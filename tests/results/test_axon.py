"""An axon: what it says, what it is on disk, and its twin."""

import errno
import json
import os

import numpy as np
import pytest
import trimesh

from napari_remidi.errors import InputError, OutputError, PriorError
from napari_remidi.files import write_whole
from napari_remidi.physics import TetMesh, simulate
from napari_remidi.results import Axon, chamfer, draw_report
from napari_remidi.results.picture import Panel
from napari_remidi.shapes import Prior


@pytest.mark.parametrize("suffix", [".ply", ".stl", ".obj", ".glb"])
def test_a_saved_surface_is_the_surface(axon: Axon, tmp_path, suffix) -> None:
    axon.save(tmp_path / f"axon{suffix}")
    again = trimesh.load(tmp_path / f"axon{suffix}", force="mesh")
    assert len(again.faces) == len(axon.surface.faces)
    # OBJ keeps eight decimals, STL and GLB single precision
    assert again.area == pytest.approx(axon.surface.area, rel=1e-4)
    assert again.volume == pytest.approx(axon.surface.volume, rel=1e-4)


def test_a_ply_carries_the_error_bars(axon: Axon, tmp_path) -> None:
    axon.save(tmp_path / "axon.ply")
    again = trimesh.load(tmp_path / "axon.ply", process=False)
    held = again.metadata["_ply_raw"]["vertex"]["data"]["sd_um"]
    np.testing.assert_allclose(np.ravel(held), axon.surface_sd, rtol=1e-6)


def test_an_axon_reopens_as_it_was(axon: Axon, tmp_path) -> None:
    axon.save(tmp_path / "axon.npz")
    again = Axon.open(tmp_path / "axon.npz")
    np.testing.assert_array_equal(again.points, axon.points)
    np.testing.assert_array_equal(again.protocol.bvals, axon.protocol.bvals)
    assert again.report() == axon.report()
    assert again.surface.is_watertight


def test_the_report_is_plain_and_complete(axon: Axon, tmp_path) -> None:
    axon.save(tmp_path / "report.json")
    report = json.loads((tmp_path / "report.json").read_text())
    assert report == axon.report()
    promised = {
        "chamfer_um", "chi2_per_dof", "variance_explained", "seconds", "iterations", "stop_reason", "fractions",
        "radius_um", "parameters", "versions", "timing_source", "source", "quantities", "fit", "explained", "warning",
        "symmetry",
    }  # fmt: skip
    assert promised <= set(report)
    assert {"mean", "sd"} <= set(report["radius_um"])
    assert report["parameters"]["noise_sd"] == 0.02
    assert report["radius_um"]["mean"] == report["quantities"]["radius_mean"]["value"]
    assert report["explained"] is True
    assert report["warning"].startswith("all weighted measurements have one b-value")


def test_samples_are_surfaces_about_the_axon(axon: Axon) -> None:
    samples = axon.samples(4)
    assert len(samples) == 4
    assert all(sample.is_watertight and sample.volume > 0 for sample in samples)
    assert 0 < max(chamfer(sample, axon.surface) for sample in samples) < 1
    assert axon.samples(4, seed=1)[0].volume != samples[0].volume


def test_samples_of_another_prior_are_refused(axon: Axon) -> None:
    message = r"^prior 'axon-open' has \d+ latent dimensions, this axon \d+: give the prior that made it$"
    with pytest.raises(PriorError, match=message):
        axon.samples(prior=Prior.load("axon-open"))


def test_the_twin_has_the_same_signal(axon: Axon) -> None:
    twin = axon.twin()
    mesh = TetMesh(twin.points, twin.tetrahedra)  # and is a valid mesh
    signal = simulate(mesh, axon.protocol, 2.0, device="cpu")
    np.testing.assert_allclose(signal, axon.signal, atol=2e-4)
    assert twin.surface.volume == pytest.approx(axon.surface.volume)
    assert chamfer(twin.surface, axon.surface) < 0.02
    np.testing.assert_allclose(twin.twin().points, axon.points)


def test_an_unknown_ending_is_refused(axon: Axon, tmp_path) -> None:
    message = r"^axon\.vtk: unknown ending '\.vtk'; choose one of \.ply \.stl \.obj \.glb \.json \.npz$"
    with pytest.raises(OutputError, match=message):
        axon.save(tmp_path / "axon.vtk")


def test_a_full_disk_leaves_nothing_half_written(axon: Axon, tmp_path, monkeypatch) -> None:
    (tmp_path / "axon.ply").write_text("the file before")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    message = r"axon\.ply could not be written \(No space left on device\): choose another folder or free some space$"
    with pytest.raises(OutputError, match=message):
        axon.save(tmp_path / "axon.ply")
    assert [path.name for path in tmp_path.iterdir()] == ["axon.ply"]
    assert (tmp_path / "axon.ply").read_text() == "the file before"


def test_a_crash_while_writing_leaves_nothing(tmp_path) -> None:
    def crash(file) -> None:
        file.write(b"half")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_whole(tmp_path / "report.json", crash)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_no_axon_is_refused(tmp_path) -> None:
    (tmp_path / "no.npz").write_bytes(b"nothing")
    with pytest.raises(InputError, match=r"^no\.npz: not an axon saved by napari-remidi; give an \.npz file written"):
        Axon.open(tmp_path / "no.npz")
    with pytest.raises(InputError, match="no such file"):
        Axon.open(tmp_path / "missing.npz")


def test_the_picture_is_drawn(axon: Axon, tmp_path) -> None:
    draw_report(Panel(axon.with_truth(axon.surface), "by hand", truth=axon.surface), tmp_path / "picture.png")
    header = (tmp_path / "picture.png").read_bytes()[:8]
    assert header == b"\x89PNG\r\n\x1a\n"
