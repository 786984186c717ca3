"""Tables and progress bars on a terminal."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_remidi.inversion import ProtocolReport

MOST_PARTS = 8  # of a protocol, printed


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


def print_protocol_report(report: "ProtocolReport") -> None:
    """Print a protocol report as tables, its cautions below."""
    known = "unknown" if report.fit_diffusivity else f"{report.diffusivity:g} µm²/ms"
    print(
        f"{report.measurements} measurements at SNR {report.snr:g}, diffusivity {known}; "
        f"{report.draws} draws of prior {report.prior!r}"
    )
    rows = []
    for q in report.quantities:
        typical = "" if q.typical is None else f"{q.typical:.2f}"
        numbers = (f"{q.prior_sd:.2f}", f"{q.sd:.3f}", f"{q.sd_90:.3f}", f"{100 * q.left:.1f} %")
        rows.append((f"{q.name}, {q.unit}", typical, *numbers))
    print_table(("quantity", "typical", "sd unmeasured", "sd, median", "sd, 90 %", "spread left"), rows)
    for title, parts in (("without the timing", report.timings), ("without the shell", report.shells)):
        if parts:
            worth = [(p.name, str(p.measurements), f"× {p.radius_factor:.2f}") for p in parts[:MOST_PARTS]]
            print_table((title, "measurements", "sd of the radius"), worth)
    if len(report.shells) > MOST_PARTS:
        print(f"The {MOST_PARTS} most valuable shells of {len(report.shells)}; --json lists all.")
    for caution in report.cautions:
        print(f"Caution: {caution}")


class TerminalProgress:
    """A progress bar on the terminal's error stream; nothing where the output is for programs."""

    def __init__(self, quiet: bool) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        note = TextColumn("{task.fields[note]}", style="dim")
        columns = (TextColumn("{task.description}"), BarColumn(24), TimeElapsedColumn(), note)
        self._bar = Progress(*columns, console=Console(stderr=True), disable=quiet)

    def __enter__(self) -> "TerminalProgress":
        self._bar.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self._bar.__exit__(*error)

    def share(self, what: str) -> Callable[[float], None]:
        """A task told its share done."""
        task = self._bar.add_task(what, total=1.0, note="")
        return lambda done: self._bar.update(task, completed=done)

    def named(self, what: str, done: float) -> None:
        """Tasks by name."""
        task = next((t.id for t in self._bar.tasks if t.description == what), None)
        self._bar.update(self._bar.add_task(what, total=1.0, note="") if task is None else task, completed=done)

    def iterates(self, what: str) -> Callable[[Any], None]:
        """A task told of every iterate of a reconstruction."""
        task = self._bar.add_task(what, total=1.0, note="")

        def show(iterate: Any) -> None:
            self._bar.update(task, completed=iterate.fraction, note=iterate.message)

        return show
