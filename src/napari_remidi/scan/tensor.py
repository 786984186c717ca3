"""The diffusion tensor of one voxel, by dipy."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    from napari_remidi.scan.protocol import Protocol

HIGHEST_B = 3000.0  # s/mm², beyond which a tensor says little
FEWEST = 7  # measurements a tensor needs


def principal_direction(signal: ArrayLike, protocol: "Protocol") -> NDArray[np.float64]:
    """Direction of fastest diffusion, (3,) unit, world axes, from the measurements up to b = 3000 s/mm².

    Where there are too few of them the weakest shells are used.
    """
    from dipy.core.gradients import gradient_table
    from dipy.reconst.dti import TensorModel

    values = np.asarray(signal, dtype=np.float64)
    weighted = ~protocol.is_b0
    limit = HIGHEST_B
    if (weighted & (protocol.bvals <= limit)).sum() < FEWEST:
        limit = float(np.sort(protocol.bvals[weighted])[min(FEWEST, int(weighted.sum())) - 1])
    used = protocol.is_b0 | (protocol.bvals <= limit * 1.01)
    table = gradient_table(
        np.where(protocol.is_b0, 0, protocol.bvals)[used], bvecs=protocol.bvecs[used], b0_threshold=0
    )
    fit = TensorModel(table, min_signal=1e-3).fit(np.maximum(values[used], 1e-3))
    return np.asarray(fit.evecs[:, 0], dtype=np.float64)
