"""Style: the theme's colours for what napari's own style sheet does not know."""

from dataclasses import dataclass

PRIMARY = "#2f9e98"
BRIGHT = "#3fb8b1"
LOUD = "#e89b3c"


@dataclass(frozen=True)
class Palette:
    """Colours of the window's theme, as hexadecimal strings."""

    background: str
    text: str
    field: str
    line: str
    quiet: str

    @classmethod
    def of(cls, theme: str) -> "Palette":
        """The palette of a napari theme."""
        from napari.utils.theme import get_theme

        colors = get_theme(theme)
        dark = sum(colors.background.as_rgb_tuple()[:3]) < 384
        return cls(
            background=colors.background.as_hex(format="long"),
            text=colors.text.as_hex(format="long"),
            field=colors.foreground.as_hex(format="long"),
            line=colors.secondary.as_hex(format="long"),
            quiet="#9aa3b0" if dark else "#5c636e",
        )


def stylesheet(palette: Palette) -> str:
    """Qt style sheet of the widget."""
    return f"""
    QLabel#quiet {{ color: {palette.quiet}; }}
    QLabel#loud {{ color: {LOUD}; }}
    QPushButton {{ padding: 5px 10px; border-radius: 3px; }}
    QPushButton#primary:enabled {{ background: {PRIMARY}; color: white; font-weight: 600; }}
    QPushButton#primary:enabled:hover {{ background: {BRIGHT}; }}
    QPushButton#section {{ background: transparent; text-align: left; padding: 3px 0px; color: {palette.quiet}; }}
    QPushButton#section:hover {{ color: {palette.text}; }}
    QPushButton:disabled {{ color: {palette.line}; }}
    QPushButton:checked {{ background: {palette.line}; }}
    QProgressBar {{ background: {palette.field}; border: none; border-radius: 3px; min-height: 6px; max-height: 6px; }}
    QProgressBar::chunk {{ background: {BRIGHT}; border-radius: 3px; }}
    QScrollArea, QScrollArea > QWidget > QWidget {{ background: {palette.background}; border: none; }}
    """
