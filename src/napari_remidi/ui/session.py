"""Session: what the user has chosen so far, without Qt: a scan, its timing, a voxel, and the axon found there."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from psygnal import Signal

from napari_remidi.errors import InputError, TimingError
from napari_remidi.scan import PRESETS, Protocol, Scan
from napari_remidi.ui.layers import Voxel
from napari_remidi.ui.shape import Shape

if TYPE_CHECKING:
    from napari_remidi.results import Axon

TYPED = "typed"
MISSING = "missing: choose"
NO_SCAN = "No scan is chosen: open one, or File > Open Sample > napari-remidi > Phantom"


@dataclass(frozen=True)
class Timing:
    """A choice of pulse timing, ms; None means that the scan's own timing stays."""

    label: str
    delta: float | None = None
    Delta: float | None = None


@dataclass(frozen=True, eq=False)
class Request:
    """All that a reconstruction needs.

    Parameters
    ----------
    signal : (M,) float, S/S0
    protocol : Protocol of the M measurements
    settings : keyword arguments of the engine
    truth : the voxel's true surface where the scan knows it (µm, world axes)
    """

    scan: Scan
    voxel: Voxel
    signal: NDArray[np.float64]
    protocol: Protocol
    settings: Mapping[str, Any]
    truth: Shape | None

    @property
    def source(self) -> dict[str, Any]:
        """Where the signal came from, for the report."""
        path = None if self.scan.path is None else str(self.scan.path)
        return {"scan": self.scan.name, "path": path, "voxel": list(self.voxel)}


class Session:
    """The Qt-free model behind the window. Every change is announced by a signal."""

    scan_changed = Signal()
    timing_changed = Signal()
    voxel_changed = Signal()
    axon_changed = Signal()

    def __init__(self) -> None:
        self.scan: Scan | None = None
        self.protocol: Protocol | None = None
        self.voxel: Voxel | None = None
        self.signal: NDArray[np.float64] | None = None
        self.axon: Axon | None = None
        self.axon_voxel: Voxel | None = None

    def use_scan(self, scan: Scan | None) -> None:
        """Work on another scan: the voxel and the axon of the last one are forgotten."""
        if scan is self.scan:
            return
        self.scan = scan
        self.protocol = None if scan is None else scan.protocol
        self.voxel = self.signal = None
        self.scan_changed.emit()
        self.timing_changed.emit()
        self.voxel_changed.emit()
        self.keep(None)

    def use_timing(self, timing: Timing) -> None:
        """Take the pulse timing the user chose, or the scan's own.

        Raises
        ------
        TimingError
            Values that contradict themselves or look like seconds.
        """
        if self.scan is None:
            return
        self.protocol = None
        try:
            own = self.scan.protocol
            if timing.delta is None or timing.Delta is None:
                self.protocol = own
            else:
                self.protocol = own.with_timing(timing.delta, timing.Delta, source=timing.label)
        finally:
            self.timing_changed.emit()

    def pick(self, voxel: Voxel) -> None:
        """Read a voxel's signal.

        Raises
        ------
        ScanError
            Outside the scan, or nothing usable there: the last pick stays.
        """
        if self.scan is None:
            raise InputError(NO_SCAN)
        self.signal = self.scan.voxel(*voxel)
        self.voxel = voxel
        self.voxel_changed.emit()

    def keep(self, axon: "Axon | None", voxel: Voxel | None = None) -> None:
        """Remember the axon that was found, and where."""
        self.axon, self.axon_voxel = axon, voxel
        self.axon_changed.emit()

    @property
    def ready(self) -> bool:
        """Whether there is a voxel to reconstruct."""
        return self.signal is not None

    @property
    def timing_source(self) -> str:
        """Where δ and Δ come from, for the user to see."""
        return self.protocol.timing_source if self.protocol is not None and self.protocol.has_timing else MISSING

    @property
    def truth(self) -> Shape | None:
        """The true surface in the picked voxel, where the scan knows it."""
        known = [] if self.scan is None else self.scan.metadata.get("truth", [])
        for entry in known:
            if tuple(entry["voxel"]) == self.voxel:
                return Shape(np.asarray(entry["points"], float), np.asarray(entry["faces"]))
        return None

    def request(self, settings: Mapping[str, Any]) -> Request:
        """What to reconstruct now.

        Raises
        ------
        InputError
            No voxel is picked.
        TimingError
            δ or Δ is unknown.
        """
        if self.scan is None or self.voxel is None or self.signal is None:
            raise InputError("No voxel is picked: click one in the scan's image")
        protocol = self.timed_protocol()
        noise = self.scan.noise_sd(*self.voxel)
        return Request(self.scan, self.voxel, self.signal, protocol, {**settings, "noise_sd": noise}, self.truth)

    def timed_protocol(self) -> Protocol:
        """The scan's protocol, with the timing the user chose.

        Raises
        ------
        InputError
            No scan is chosen.
        TimingError
            δ or Δ is unknown.
        """
        if self.scan is None:
            raise InputError(NO_SCAN)
        if self.protocol is None:
            raise TimingError("δ and Δ are not usable as typed: correct them in ms, or choose a preset")
        self.protocol.require_timing()
        return self.protocol


def timings(scan: Scan | None) -> tuple[Timing, ...]:
    """The timings a user can choose for a scan: its own where it has one, the presets, or typed values."""
    own = (Timing("from the scan"),) if scan is not None and scan.protocol.has_timing else ()
    return (
        *own,
        *(
            Timing(f"preset {preset.name} {preset.delta:g}/{Delta:g}", preset.delta, Delta)
            for preset in PRESETS.values()
            for Delta in preset.Delta
        ),
        Timing(TYPED),
    )
