"""What a protocol lacks for a reconstruction, in a sentence each."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from napari_remidi.scan.protocol import Protocol

SAME_B = 1.1  # ratio up to which b-values count as one, as in a shell
LEAST_SPREAD = 0.02  # of the largest singular value: directions within some degrees count as one


def lacking(protocol: "Protocol") -> Iterator[str]:
    """What the protocol lacks."""
    bvals = [shell.bval for shell in protocol.shells]
    if max(bvals) <= SAME_B * min(bvals):
        yield (
            f"all weighted measurements have one b-value, {np.mean(bvals):.0f} s/mm²: the result leans on the assumed "
            "diffusivity and on the prior; add a second b-value"
        )
    if (known := tensor_numbers(protocol.bvecs[~protocol.is_b0])) < 6:
        yield (
            f"the gradient directions determine {known} of the 6 numbers of a diffusion tensor: orientation and bend "
            "need all six; add directions"
        )
    if not protocol.is_b0.any():
        yield "the protocol has no b=0 measurement: S0 is taken as known exactly; add some"


def tensor_numbers(directions: NDArray[np.float64]) -> int:
    """How many of the six numbers of a diffusion tensor some directions determine, (M, 3)."""
    products = np.einsum("mi,mj->mij", directions, directions).reshape(-1, 9)
    spread = np.linalg.svd(products, compute_uv=False)
    return int((spread > LEAST_SPREAD * spread[0]).sum())
