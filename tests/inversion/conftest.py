"""A protocol small enough for seconds, and a signal whose axon is known."""

import numpy as np
import pytest

from napari_remidi.scan import Protocol, spread_directions


@pytest.fixture(scope="session")
def protocol() -> Protocol:
    """Two timings, four shells of 20 directions, four b = 0 each."""
    directions = spread_directions(20)
    shells = (1000.0, 3000.0, 6000.0, 10000.0)
    bvals = np.concatenate([np.zeros(4), np.repeat(shells, 20)])
    bvecs = np.concatenate([np.zeros((4, 3)), np.tile(directions, (4, 1))])
    return Protocol.pgse(np.tile(bvals, 2), np.tile(bvecs, (2, 1)), 5.0, np.repeat([10.0, 50.0], len(bvals)))
