"""What a protocol cannot see, in a sentence."""

from collections.abc import Iterator, Sequence

from napari_remidi.inversion.design.report import Expected

UNSEEN = 0.9  # of the prior's spread left


def unseen(quantities: Sequence[Expected]) -> Iterator[str]:
    """What the measurement determines no better than the prior does."""
    names = [quantity.name for quantity in quantities if quantity.left >= UNSEEN]
    if names:
        yield (
            f"{', '.join(names)}: the measurement leaves {100 * UNSEEN:.0f} % or more of the prior's spread, so that a "
            "result would be the prior's guess; add measurements or raise the SNR"
        )
