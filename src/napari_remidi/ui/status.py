"""Status: the one object that says what the window is doing; buttons, bar and message follow it."""

from dataclasses import dataclass
from enum import StrEnum

from psygnal import Signal


class Phase(StrEnum):
    """What a run is doing."""

    IDLE = "idle"
    RUNNING = "running"
    DONE = "done"
    STOPPED = "stopped"
    CRASHED = "crashed"


@dataclass(frozen=True)
class Status:
    """A moment of a run: its phase, a message for the user and the fraction done, 0 to 1."""

    phase: Phase
    message: str
    fraction: float = 0.0

    @property
    def running(self) -> bool:
        """Whether a reconstruction is under way."""
        return self.phase is Phase.RUNNING


class StatusModel:
    """Holds the present status and tells whoever listens when it changes."""

    changed = Signal(Status)

    def __init__(self, message: str = "") -> None:
        self.now = Status(Phase.IDLE, message)

    def idle(self, message: str) -> None:
        """Wait for the user; the message says for what. Ignored while running."""
        if not self.now.running:
            self._become(Status(Phase.IDLE, message))

    def running(self, message: str, fraction: float) -> None:
        """Report progress."""
        self._become(Status(Phase.RUNNING, message, min(max(fraction, 0.0), 1.0)))

    def done(self, message: str) -> None:
        """A run has ended with an axon."""
        self._become(Status(Phase.DONE, message, 1.0))

    def stopped(self, message: str) -> None:
        """The user has ended a run."""
        self._become(Status(Phase.STOPPED, message, self.now.fraction))

    def crashed(self, message: str) -> None:
        """A run, or a choice the user made, has failed; the message says why."""
        self._become(Status(Phase.CRASHED, message))

    def _become(self, status: Status) -> None:
        self.now = status
        self.changed.emit(status)
