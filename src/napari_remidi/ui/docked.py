"""Docked: a widget in a napari window that notices when its dock or its window closes."""

from qtpy.QtCore import QEvent, QObject, QTimer
from qtpy.QtGui import QCloseEvent
from qtpy.QtWidgets import QWidget


class Docked(QWidget):
    """Closes with its dock and with its window, and then lets go of the viewer."""

    def __init__(self) -> None:
        super().__init__()
        self._window: QWidget | None = None
        self._closing = False

    def release(self) -> None:
        """Stop what runs and remove every callback; a subclass adds its own."""
        if self._window is not None:
            self._window.removeEventFilter(self)
            self._window = None

    def closeEvent(self, event: QCloseEvent | None) -> None:
        """Let go of the viewer."""
        self.release()
        super().closeEvent(event)

    def event(self, event: QEvent | None) -> bool:
        """Follow the window the widget is docked in; a dock whose cross is pressed hands the widget back unclosed."""
        if event is not None and event.type() == QEvent.Type.ParentChange:
            QTimer.singleShot(0, self._follow_window)
        return super().event(event)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """Close with the main window, which does not tell its docks."""
        if self._window is not None and watched is self._window and event is not None:
            self._closing |= event.type() == QEvent.Type.Close
            hidden = event.type() == QEvent.Type.Hide or not self._window.isVisible()
            if self._closing and hidden:
                self.close()
        return False

    def _follow_window(self) -> None:
        if self.parent() is None:
            self.close()
        elif self._window is None and (window := self.window()) is not None:
            self._window = window
            window.installEventFilter(self)
