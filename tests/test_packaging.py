"""A wheel and an sdist, built and used outside this checkout."""

import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

from napari_remidi import Prior

ROOT = Path(__file__).parents[1]
NEEDED = ("napari.yaml", "py.typed", "shapes/weights/axon.safetensors", "shapes/weights/axon-open.safetensors")
CHECK = """
import napari_remidi, npe2, sys
from pathlib import Path
place = Path(napari_remidi.__file__).parent
assert str(place).startswith(sys.prefix), place
npe2.PluginManager.instance().discover()
manifest = npe2.PluginManager.instance().get_manifest("napari-remidi")
print(*(widget.display_name for widget in manifest.contributions.widgets), sep=", ")
from napari_remidi import Prior
print(Prior.load("axon").latent_dim, Prior.load("axon-open").latent_dim)
"""

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The sdist, and the wheel built from it."""
    out = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--outdir", str(out), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode and "No matching distribution found for setuptools" in done.stdout + done.stderr:
        pytest.skip("building needs setuptools from the package index, which cannot be reached")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return {"sdist": next(out.glob("*.tar.gz")), "wheel": next(out.glob("*.whl"))}


def test_the_wheel_holds_manifest_and_weights(built: dict[str, Path]) -> None:
    names = zipfile.ZipFile(built["wheel"]).namelist()
    assert {f"napari_remidi/{name}" for name in NEEDED} <= set(names)
    assert not [name for name in names if name.startswith(("tests", "docs", "benchmarks"))]


def test_the_sdist_holds_manifest_and_weights(built: dict[str, Path]) -> None:
    with tarfile.open(built["sdist"]) as archive:
        names = {name.split("/", 1)[-1] for name in archive.getnames()}
    assert {f"src/napari_remidi/{name}" for name in NEEDED} | {"LICENSE", "README.md"} <= names


@pytest.mark.parametrize("kind", ["wheel", "sdist"])
def test_it_works_in_a_fresh_environment(built: dict[str, Path], kind: str, tmp_path: Path) -> None:
    """Its dependencies are lent by the environment that runs the tests; the package itself is installed anew."""
    venv.create(tmp_path / "env", with_pip=False)  # this environment's pip installs in it, in seconds less
    python = tmp_path / "env" / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    pip = [sys.executable, "-m", "pip", "--python", str(python)]
    install = [*pip, "install", "--quiet", "--no-deps", str(built[kind])]
    subprocess.run(install, check=True, capture_output=True)
    lent = Path(pytest.__file__).parents[1]
    asked = "import sysconfig; print(sysconfig.get_path('purelib'))"
    site = subprocess.run([str(python), "-c", asked], check=True, capture_output=True, text=True).stdout.strip()
    (Path(site) / "lent.pth").write_text(f"{lent}\n")
    done = subprocess.run([str(python), "-c", CHECK], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stderr
    sizes = " ".join(str(Prior.load(name).latent_dim) for name in ("axon", "axon-open"))
    assert done.stdout.splitlines() == ["Axon reconstruction, Prior explorer, Protocol report", sizes]


def test_the_manifest_at_the_top_is_the_one_in_the_package() -> None:
    assert (ROOT / "napari.yaml").read_bytes() == (ROOT / "src" / "napari_remidi" / "napari.yaml").read_bytes()
