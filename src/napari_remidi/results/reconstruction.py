"""One call from a signal to an axon."""

from collections.abc import Callable, Generator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_remidi.errors import Cancelled, InputError
from napari_remidi.inversion import Inverter, Iterate, Settings
from napari_remidi.results.axon import Axon
from napari_remidi.scan import Protocol
from napari_remidi.shapes import Prior


def reconstruct(
    signal: ArrayLike,
    protocol: Protocol,
    prior: Prior | str = "axon",
    noise_sd: float | None = None,
    device: str = "auto",
    progress: Callable[[Iterate], bool | None] | None = None,
    inverter: Inverter | None = None,
    source: dict[str, Any] | None = None,
    **settings: Any,
) -> Axon:
    """Reconstruct the axon behind a voxel's signal.

    Parameters
    ----------
    signal : (M,) S/S0
    protocol : Protocol with timing
    prior : a shipped name ("axon", "axon-open"), a path, or a Prior
    noise_sd : of S/S0; None: estimated from the residual
    device : "auto", "cuda", "mps" or "cpu"
    progress : called with every iterate; returning False cancels: the axon is then the best so far, marked as such
    inverter : made by `inverter_for`, to share its preparation between voxels; then prior and settings are its own
    source : where the signal came from, for the report
    **settings : other fields of `Settings`

    Raises
    ------
    InputError
        For a signal or a setting that cannot be used.
    Cancelled
        Where `progress` returned False before there was a shape.
    """
    steps = reconstruct_steps(signal, protocol, prior, noise_sd, device, inverter, source, **settings)
    while True:
        try:
            iterate = next(steps)
        except StopIteration as end:
            axon: Axon = end.value
            return axon
        if progress is not None and progress(iterate) is False:
            return best_so_far(steps)


def reconstruct_steps(
    signal: ArrayLike,
    protocol: Protocol,
    prior: Prior | str = "axon",
    noise_sd: float | None = None,
    device: str = "auto",
    inverter: Inverter | None = None,
    source: dict[str, Any] | None = None,
    **settings: Any,
) -> Generator[Iterate, None, Axon]:
    """The same step by step: yields every iterate, returns the axon; closing the generator cancels, and so does
    `best_so_far`.
    """
    values = checked_signal(signal, protocol)
    engine = inverter or inverter_for(protocol, prior, noise_sd=noise_sd, device=device, **settings)
    solution = yield from engine.run(values)
    return Axon.from_solution(solution, values, protocol, source)


def best_so_far(steps: Generator[Iterate, None, Axon]) -> Axon:
    """End a run where it stands: its best axon so far, with the stop reason "cancelled".

    Raises
    ------
    Cancelled
        Where it has no shape yet.
    """
    try:
        steps.throw(Cancelled("cancelled before there was a shape; nothing was saved"))
    except StopIteration as end:
        axon: Axon = end.value
        return axon
    raise RuntimeError("a run went on after it was cancelled")


def inverter_for(protocol: Protocol, prior: Prior | str = "axon", **settings: Any) -> Inverter:
    """An `Inverter` for many voxels of one protocol; settings are fields of `Settings`."""
    loaded = prior if isinstance(prior, Prior) else Prior.load(prior)
    name = prior if isinstance(prior, str) else prior.name
    return Inverter(protocol, loaded, Settings.from_dict({"prior": str(name), **settings}))


def checked_signal(signal: ArrayLike, protocol: Protocol) -> NDArray[np.float64]:
    """The signal as (M,) float64; InputError where it cannot be one of this protocol."""
    values = np.asarray(signal, dtype=np.float64)
    if values.shape != (len(protocol),):
        raise InputError(
            f"the signal has shape {values.shape}, the protocol {len(protocol)} measurements: give one value for each"
        )
    if bad := int((~np.isfinite(values)).sum()):
        raise InputError(f"{bad} of {len(values)} values of the signal are NaN or infinite; choose another voxel")
    if (values < 0).any():
        raise InputError(
            f"{int((values < 0).sum())} of {len(values)} values of the signal are negative; give magnitudes, S/S0"
        )
    if values.max() > 5:
        raise InputError(f"the signal reaches {values.max():.3g}; give S/S0, which is near one without a gradient")
    return values
