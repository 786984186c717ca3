"""Preview training: in the background, the networks by which a protocol's reconstructions begin at once."""

from collections.abc import Callable, Generator, Mapping
from typing import TYPE_CHECKING, Any

from napari_remidi.ui.background import Background, Failure, answered
from napari_remidi.ui.status import StatusModel

if TYPE_CHECKING:
    from napari_remidi.scan import Protocol

Trainer = Callable[["Protocol", Mapping[str, Any]], Generator[tuple[str, float], None, None]]
DONE = "The preview is trained: a reconstruction of this protocol begins with it."


def own_trainer(protocol: "Protocol", settings: Mapping[str, Any]) -> "Generator[tuple[str, float], None, None]":
    """Train and keep the product's own; PyTorch is imported in the worker's thread."""
    from napari_remidi.inversion import Settings
    from napari_remidi.inversion.preview import Preview
    from napari_remidi.shapes import Prior

    chosen = Settings.from_dict(dict(settings))
    for step in Preview.train(protocol, Prior.load(chosen.prior), chosen):
        if isinstance(step, Preview):
            step.save(step.cache_path)
        else:
            yield step


class PreviewTraining:
    """At most one training at a time.

    Parameters
    ----------
    status : StatusModel
        Told of every phase.
    fail : called with the message of a failure
    trainer : the generator function that trains; by default the product's own
    """

    def __init__(self, status: StatusModel, fail: Callable[[str], None], trainer: Trainer = own_trainer) -> None:
        self._status, self._fail, self._trainer = status, fail, trainer
        self._background = Background(self._on_share, self._on_end, self._on_stopped)

    def start(self, protocol: "Protocol", settings: Mapping[str, Any]) -> None:
        """Begin; whatever ran before must have ended."""
        self._status.running("Preparing to train…", 0.0)
        self._background.start(answered, "The training", self._trainer(protocol, settings))

    def cancel(self) -> None:
        """Stop after the step it is in; nothing is kept."""
        if self._background.busy:
            self._background.cancel()

    def close(self) -> None:
        """Stop, and never call back again."""
        self._background.close()

    def _on_share(self, step: tuple[str, float]) -> None:
        what, share = step
        self._status.running(f"{what.capitalize()}…", share)

    def _on_end(self, outcome: Failure | None) -> None:
        if isinstance(outcome, Failure):
            self._status.crashed(outcome.message)
            self._fail(outcome.message)
        else:
            self._status.done(DONE)

    def _on_stopped(self) -> None:
        self._status.stopped("Stopped; no preview was kept.")
