"""The simulator against signals that another toolbox published."""

from collections.abc import Iterator

import numpy as np
from misst import DIFFUSIVITY, RADIUS, SEPARATION, published

from checks import shapes
from checks.table import Options, Row
from napari_remidi.physics import simulate
from napari_remidi.scan import Protocol

BOUND = 3e-3


def rows(options: Options) -> Iterator[Row]:
    nodes = 1500 if options.quick else 5000
    for table in published():
        mesh = shapes.sphere(RADIUS, nodes) if table.shape == "sphere" else shapes.cylinder(RADIUS, 1.5, nodes)
        weighted = table.bvals > 1
        bvals = table.bvals[weighted]
        protocol = Protocol.pgse(bvals, np.tile([1.0, 0, 0], (len(bvals), 1)), table.delta, SEPARATION)
        signal = simulate(mesh, protocol, DIFFUSIVITY, device=str(options.device))
        difference = float(np.abs(signal - table.signal[weighted]).max())
        yield Row(f"{table}, b to 3000, R {RADIUS:g} µm, {len(mesh.points)} nodes", difference, at_most=BOUND)
