"""The exact modes, and the simulator, against what another toolbox has published."""

import exact
import meshes
import numpy as np
import pytest
from misst import DIFFUSIVITY, OWN_ERROR, RADIUS, SEPARATION, Published, published

from napari_remidi.physics import simulate
from napari_remidi.scan import Protocol


@pytest.mark.parametrize("table", published(), ids=str)
def test_exact_modes_agree_with_the_tables(table: Published) -> None:
    truth = {"cylinder": exact.disk, "sphere": exact.sphere}[table.shape]
    difference = truth(RADIUS, table.bvals, table.delta, SEPARATION, DIFFUSIVITY) - table.signal
    assert np.abs(difference).max() < OWN_ERROR


@pytest.mark.parametrize("table", published(), ids=str)
def test_the_simulator_agrees_with_the_tables(table: Published) -> None:
    """To 3e-3: the tables' own error, as much again of the mesh's. A flat cylinder is as good as an endless one."""
    mesh = meshes.ball(12, RADIUS) if table.shape == "sphere" else meshes.cylinder(8, RADIUS, 1.0)
    weighted = table.bvals > 1
    bvals = table.bvals[weighted]
    protocol = Protocol.pgse(bvals, np.tile([1.0, 0, 0], (len(bvals), 1)), table.delta, SEPARATION)
    signal = simulate(mesh, protocol, DIFFUSIVITY, device="cpu")
    assert np.abs(signal - table.signal[weighted]).max() < 3e-3
