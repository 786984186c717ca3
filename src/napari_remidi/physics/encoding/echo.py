"""Echo times: how long spins relax besides what the gradients do."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_remidi.errors import TimingError

if TYPE_CHECKING:
    from napari_remidi.scan import Protocol


def echo_times(protocol: "Protocol") -> NDArray[np.float64]:
    """TE of every measurement, (M,) ms; TimingError where one is unknown."""
    if protocol.te is None or np.isnan(protocol.te).any():
        known = 0 if protocol.te is None else int(np.isfinite(protocol.te).sum())
        raise TimingError(
            f"echo times are known for {known} of {len(protocol)} measurements, and relaxation needs all: "
            "give te, in ms"
        )
    return protocol.te


def encoding_times(protocol: "Protocol") -> NDArray[np.float64]:
    """From the first gradient to the end of the last, (M,) ms: Δ + δ, or a waveform's duration."""
    times = protocol.Delta + protocol.delta
    for row, waveform in enumerate(protocol.waveforms or ()):
        if waveform is not None:
            times[row] = waveform.duration
    return times


def free_time(protocol: "Protocol", echo: NDArray[np.float64]) -> NDArray[np.float64]:
    """TE less Δ + δ or a waveform's duration, (M,) ms, zero where no gradient acts.

    TimingError where the echo comes before the gradients end.
    """
    busy = np.where((protocol.q > 0) | protocol.is_waveform, encoding_times(protocol), echo)
    free = echo - busy
    if (early := free < -1e-6).any():
        row = int(np.flatnonzero(early)[0])
        what = "waveform ends at" if protocol.is_waveform[row] else "second pulse ends at Delta + delta ="
        raise TimingError(
            f"measurement {row} has its echo at {echo[row]:g} ms, before its {what} {busy[row]:g} ms: give a later te"
        )
    return free.clip(min=0)
