"""Run: the engine in its own thread, and its iterates back in the window, drawn at most five times a second."""

from collections.abc import Callable, Generator
from dataclasses import replace
from time import monotonic
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QTimer

from napari_remidi.ui.background import Background, Failure, Stopped, answered
from napari_remidi.ui.session import Request
from napari_remidi.ui.status import StatusModel

if TYPE_CHECKING:
    from napari_remidi.inversion import Inverter, Iterate
    from napari_remidi.results import Axon

Engine = Callable[..., "Generator[Iterate, None, Axon]"]
REDRAW_EVERY = 0.2
"""Seconds between two drawings of a growing surface."""


class SharedEngine:
    """The product's engine; what the voxels of one protocol share is prepared once.

    PyTorch is imported at the first call, in the worker's thread, so that a window opens without waiting for it.
    """

    def __init__(self) -> None:
        self._made_for: tuple[Any, ...] = ()
        self._inverter: Inverter | None = None

    def __call__(
        self, signal: Any, protocol: Any, source: Any = None, noise_sd: float | None = None, **settings: Any
    ) -> "Generator[Iterate, None, Axon]":
        """Iterates, then the axon."""
        from napari_remidi.results import inverter_for, reconstruct_steps

        wanted = (protocol, settings)
        if self._inverter is None or self._made_for != wanted:
            self._inverter, self._made_for = inverter_for(protocol, **settings), wanted
        self._inverter.settings = replace(self._inverter.settings, noise_sd=noise_sd)
        return (yield from reconstruct_steps(signal, protocol, inverter=self._inverter, source=source))


def steps(request: Request, engine: Engine) -> "Generator[Iterate, None, Axon | Failure | Stopped]":
    """Iterates of a reconstruction, then its axon, of a cancelled one the best so far; runs in the worker's thread."""

    def reconstructed() -> "Generator[Iterate, None, Axon]":
        axon = yield from engine(request.signal, request.protocol, source=request.source, **request.settings)
        return axon if request.truth is None else axon.with_truth(_mesh(request.truth))

    return (yield from answered("The reconstruction", reconstructed()))


class Run:
    """At most one reconstruction at a time.

    Parameters
    ----------
    status : StatusModel
        Told of every phase.
    draw : called with (request, iterate) in the window's thread, at most five times a second
    finish : called with (request, axon) in the window's thread; the axon of a cancelled run is its best so far
    fail : called with the message of a failure
    engine : the generator function that reconstructs; by default the product's own
    """

    def __init__(
        self,
        status: StatusModel,
        draw: Callable[[Request, Any], None],
        finish: Callable[[Request, Any], None],
        fail: Callable[[str], None],
        engine: Engine | None = None,
    ) -> None:
        self._status, self._draw, self._finish, self._fail = status, draw, finish, fail
        self._engine = engine or SharedEngine()
        self._background = Background(self._on_iterate, self._on_end, self._on_stopped)
        self._request: Request | None = None
        self._waiting: Any = None
        self._drawn_at = 0.0
        self._timer = QTimer()
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self._redraw)

    def start(self, request: Request) -> None:
        """Begin; whatever ran before must have ended."""
        self._request, self._waiting, self._drawn_at = request, None, 0.0
        self._status.running("Preparing…", 0.0)
        self._background.start(steps, request, self._engine)

    def cancel(self) -> None:
        """Ask the engine to stop after the step it is in."""
        if self._background.busy:
            self._status.running("Stopping after this step…", self._status.now.fraction)
            self._background.cancel()

    def close(self) -> None:
        """Stop, and never call back again."""
        self._timer.stop()
        self._background.close()

    def _on_iterate(self, iterate: Any) -> None:
        self._status.running(iterate.message, iterate.fraction)
        self._waiting = iterate
        rest = REDRAW_EVERY - (monotonic() - self._drawn_at)
        if rest <= 0:
            self._redraw()
        elif not self._timer.isActive():
            self._timer.start(max(1, round(1000 * rest)))

    def _redraw(self) -> None:
        iterate, self._waiting = self._waiting, None
        if iterate is not None and self._request is not None:
            self._drawn_at = monotonic()
            self._draw(self._request, iterate)

    def _on_end(self, outcome: Any) -> None:
        self._timer.stop()
        request, self._waiting = self._request, None
        if isinstance(outcome, Failure):
            self._status.crashed(outcome.message)
            self._fail(outcome.message)
        else:
            self._finish(request, outcome)  # type: ignore[arg-type]

    def _on_stopped(self) -> None:
        self._timer.stop()
        self._redraw()
        self._status.stopped("Stopped. The surface is the last step's, not a result.")


def _mesh(shape: Any) -> Any:
    import trimesh

    return trimesh.Trimesh(shape.points, shape.faces, process=False)
