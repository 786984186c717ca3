"""T2: one for all is a factor, and compartments without exchange add up."""

from collections.abc import Iterator

import numpy as np
from layered_meshes import stack

from checks.permeability import ECHO, largest, layered_protocol, signal
from checks.table import Options, Row
from napari_remidi.physics import TetMesh
from napari_remidi.physics.substrate import Compartment, Substrate

BOUND = 1e-8


def rows(options: Options) -> Iterator[Row]:
    protocol, mesh = layered_protocol([0.6, 0, 0.8]), stack([5, 5], [3.0, 4.0])
    wall = {("0", "1"): 0.05}
    parts = {"0": Compartment(1.0, 70.0), "1": Compartment(2.0, 70.0)}
    still = {"0": Compartment(1.0), "1": Compartment(2.0)}
    relaxed = signal(Substrate(mesh, parts, wall), protocol, options)
    expected = np.exp(-ECHO / 70.0) * signal(Substrate(mesh, still, wall), protocol, options)
    yield Row("uniform T2 is exp(−TE/T2), across a permeable wall", largest(relaxed, expected), at_most=BOUND)

    apart = {"0": Compartment(1.0, 40.0, 0.7), "1": Compartment(2.0, 90.0)}
    together, alone, amounts = signal(Substrate(mesh, apart), protocol, options), [], []
    for label, name in enumerate(mesh.names):
        used, tets = np.unique(mesh.tetrahedra[mesh.labels == label], return_inverse=True)
        cell = TetMesh(mesh.points[used], tets.reshape(-1, 4))
        alone.append(signal(Substrate(cell, apart[name]), protocol, options))
        amounts.append(cell.volume * apart[name].density)
    expected = np.average(alone, axis=0, weights=amounts)
    yield Row("two compartments without exchange are their sum", largest(together, expected), at_most=BOUND)
