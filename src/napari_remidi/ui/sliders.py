"""Sliders: one for every dimension of a latent, in standard deviations."""

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QScrollArea, QVBoxLayout, QWidget
from superqt import QLabeledDoubleSlider
from superqt.utils import signals_blocked

from napari_remidi.ui.form import rows

REACH = 3.0
"""Standard deviations to either side; more where a latent lies further out."""
_LABELS = 28


class Sliders(QScrollArea):
    """As many sliders as a latent has dimensions, the most influential first."""

    moved = Signal(int, float)
    """The user has moved a slider: dimension, value."""

    def __init__(self) -> None:
        super().__init__()
        self.sliders: list[QLabeledDoubleSlider] = []
        self.setWidgetResizable(True)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)

    def offer(self, count: int) -> None:
        """Make this many sliders, all at zero."""
        self.sliders = [self._slider(dimension) for dimension in range(count)]
        content = QWidget()
        column = QVBoxLayout(content)
        column.setContentsMargins(0, 0, 8, 0)
        labelled = [(f"z{dimension}", slider) for dimension, slider in enumerate(self.sliders, start=1)]
        column.addWidget(rows(labelled, labels=_LABELS))
        column.addStretch(1)
        self.setWidget(content)

    def widen(self, *latents: NDArray[np.float64]) -> None:
        """Give every slider the range these latents need, and no more."""
        reach = max(REACH, *(float(np.ceil(np.abs(latent).max())) for latent in latents))
        for slider in self.sliders:
            with signals_blocked(slider):
                slider.setRange(-reach, reach)

    def show_latent(self, z: NDArray[np.float64]) -> None:
        """Put every slider at its value of a latent, (d,)."""
        for slider, value in zip(self.sliders, z, strict=True):
            with signals_blocked(slider):
                slider.setValue(float(value))

    def _slider(self, dimension: int) -> QLabeledDoubleSlider:
        slider = QLabeledDoubleSlider(Qt.Orientation.Horizontal)
        slider.setRange(-REACH, REACH)
        slider.setDecimals(2)
        slider.setValue(0.0)
        slider.valueChanged.connect(lambda value: self.moved.emit(dimension, value))
        return slider
