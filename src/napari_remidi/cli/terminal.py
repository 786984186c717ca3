"""What commands print: tables, progress bars and warnings."""

import signal
import threading
from collections.abc import Callable, Sequence
from typing import Any

import click


def print_table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    """Print rows under their titles, the first column to the left."""
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for title in head:
        table.add_column(title, justify="right" if title != head[0] else "left")
    for row in rows:
        table.add_row(*row)
    Console().print(table)


class TerminalProgress:
    """A progress bar on the terminal's error stream; nothing where the output is for programs."""

    def __init__(self, quiet: bool) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        note = TextColumn("{task.fields[note]}", style="dim")
        columns = (TextColumn("{task.description}"), BarColumn(24), TimeElapsedColumn(), note)
        self._bar = Progress(*columns, console=Console(stderr=True), disable=quiet)
        self._interrupted = False
        self._others: list[Any] = []  # what Ctrl-C did before

    def __enter__(self) -> "TerminalProgress":
        self._bar.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        while self._others:
            signal.signal(signal.SIGINT, self._others.pop())
        self._bar.__exit__(*error)

    def share(self, what: str) -> Callable[[float], None]:
        """A task told its share done."""
        task = self._bar.add_task(what, total=1.0, note="")
        return lambda done: self._bar.update(task, completed=done)

    def named(self, what: str, done: float) -> None:
        """Tasks by name."""
        task = next((t.id for t in self._bar.tasks if t.description == what), None)
        self._bar.update(self._bar.add_task(what, total=1.0, note="") if task is None else task, completed=done)

    def iterates(self, what: str) -> Callable[[Any], bool]:
        """A task told of every iterate of a reconstruction; answers False after Ctrl-C, so that it ends where it is."""
        task = self._bar.add_task(what, total=1.0, note="")
        if not self._others and threading.current_thread() is threading.main_thread():
            self._others.append(signal.signal(signal.SIGINT, self._interrupt))

        def show(iterate: Any) -> bool:
            self._bar.update(task, completed=iterate.fraction, note=iterate.message)
            return not self._interrupted

        return show

    def _interrupt(self, *_: Any) -> None:
        if self._interrupted:
            raise KeyboardInterrupt
        self._interrupted = True
        click.echo("Stopping after this step; Ctrl-C once more stops at once.", err=True)


def warn(what: str, report: dict[str, Any]) -> None:
    """Print a report's warning, if it has one, on the error stream."""
    if report["warning"]:
        click.secho(f"{what}: {report['warning']}", fg="yellow", err=True)


def radius_words(report: dict[str, Any]) -> str:
    """A report's mean radius and its standard deviation, µm."""
    radius = report["radius_um"]
    return f"{radius['mean']:.2f}" + (f" ± {radius['sd']:.2f}" if radius["sd"] is not None else "")
