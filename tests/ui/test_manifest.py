"""napari finds the plugin: the manifest is valid and every name in it can be imported."""

import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
from npe2 import PluginManifest

import napari_remidi

MANIFEST = PluginManifest.from_file(Path(napari_remidi.__file__).with_name("napari.yaml"))


def test_the_manifest_is_valid_and_names_the_package():
    assert MANIFEST.name == "napari-remidi"
    MANIFEST.validate_imports()


@pytest.mark.parametrize("command", MANIFEST.contributions.commands, ids=lambda command: command.id)
def test_every_command_can_be_imported(command):
    module, name = command.python_name.split(":")
    assert callable(getattr(import_module(module), name))


def test_surfaces_are_written_in_four_formats_and_scans_read_in_two():
    assert MANIFEST.contributions.writers[0].filename_extensions == [".ply", ".stl", ".obj", ".glb"]
    assert MANIFEST.contributions.readers[0].filename_patterns == ["*.nii", "*.nii.gz"]


FROM_FILES = ("reader", "writer", "sample")
IMPORT = """
import sys
from importlib import import_module
for name in {modules}:
    import_module("napari_remidi.ui." + name)
    found = [module for module in sys.modules if module.startswith({unwanted})]
    assert not found, (name, found)
"""


@pytest.mark.parametrize(
    ("modules", "unwanted"),
    [
        ((*FROM_FILES, "demo", "widget", "explorer", "protocol_report"), ("torch",)),
        (FROM_FILES, ("PyQt", "PySide")),
    ],
    ids=["opening the window does not wait for PyTorch", "reading and writing need no Qt"],
)
def test_what_need_not_be_imported_is_not(modules, unwanted):
    """In one process, which would show what any of the modules brings in."""
    subprocess.run([sys.executable, "-c", IMPORT.format(modules=modules, unwanted=unwanted)], check=True)
