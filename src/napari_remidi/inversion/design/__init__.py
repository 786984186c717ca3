"""What a protocol can see, before a scan: the error to expect of an axon's radius, length, bend and beads.

At a shape of the prior, in some orientation, the posterior's covariance (JᵀJ/σ² + prior)⁻¹ needs no data: the
Jacobian says how the signal would change. The derivatives of radius, length, bend and beads take it to their standard
deviations, and the prior's covariance to what one knows without measuring (Cramér-Rao bound with a prior: Van Trees
1968; for the design of diffusion protocols: Alexander, MRM 2008).

`steps` draws shapes and orientations -> `expected_errors` at each, of `quantities`, with and without every one of the
protocol's `parts` -> `report`, with what `cautions` has to say.
"""

from napari_remidi.inversion.design.report import ProtocolReport
from napari_remidi.inversion.design.steps import protocol_report, report_steps

__all__ = ["ProtocolReport", "protocol_report", "report_steps"]
