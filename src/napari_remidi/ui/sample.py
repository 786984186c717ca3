"""Sample data: a small scan whose axons are known."""

from napari_remidi.ui.layers import LayerData, scan_layer


def phantom() -> list[LayerData]:
    """The phantom as an image layer; its scan's metadata holds the true surfaces.

    Its axons are simulated now, in some five seconds; napari's activity dock shows how far it is.
    """
    from napari.utils import progress

    from napari_remidi.shapes import make_phantom

    with progress(total=100, desc="Making the phantom") as bar:
        return [scan_layer(make_phantom(progress=lambda done: bar.update(round(100 * done) - bar.n)))]
