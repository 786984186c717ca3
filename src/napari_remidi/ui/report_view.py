"""Report view: a protocol's expected errors as a table and bars, and what it lacks; without PyTorch."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from matplotlib.backends.backend_qtagg import FigureCanvasQTAgg
from matplotlib.figure import Figure
from qtpy.QtWidgets import QLabel, QVBoxLayout, QWidget

from napari_remidi.ui.form import emphasise, note, say
from napari_remidi.ui.style import PRIMARY, Palette

if TYPE_CHECKING:
    from napari_remidi.inversion import ProtocolReport

EXPLAINED = (
    "± is the standard deviation before and after the measurement, median over draws of shape and orientation; in "
    "90 % of them it is no more than the last column. Surface: along its normal, orientation included."
)
MOST_PARTS = 5
"""Timings, and shells, that the window shows."""
_GREY = "#868e99"


class ReportView(QWidget):
    """Cautions, the table of expected errors, the bars, and what the most valuable parts of the protocol are worth."""

    def __init__(self, palette: Palette) -> None:
        super().__init__()
        self.cautions, self.errors, self.worth = note(), QLabel(), QLabel()
        self.bars = SpreadBars(palette)
        emphasise(self.cautions, True)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(8)
        for part in (self.cautions, self.errors, note(EXPLAINED), self.bars, self.worth):
            column.addWidget(part)

    def show_report(self, report: "ProtocolReport") -> None:
        """Show a report."""
        say(self.cautions, "\n".join(f"{text[0].upper()}{text[1:]}." for text in report.cautions))
        say(self.errors, errors_table(report))
        say(self.worth, worth_table(report))
        self.bars.show_report(report)

    def paint(self, palette: Palette) -> None:
        """Take the colours of another theme."""
        self.bars.paint(palette)


class SpreadBars(FigureCanvasQTAgg):
    """How much of the prior's spread a protocol leaves, a bar for every quantity, in the theme's colours."""

    def __init__(self, palette: Palette) -> None:
        super().__init__(Figure(figsize=(3.6, 2.1), dpi=100, layout="constrained"))
        self.axes = self.figure.add_subplot()
        self._palette = palette
        self._numbers: list[Any] = []
        self.setMinimumSize(280, 200)
        self.setMaximumHeight(230)

    def paint(self, palette: Palette) -> None:
        """Take the colours of another theme."""
        self._palette = palette
        self._dress()
        self.draw_idle()

    def show_report(self, report: "ProtocolReport") -> None:
        """Draw a report's shares."""
        self.axes.clear()
        names = [quantity.name for quantity in report.quantities]
        shares = [100 * quantity.left for quantity in report.quantities]
        self.axes.barh(names, [100] * len(names), color=_GREY, alpha=0.25, height=0.62)
        self.axes.barh(names, shares, color=PRIMARY, height=0.62)
        self._numbers = [
            self.axes.text(116, row, f"{share:.1f} %" if share < 10 else f"{share:.0f} %", va="center", ha="right")
            for row, share in enumerate(shares)
        ]
        self.axes.set(xlim=(0, 116), xticks=range(0, 101, 20), xlabel="spread left of what the prior allows (%)")
        self.axes.invert_yaxis()
        self._dress()
        self.draw_idle()

    def _dress(self) -> None:
        colors = self._palette
        self.figure.set_facecolor(colors.background)
        self.axes.set_facecolor(colors.background)
        self.axes.tick_params(colors=colors.text, labelsize=7.5, length=0)
        for text in (self.axes.xaxis.label, *self._numbers):
            text.set(color=colors.text, fontsize=7.5)
        for spine in self.axes.spines.values():
            spine.set_visible(False)


def errors_table(report: "ProtocolReport") -> str:
    """The quantities as rich text."""
    rows = []
    for q in report.quantities:
        typical = "" if q.typical is None else f"{q.typical:.3g}"
        cells = (typical, f"± {q.prior_sd:.2g}", f"<b>± {q.sd:.2g}</b>", f"± {q.sd_90:.2g}")
        rows.append((f"{q.name}, {q.unit}", *cells))
    return _rich_table(("", "typical", "before", "after", "90 %"), rows)


def worth_table(report: "ProtocolReport") -> str:
    """What the most valuable parts are worth, as rich text; empty where the protocol has one part only."""
    parts = (*report.timings[:MOST_PARTS], *report.shells[:MOST_PARTS])
    rows = [(part.name, f"× {part.radius_factor:.2f}") for part in parts]
    return _rich_table(("left out", "error of the radius"), rows) if rows else ""


def _rich_table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """Rows under their titles, numbers to the right."""

    def line(cells: tuple[str, ...]) -> str:
        aligned = ("left", *["right"] * (len(cells) - 1))
        style = "padding-right:9px; white-space:nowrap"
        return "".join(f'<td align="{a}" style="{style}">{c}</td>' for a, c in zip(aligned, cells, strict=True))

    return f"<table>{''.join(f'<tr>{line(cells)}</tr>' for cells in (head, *rows))}</table>"
