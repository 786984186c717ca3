"""Voxels one after another: what a cancelled run leaves."""

from dataclasses import replace

import numpy as np
import pytest

from napari_remidi.errors import Cancelled
from napari_remidi.results import batch
from napari_remidi.scan import Scan

VOXELS = [(0, 0, 0), (1, 0, 0), (2, 0, 0)]


@pytest.fixture
def scan(axon) -> Scan:
    return Scan.from_arrays(np.tile(100 * axon.measured, (3, 1, 1, 1)), np.eye(4), axon.protocol)


def run(scan, out, monkeypatch, reconstruct):
    monkeypatch.setattr(batch, "reconstruct", reconstruct)
    settings = {"prior": "axon", "noise_sd": 0.02, "device": "cpu"}
    return batch.reconstruct_voxels(scan, VOXELS, settings, {"scan": "made by hand"}, out, lambda title: lambda _: None)


def test_a_cancelled_voxel_is_written_and_no_other_begun(axon, scan, tmp_path, monkeypatch) -> None:
    ends = iter(("converged", "cancelled"))

    def reconstruct(*arguments, **options):
        return replace(axon, solution=replace(axon.solution, stop_reason=next(ends)))

    reports, failures = run(scan, tmp_path, monkeypatch, reconstruct)
    assert [report["stop_reason"] for report in reports] == ["converged", "cancelled"]
    assert not failures
    assert {path.stem for path in tmp_path.iterdir()} == {"voxel-0-0-0", "voxel-1-0-0"}


def test_a_run_cancelled_before_it_has_a_shape_ends_the_batch(axon, scan, tmp_path, monkeypatch) -> None:
    def reconstruct(*arguments, **options):
        raise Cancelled("cancelled before there was a shape; nothing was saved")

    with pytest.raises(Cancelled):
        run(scan, tmp_path, monkeypatch, reconstruct)
    assert not list(tmp_path.iterdir())
