"""Sample data: a small scan whose axons are known."""

from napari_remidi.ui.layers import LayerData, scan_layer


def phantom() -> list[LayerData]:
    """The phantom as an image layer; its scan's metadata holds the true surfaces."""
    from napari_remidi.shapes import make_phantom

    return [scan_layer(make_phantom())]
