"""Pulse timing from a BIDS sidecar."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_remidi.errors import ProtocolError, TimingError

Floats = NDArray[np.float64]
DELTA_KEYS = ("SmallDelta", "DiffusionGradientDuration")
SEPARATION_KEYS = ("BigDelta", "DiffusionGradientSeparation")


@dataclass(frozen=True, eq=False)
class RecordedTiming:
    """δ and Δ as a file records them, scalar or (M,) ms, None where it does not; and where they stand."""

    delta: Floats | None
    Delta: Floats | None
    source: str


def read_bids_timing(sidecar: Path, volumes: int) -> RecordedTiming:
    """`SmallDelta` and `BigDelta`, or `DiffusionGradientDuration` and `DiffusionGradientSeparation`.

    BIDS records seconds, one number or one for every volume (0 or null where b = 0).

    Raises
    ------
    ProtocolError
        For a file that is no JSON object.
    TimingError
        For values that are no numbers, of a wrong count, or in milliseconds.
    """
    try:
        record = json.loads(sidecar.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ProtocolError(f"{sidecar.name}: not a JSON file that can be read ({error})") from None
    if not isinstance(record, dict):
        raise ProtocolError(f"{sidecar.name}: a BIDS sidecar is a JSON object, this is a {type(record).__name__}")
    found = {name: next((key for key in keys if record.get(key) is not None), None) for name, keys in _KEYS.items()}
    delta, Delta = (
        None if key is None else _milliseconds(sidecar, key, record[key], volumes) for key in found.values()
    )
    return RecordedTiming(delta, Delta, f"{' and '.join(filter(None, found.values()))} in {sidecar.name}")


_KEYS = {"delta": DELTA_KEYS, "Delta": SEPARATION_KEYS}


def _milliseconds(sidecar: Path, key: str, value: Any, volumes: int) -> Floats:
    try:
        seconds = np.array(value, dtype=np.float64)
    except (TypeError, ValueError):
        raise TimingError(f"{sidecar.name}: {key} is {value!r}: it must be a number of seconds") from None
    if seconds.ndim > 1 or (seconds.ndim == 1 and len(seconds) != volumes):
        raise TimingError(f"{sidecar.name}: {key} has {seconds.size} values, but the image has {volumes} volumes")
    longest = np.nanmax(seconds, initial=0.0)
    if longest > 1:
        raise TimingError(
            f"{sidecar.name}: {key} is {longest:g}, which looks like milliseconds: "
            f"BIDS records seconds ({longest / 1000:g})"
        )
    return seconds * 1000
