"""A first shape in a tenth of a second.

`examples` of the prior's axons, simulated for one protocol -> `training` of a `network` (signal -> hypotheses of latent
and rotation) and of a `surrogate` (latent -> signal), by which `preview` ranks the hypotheses.
"""

from napari_remidi.inversion.preview.preview import Guess, Preview

__all__ = ["Guess", "Preview"]
