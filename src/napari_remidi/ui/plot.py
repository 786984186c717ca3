"""Plot: the picked voxel's signal by shell, dots for what was measured and lines for what the axon explains.

Each measurement stands at the angle between its gradient and the fibre's direction (the first eigenvector of the
voxel's diffusion tensor): around a straight axon, measurements of one shell fall on one curve.
"""

from typing import Any

import numpy as np
from matplotlib.backends.backend_qtagg import FigureCanvasQTAgg
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from numpy.typing import NDArray

from napari_remidi.scan import Protocol, principal_direction
from napari_remidi.ui.style import Palette

MAX_SHELLS = 6
_BINS = 14
_SHELL_COLORS = LinearSegmentedColormap.from_list("shells", ["#e9bd55", "#5dd1cc", "#4f8fd6", "#8d6bd8"])


class SignalPlot(FigureCanvasQTAgg):
    """A small figure of one voxel's signal, in the theme's colours."""

    def __init__(self, palette: Palette) -> None:
        super().__init__(Figure(figsize=(3.6, 2.3), dpi=100, layout="constrained"))
        self.axes = self.figure.add_subplot()
        self._palette = palette
        self._angles: NDArray[np.float64] | None = None
        self._shells: list[tuple[Any, str]] = []
        self._lines: list[Any] = []
        self.setMinimumSize(280, 215)
        self.setMaximumHeight(260)
        self.clear("Click a voxel to see its signal")

    def paint(self, palette: Palette) -> None:
        """Take the colours of another theme; what is drawn takes them at the next drawing."""
        self._palette = palette
        self._dress()
        self.draw_idle()

    def clear(self, hint: str = "") -> None:
        """Show nothing but a hint."""
        self._empty()
        self.axes.set_axis_off()
        self._hint = self.axes.text(0.5, 0.5, hint, ha="center", va="center", transform=self.axes.transAxes, fontsize=9)
        self._dress()
        self._hint.set_color(self._palette.line)
        self.draw_idle()

    def show_signal(self, signal: NDArray[np.float64], protocol: Protocol) -> None:
        """Draw the measured signal: (M,) S/S0."""
        self._empty()
        self.axes.set_axis_on()
        self._angles = angles_to(principal_direction(signal, protocol), protocol.bvecs)
        shells = some_of(protocol.shells, MAX_SHELLS)
        for place, shell in zip(np.linspace(0, 1, len(shells)), shells, strict=True):
            color = _SHELL_COLORS(place)
            dots = self.axes.plot(self._angles[shell.indices], signal[shell.indices], "o", label=f"{shell.bval:.0f}")[0]
            dots.set(color=color, markersize=2.6, alpha=0.75, markeredgewidth=0)
            self._shells.append((shell, color))
        low = min((float(signal[s.indices].min()) for s, _ in self._shells), default=0.0)
        self.axes.set(xlim=(0, 90), ylim=(min(0.0, low), 1.02), xlabel="angle to the fibre (°)", ylabel="S / S0")
        self.axes.set_xticks([0, 30, 60, 90])
        title = "b in s/mm²"
        if len(shells) < len(protocol.shells):
            when = f" at Δ {shells[0].Delta:g} ms" if protocol.has_timing else ""
            title += f"{when} ({len(shells)} of {len(protocol.shells)} shells)"
        self.figure.legend(
            title=title,
            loc="outside upper center",
            ncols=len(shells),
            frameon=False,
            fontsize=7.5,
            title_fontsize=7.5,
            handletextpad=0.1,
            columnspacing=1.2,
            markerscale=1.6,
        )
        self._dress()
        self.draw_idle()

    def show_fit(self, fitted: NDArray[np.float64]) -> None:
        """Draw the fitted signal (M,) as one line a shell, averaged over small ranges of the angle."""
        if self._angles is None:
            return
        for line in self._lines:
            line.remove()
        self._lines = []
        for shell, color in self._shells:
            x, y = curve(self._angles[shell.indices], fitted[shell.indices])
            self._lines += self.axes.plot(x, y, "-", color=color, linewidth=1.6)
        self.draw_idle()

    def _empty(self) -> None:
        self.axes.clear()
        for legend in list(self.figure.legends):
            legend.remove()
        self._angles, self._shells, self._lines = None, [], []

    def _dress(self) -> None:
        colors = self._palette
        self.figure.set_facecolor(colors.background)
        self.axes.set_facecolor(colors.background)
        self.axes.tick_params(colors=colors.text, labelsize=7.5, length=3, width=0.6)
        for text in (self.axes.xaxis.label, self.axes.yaxis.label):
            text.set(color=colors.text, fontsize=8)
        for side, spine in self.axes.spines.items():
            spine.set(visible=side in ("left", "bottom"), color=colors.line, linewidth=0.6)
        for legend in self.figure.legends:
            for text in (*legend.get_texts(), legend.get_title()):
                text.set_color(colors.text)


def angles_to(direction: NDArray[np.float64], bvecs: NDArray[np.float64]) -> NDArray[np.float64]:
    """Angle of every gradient (M, 3) to an axis (3,), degrees from 0 to 90."""
    return np.degrees(np.arccos(np.clip(np.abs(bvecs @ direction), 0.0, 1.0)))


def curve(angle: NDArray[np.float64], value: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean angle and mean value in ranges of the angle that hold about as many measurements each."""
    order = np.argsort(angle)
    groups = np.array_split(order, max(1, min(_BINS, len(order) // 3)))
    return np.array([angle[g].mean() for g in groups]), np.array([value[g].mean() for g in groups])


def some_of(shells: Any, at_most: int) -> list[Any]:
    """Shells to draw where there are many: those of one timing (the middle one), spread evenly over b."""
    timings = sorted({(shell.delta, shell.Delta) for shell in shells}, key=lambda timing: timing[::-1])
    if len(shells) > at_most and len(timings) > 1:
        shells = [shell for shell in shells if (shell.delta, shell.Delta) == timings[len(timings) // 2]]
    ordered = sorted(shells, key=lambda shell: (shell.bval, shell.Delta))
    if len(ordered) <= at_most:
        return ordered
    return [ordered[round(i)] for i in np.linspace(0, len(ordered) - 1, at_most)]
