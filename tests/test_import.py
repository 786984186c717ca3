"""What importing costs, and which room may know which."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import napari_remidi

SOURCE = Path(napari_remidi.__file__).parent
ROOMS = ("scan", "physics", "shapes", "inversion", "results")
HEAVY = ("torch", "napari", "qtpy", "scipy", "nibabel", "dipy", "matplotlib", "trimesh", "magicgui")


@pytest.mark.parametrize("module", ["napari_remidi", "napari_remidi.cli"])
def test_importing_pulls_in_nothing_heavy(module: str) -> None:
    code = f"import sys, {module}; print(*(name for name in {HEAVY} if name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_every_public_name_can_be_had() -> None:
    for name in napari_remidi.__all__:
        assert getattr(napari_remidi, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'axons'"):
        napari_remidi.axons  # noqa: B018


def imported(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


def test_only_the_ui_knows_napari_and_qt() -> None:
    for path in SOURCE.rglob("*.py"):
        if path.parent.name != "ui":
            known = {name.split(".")[0] for name in imported(path)}
            assert not known & {"napari", "qtpy", "magicgui", "superqt", "vispy"}, path


def test_no_file_names_a_qt_binding() -> None:
    for path in SOURCE.rglob("*.py"):
        assert not {name.split(".")[0] for name in imported(path)} & {"PyQt6", "PyQt5", "PySide6"}, path


def test_the_physics_can_be_used_alone() -> None:
    for path in (SOURCE / "physics").rglob("*.py"):
        for name in imported(path):
            assert not name.startswith(tuple(f"napari_remidi.{room}" for room in ROOMS[2:])), (path, name)


def test_data_flows_one_way() -> None:
    for index, room in enumerate(ROOMS):
        later = tuple(f"napari_remidi.{name}" for name in (*ROOMS[index + 1 :], "ui", "cli"))
        for path in (SOURCE / room).rglob("*.py"):
            wrong = {name for name in imported(path) if name.startswith(later)}
            assert not wrong, (path, wrong)
