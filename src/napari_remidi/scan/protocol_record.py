"""A protocol as plain lists, and back."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_remidi.scan.waveform import Waveform

if TYPE_CHECKING:
    from napari_remidi.scan.protocol import Protocol

Floats = NDArray[np.float64]


def record_of(protocol: "Protocol") -> dict[str, Any]:
    """Plain lists, for a report; None where a number is unknown."""
    record = {
        "bvals": protocol.bvals.tolist(),
        "bvecs": protocol.bvecs.tolist(),
        "delta": _plain(protocol.delta),
        "Delta": _plain(protocol.Delta),
        "te": None if protocol.te is None else _plain(protocol.te),
        "timing_source": protocol.timing_source,
    }
    if protocol.waveforms is not None:
        record["waveforms"] = [None if wave is None else wave.to_dict() for wave in protocol.waveforms]
    return record


def protocol_of(record: dict[str, Any], kind: type["Protocol"]) -> "Protocol":
    """The protocol of a record."""
    source = record.get("timing_source", "given")
    waves = [None if wave is None else Waveform.from_dict(wave) for wave in record.get("waveforms") or ()]
    pulsed = np.array([wave is None for wave in waves] or [True] * len(record["bvals"]), dtype=bool)

    def known(name: str) -> Floats | None:
        return None if record.get(name) is None else np.array(record[name], dtype=np.float64)[pulsed]

    def of_pulses() -> "Protocol":
        b, g = (np.array(record[name], dtype=np.float64)[pulsed] for name in ("bvals", "bvecs"))
        return kind.pgse(b, g, known("delta"), known("Delta"), known("te"), source)

    turned = [wave for wave in waves if wave is not None]
    if not turned:
        return of_pulses()
    both = of_pulses() + kind.of_waveforms(turned) if pulsed.any() else kind.of_waveforms(turned)
    order = np.argsort(np.concatenate([np.flatnonzero(pulsed), np.flatnonzero(~pulsed)]))
    return replace(both.subset(order), timing_source=source)


def _plain(values: Floats) -> list[float | None]:
    return [None if np.isnan(value) else float(value) for value in values]
