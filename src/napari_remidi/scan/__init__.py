"""What was measured: files -> `Scan` (a 4D volume) with its `Protocol` -> one voxel's S/S0 and its noise.

`image` reads the volume and turns it to canonical order; `readers` finds the files with its gradients, `gradients` and
`bids` read them, `orientation` takes directions to world axes, `timing` holds presets and unit checks; `shells` groups
measurements, `waveform` holds gradients of any form, `normalisation` forms S/S0, `tensor` gives a voxel's principal
direction, `smooth` its noise, `lacking` what the protocol lacks, `asymmetry` whether it may be a straight axon's.

>>> import numpy as np
>>> protocol = Protocol.pgse([0, 1000, 1000], [[0, 0, 0], [1, 0, 0], [0, 0, 1]], delta=10.6, Delta=43.1)
>>> scan = Scan.from_arrays(np.array([100.0, 40.0, 20.0]).reshape(1, 1, 1, 3), np.eye(4), protocol)
>>> scan.voxel(0, 0, 0)
array([1. , 0.4, 0.2])
"""

from napari_remidi.scan.protocol import Protocol, spread_directions
from napari_remidi.scan.readers import open_protocol
from napari_remidi.scan.scan import Scan
from napari_remidi.scan.shells import Shell
from napari_remidi.scan.smooth import noise_of
from napari_remidi.scan.tensor import principal_direction
from napari_remidi.scan.timing import PRESETS, Timing
from napari_remidi.scan.waveform import Waveform

__all__ = [
    "PRESETS",
    "Protocol",
    "Scan",
    "Shell",
    "Timing",
    "Waveform",
    "noise_of",
    "open_protocol",
    "principal_direction",
    "spread_directions",
]
