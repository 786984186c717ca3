"""Report view: a protocol's expected errors as bars and a table; without PyTorch."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from matplotlib.backends.backend_qtagg import FigureCanvasQTAgg
from matplotlib.figure import Figure

from napari_remidi.ui.style import PRIMARY, Palette

if TYPE_CHECKING:
    from napari_remidi.inversion import ProtocolReport

EXPLAINED = (
    "± is the standard deviation before and after the measurement, median over shapes and orientations; in 90 % of "
    "them it is no more than the last column. Surface: along its normal, orientation included."
)
MOST_PARTS = 5
"""Timings, and shells, that the window shows."""
_GREY = "#868e99"


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
            self.axes.text(max(share, 1) + 1.5, row, f"{share:.0f} %" if share >= 10 else f"{share:.1f} %", va="center")
            for row, share in enumerate(shares)
        ]
        self.axes.set(xlim=(0, 100), xlabel="spread left of what the prior allows (%)")
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
    return rich_table(("", "typical", "before", "after", "90 %"), rows)


def worth_table(report: "ProtocolReport") -> str:
    """What the most valuable parts are worth, as rich text; empty where the protocol has one part only."""
    rows = [
        (part.name, f"× {part.radius_factor:.2f}")
        for parts in (report.timings, report.shells)
        for part in parts[:MOST_PARTS]
    ]
    return rich_table(("left out", "error of the radius"), rows) if rows else ""


def rich_table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """Rows under their titles, numbers to the right."""
    lines = [head, *rows]
    cells = "".join(
        "<tr>"
        + "".join(
            f'<td align="{"right" if column else "left"}" style="padding-right:9px; white-space:nowrap">{cell}</td>'
            for column, cell in enumerate(line)
        )
        + "</tr>"
        for line in lines
    )
    return f"<table>{cells}</table>"
