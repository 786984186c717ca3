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


@pytest.mark.parametrize("module", ["widget", "explorer", "protocol_report", "reader", "writer", "sample", "demo"])
def test_opening_the_window_does_not_wait_for_pytorch(module):
    code = f"import sys, napari_remidi.ui.{module}; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("module", ["reader", "writer", "sample"])
def test_reading_and_writing_need_no_qt(module):
    code = f"import sys, napari_remidi.ui.{module}; assert not any('PyQt' in m or 'PySide' in m for m in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
