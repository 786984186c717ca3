"""What was measured: files -> `Scan` (a 4D volume) with its `Protocol` -> one voxel's S/S0 and its noise.

`readers` find and read gradients and timing, `timing` holds presets and unit checks, `orientation` takes b-vectors to
world axes, `tensor` gives a voxel's principal direction.
"""

from napari_remidi.scan.protocol import Protocol, Shell, spread_directions
from napari_remidi.scan.scan import Scan
from napari_remidi.scan.tensor import principal_direction
from napari_remidi.scan.timing import PRESETS, Timing

__all__ = ["PRESETS", "Protocol", "Scan", "Shell", "Timing", "principal_direction", "spread_directions"]
