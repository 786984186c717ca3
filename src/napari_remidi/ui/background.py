"""Background: at most one generator at a time in a worker's thread, its errors as sentences."""

import logging
from collections.abc import Callable, Generator
from dataclasses import dataclass
from threading import Event
from typing import Any

from napari.qt.threading import create_worker

from napari_remidi.errors import Cancelled, RemidiError


@dataclass(frozen=True)
class Failure:
    """Why a run gave no result, in a sentence for the user."""

    message: str


class Stopped:
    """A run that stopped when it was asked to, and has nothing to show."""


def answered(what: str, generator: Generator[Any, None, Any]) -> Generator[Any, None, Any]:
    """What a generator yields and returns; an error comes back as a `Failure`, `Cancelled` as `Stopped`.

    A worker keeps silent about a ``RuntimeError``, and PyTorch's out-of-memory is one.
    """
    try:
        return (yield from generator)
    except Cancelled:
        return Stopped()
    except RemidiError as error:
        return Failure(str(error))
    except Exception as error:
        logging.getLogger(__name__).exception("%s failed", what)
        return Failure(f"{what} failed ({type(error).__name__}: {error}); the log has the details.")


def _cancelled_when(asked: Event, generator: Generator[Any, None, Any]) -> Generator[Any, None, Any]:
    """What a generator yields and returns; after the yield at which it is asked to stop, `Cancelled` is thrown into it,
    so that it may still return what it has.
    """
    try:
        value = next(generator)
        while True:
            yield value
            value = generator.throw(Cancelled()) if asked.is_set() else next(generator)
    except StopIteration as end:
        return end.value


class Background:
    """Runs a generator function, an `answered` one; everything is told in the window's thread.

    Parameters
    ----------
    yielded : called with everything the generator yields, until it is asked to stop
    returned : called with what it returns
    stopped : called where it has stopped because it was asked to
    """

    def __init__(
        self, yielded: Callable[[Any], None], returned: Callable[[Any], None], stopped: Callable[[], None]
    ) -> None:
        self._yielded, self._returned, self._stopped = yielded, returned, stopped
        self._worker: Any = None
        self._asked = Event()

    def start(self, function: Callable[..., Generator[Any, None, Any]], *arguments: Any) -> None:
        """Begin; whatever ran before must have ended."""
        self._asked = Event()
        self._worker = create_worker(_cancelled_when, self._asked, function(*arguments), _start_thread=False)
        self._worker.yielded.connect(self._on_yielded)
        self._worker.returned.connect(self._on_returned)
        self._worker.start()

    @property
    def busy(self) -> bool:
        """Whether something runs."""
        return self._worker is not None

    def cancel(self) -> None:
        """Ask it to stop at its next yield, and to return what it has."""
        self._asked.set()

    def close(self) -> None:
        """Stop, and never call back again."""
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.quit()
            for signal in (worker.yielded, worker.returned):
                signal.disconnect()

    def _on_yielded(self, value: Any) -> None:
        if self._worker is not None and not self._asked.is_set():
            self._yielded(value)

    def _on_returned(self, outcome: Any) -> None:
        self._worker = None
        if isinstance(outcome, Stopped):
            self._stopped()
        else:
            self._returned(outcome)
