"""Readout: buttons, progress, status line and results; all of it follows the status."""

from collections.abc import Iterable, Mapping
from typing import Any

from magicgui.widgets import ProgressBar, PushButton
from qtpy.QtWidgets import QLabel, QVBoxLayout, QWidget

from napari_remidi.results.words import fit_words, quantity_lines, sentence
from napari_remidi.ui.form import emphasise, note, row, say
from napari_remidi.ui.layers import Voxel
from napari_remidi.ui.status import Phase, Status

TWIN_NOTE = "Its mirror through the centre fits exactly as well."
_DOTS = {
    Phase.IDLE: "#868e99",
    Phase.RUNNING: "#5dd1cc",
    Phase.DONE: "#7bd88f",
    Phase.STOPPED: "#ffb454",
    Phase.CRASHED: "#ff6b6b",
}


class Readout(QWidget):
    """Everything below the form."""

    def __init__(self) -> None:
        super().__init__()
        self.reconstruct = PushButton(text="Reconstruct")
        self.cancel = PushButton(text="Cancel")
        self.bar = ProgressBar(min=0, max=1000, value=0)
        self.message = note(" ")
        self.results = QLabel()
        self.results.setWordWrap(True)
        self.warning = note()
        emphasise(self.warning, True)
        self.twin_note = note()
        self.twin = PushButton(text="Show twin", tooltip="Draw the mirrored axon in the microscope.")
        self.twin.native.setCheckable(True)
        self.save = PushButton(text="Save…", tooltip="Mesh (.ply .stl .obj .glb), report (.json) or everything (.npz).")
        self.reconstruct.native.setObjectName("primary")
        self.bar.native.setTextVisible(False)
        self.bar.native.setFixedHeight(6)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(8)
        layout.addWidget(row(self.reconstruct.native, self.cancel.native, stretch=(2, 1)))
        for part in (self.bar.native, self.message, self.warning, self.results, self.twin_note):
            layout.addWidget(part)
        layout.addWidget(row(self.twin.native, self.save.native, stretch=(1, 1)))

    def follow(self, status: Status, ready: bool, saveable: bool) -> None:
        """Show a status; ``ready``: a voxel is picked; ``saveable``: an axon is there."""
        self.reconstruct.enabled = ready and not status.running
        self.cancel.enabled = status.running
        self.twin.enabled = self.save.enabled = saveable and not status.running
        self.bar.value = round(1000 * status.fraction)
        dot = f'<span style="color:{_DOTS[status.phase]}">●</span>'
        say(self.message, f"{dot}&nbsp; {status.message}")

    def show_results(self, report: Mapping[str, Any] | None, voxel: Voxel | None = None) -> None:
        """Show a report's figures and which voxel they are of, or nothing."""
        lines = [] if report is None else summary(report)
        if lines and voxel is not None:
            lines.insert(0, ("Axon in voxel", ", ".join(map(str, voxel))))
        self.results.setText(table(lines))
        self.results.setVisible(bool(lines))
        say(self.warning, sentence((report or {}).get("warning")))
        notes = (sentence((report or {}).get(name)) for name in ("symmetry", "simple"))
        say(self.twin_note, " ".join(note for note in (TWIN_NOTE, *notes) if note) if lines else "")
        for button in (self.twin, self.save):
            button.visible = bool(lines)


def table(lines: Iterable[tuple[str, str]]) -> str:
    """Names and their values as rich text; no lines, no text."""
    cells = "".join(
        f'<tr><td style="padding-right:14px">{name}</td><td><b>{value}</b></td></tr>' for name, value in lines
    )
    return f"<table>{cells}</table>" if cells else ""


def summary(report: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What a report says in a few lines: (name, value)."""
    lines = []
    if report.get("chi2_per_dof") is not None:
        lines.append(("χ²/dof", f"{report['chi2_per_dof']:.2f}"))
    if "explained" in report:
        lines.append(("Fit test", fit_words(report)))
    if report.get("variance_explained") is not None:
        lines.append(("Variance explained", f"{100 * report['variance_explained']:.2f} %"))
    lines += quantity_lines(report)
    fractions = {name: share for name, share in (report.get("fractions") or {}).items() if share}
    if len(fractions) > 1:
        lines.append(("Fractions", ", ".join(f"{name} {share:.2f}" for name, share in fractions.items())))
    if report.get("chamfer_um") is not None:
        lines.append(("Distance to the truth", f"{report['chamfer_um']:.3f} µm (Chamfer)"))
    if report.get("seconds") is not None:
        lines.append(("Time", f"{report['seconds']:.1f} s, {report.get('iterations', 0)} steps"))
    return lines
