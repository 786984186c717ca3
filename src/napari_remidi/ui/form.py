"""Form: the fields of the reconstruction widget, magicgui's, in one aligned column; what they do is not its affair."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from magicgui.widgets import CheckBox, ComboBox, FileEdit, FloatSpinBox, PushButton
from magicgui.widgets.bases import ValueWidget
from qtpy.QtCore import Qt
from qtpy.QtGui import QIcon
from qtpy.QtWidgets import QAbstractSpinBox, QFormLayout, QHBoxLayout, QLabel, QSizePolicy, QVBoxLayout, QWidget
from superqt import QCollapsible

from napari_remidi.ui.choices import Choices, choice_fields
from napari_remidi.ui.layers import Voxel
from napari_remidi.ui.session import MISSING, Timing

if TYPE_CHECKING:
    from napari_remidi.scan import Scan

LABELS = 82
"""Width of the column of labels, pixels: the same in every section, so that all fields align."""
TRAIN = "About ten minutes, once: then a reconstruction of one cell shows a first shape at once and starts from it."
_GRADIENTS = {"bvals": "b-values (*.bval *.bvals *)", "bvecs": "b-vectors (*.bvec *.bvecs *)", "scheme": "scheme (*)"}


class Form(QWidget):
    """All fields, from the scan to the advanced settings."""

    def __init__(self, plot: QWidget) -> None:
        super().__init__()
        self.scan = ComboBox(name="scan", tooltip="Layers that hold a diffusion MRI scan.")
        self.open = PushButton(text="Open…", tooltip="Open a NIfTI scan; gradients are looked for beside it.")
        self.about_scan = note()
        self.files = gradient_fields()
        self.use_files = PushButton(text="Use these gradients")
        self.timing = ComboBox(name="timing", tooltip="Pulse duration δ and separation Δ.")
        self.delta, self.Delta = pulse_field("δ", 500.0), pulse_field("Δ", 2000.0)
        self.source = note()
        self.voxel = QLabel("none picked")
        self.choices = choice_fields()
        self.train = PushButton(text="Train for this protocol", tooltip=TRAIN)
        self.gradients = self._gradient_rows()
        self.advanced = _section("Advanced", self._advanced_rows())
        self.choices["model"].changed.connect(self._follow_model)
        self._build(plot)

    def read_choices(self) -> Choices:
        """What the user chose."""
        return Choices(**{name: widget.value for name, widget in self.choices.items()})

    def show_timings(self, timings: Iterable[Timing], chosen: Timing | None) -> None:
        """Offer these timings; none is chosen silently."""
        offered: list[tuple[str, Timing | None]] = [(timing.label, timing) for timing in timings]
        with self.timing.changed.blocked():
            self.timing.choices = offered if chosen is not None else [("choose…", None), *offered]
            self.timing.value = chosen

    def show_pulses(self, delta: float | None, Delta: float | None, source: str, editable: bool) -> None:
        """Show a pulse timing in ms and where it comes from; without one number for all measurements, a dash."""
        for box, value in ((self.delta, delta), (self.Delta, Delta)):
            with box.changed.blocked():
                box.value = value or 0.0
            box.enabled = editable
        say(self.source, source)
        emphasise(self.source, source == MISSING)

    def show_voxel(self, voxel: Voxel | None, scan: "Scan | None") -> None:
        """Show which voxel is picked and where the scanner saw it."""
        if voxel is None or scan is None:
            self.voxel.setText("none picked")
            return
        x, y, z = scan.world(*voxel)
        self.voxel.setText(f"{voxel[0]}, {voxel[1]}, {voxel[2]}   at ({x:.1f}, {y:.1f}, {z:.1f}) mm")

    def suggest(self, known_axons: bool) -> None:
        """Choose prior and model for a phantom of single axons, or for tissue."""
        self.choices["model"].value = "axon" if known_axons else "voxel"

    def _follow_model(self, model: str) -> None:
        self.choices["prior"].value = "axon" if model == "axon" else "axon-open"
        self.choices["fit_diffusivity"].value = model == "voxel"

    def set_enabled(self, enabled: bool) -> None:
        """Open or lock every field."""
        fields = (*self.files.values(), *self.choices.values())
        for widget in (self.scan, self.open, self.use_files, self.timing, self.train, *fields):
            widget.enabled = enabled

    def _build(self, plot: QWidget) -> None:
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(8)
        source = row(self.scan.native, self.open.native, stretch=(1, 0))
        pulses = pulse_row(self.delta, self.Delta)
        layout.addWidget(rows((("Scan", source), ("", self.about_scan))))
        layout.addWidget(self.gradients)
        layout.addWidget(rows((("Timing", self.timing.native), ("", pulses), ("", self.source), ("Voxel", self.voxel))))
        layout.addWidget(plot)
        layout.addWidget(rows(self._labelled("prior", "model")))
        layout.addWidget(self.advanced)

    def _labelled(self, *names: str) -> list[tuple[str, QWidget]]:
        return [(self.choices[name].label, self.choices[name].native) for name in names]

    def _advanced_rows(self) -> QWidget:
        diffusivity = diffusivity_row(self.choices, "fitted")
        others = self._labelled("device", "starts", "iterations")
        return rows((("Diffusivity", diffusivity), *others, ("Preview", self.train.native)))

    def _gradient_rows(self) -> QWidget:
        return rows((*((name, widget.native) for name, widget in self.files.items()), ("", self.use_files.native)))


def gradient_fields() -> dict[str, FileEdit]:
    """Fields for gradient files, by name."""
    return {name: FileEdit(name=name, filter=kind, nullable=True) for name, kind in _GRADIENTS.items()}


def chosen_files(fields: dict[str, FileEdit]) -> dict[str, Any]:
    """The files that fields hold, by name; None where a field is empty."""
    return {
        name: None if field.value in (None, Path(".")) else Path(str(field.value)) for name, field in fields.items()
    }


def pulse_field(symbol: str, longest: float) -> FloatSpinBox:
    """A field for δ or Δ in ms; a dash where it is zero."""
    box = FloatSpinBox(value=0.0, min=0.0, max=longest, step=0.1, tooltip=f"{symbol}, ms")
    box.native.setSpecialValueText("–")
    box.native.setKeyboardTracking(False)
    box.native.setButtonSymbols(QAbstractSpinBox.ButtonSymbols.NoButtons)
    return box


def pulse_row(delta: FloatSpinBox, Delta: FloatSpinBox) -> QWidget:
    """Fields for δ and Δ side by side."""
    return row(QLabel("δ"), delta.native, QLabel("Δ"), Delta.native, QLabel("ms"), stretch=(0, 1, 0, 1, 0))


def diffusivity_row(choices: Mapping[str, ValueWidget], fitted: str) -> QWidget:
    """The field for the diffusivity, and whether it is fitted, in these words."""
    fit = choices["fit_diffusivity"]
    assert isinstance(fit, CheckBox)
    fit.text = fitted
    return row(choices["diffusivity"].native, QLabel("µm²/ms"), fit.native, stretch=(1, 0, 0))


def note(text: str = "") -> QLabel:
    """A quiet line of text that wraps."""
    label = QLabel(text)
    label.setWordWrap(True)
    label.setObjectName("quiet")
    label.setVisible(bool(text))
    return label


def say(label: QLabel, text: str) -> None:
    """Give a quiet line its text; an empty one takes no room."""
    label.setText(text)
    label.setVisible(bool(text))


def emphasise(label: QLabel, important: bool) -> None:
    """Make a quiet line stand out, or quiet again."""
    label.setObjectName("loud" if important else "quiet")
    style = label.style()
    if style is not None:
        style.unpolish(label)
        style.polish(label)


def row(*widgets: QWidget, stretch: tuple[int, ...]) -> QWidget:
    """Widgets side by side."""
    holder = QWidget()
    layout = QHBoxLayout(holder)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setSpacing(6)
    for widget, share in zip(widgets, stretch, strict=True):
        layout.addWidget(widget, share)
    return holder


def rows(labelled: Iterable[tuple[str, QWidget]], labels: int = LABELS) -> QWidget:
    """Labelled fields under each other, the labels in a column of one width."""
    holder = QWidget()
    layout = QFormLayout(holder)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setSpacing(6)
    layout.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
    for text, widget in labelled:
        label = QLabel(text)
        label.setFixedWidth(labels)
        label.setAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        widget.setSizePolicy(QSizePolicy.Policy.Expanding, widget.sizePolicy().verticalPolicy())
        layout.addRow(label, widget)
    return holder


def _section(title: str, content: Any) -> QCollapsible:
    section = QCollapsible(f"▸  {title}")
    section.setDuration(0)
    layout = section.layout()
    if layout is not None:
        layout.setContentsMargins(0, 0, 0, 0)
    section.setContent(content)
    section.setCollapsedIcon(QIcon())
    section.setExpandedIcon(QIcon())
    section.toggled.connect(lambda open_: section.setText(f"{'▾' if open_ else '▸'}  {title}"))
    section.collapse(animate=False)
    section.toggleButton().setObjectName("section")
    return section
