"""Concentric layers: at which radii their nodes lie, how finely each is divided, and which compartment it bounds.

Layers lie closer together towards the wall, where most of the volume is. With modes about as curved everywhere, the
error of first-order elements of spacing h(r) is ∝ ∫ h² r dr in a disc; for a given number of layers, ∫ dr / h, it is
smallest with h ∝ r^{−1/3}: even steps of r^{4/3}. (In a ball it would be r^{5/3}, whose elements are flatter.)
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from napari_remidi.errors import MeshError

# one layer of first-order elements cannot follow a profile across a compartment
FEWEST = 2
GRADING = 4 / 3  # the power of the radius in which layers are evenly spaced


@dataclass(frozen=True)
class Layer:
    """Nodes at one radius.

    Parameters
    ----------
    division : how finely the layer is divided: 6·division nodes on a circle, 10·division² + 2 on a sphere
    radius : µm
    label : the compartment between this layer and the one inside it
    """

    division: int
    radius: float
    label: int


def concentric_layers(radii: Sequence[float], finest: int) -> list[Layer]:
    """Layers from the centre outward that meet every radius, about as far apart as their nodes, closer at the wall.

    From one layer to the next the division grows by one or stays: it grows with the radius, and stays where a
    compartment is too thin for that.

    Parameters
    ----------
    radii : outer radius of each compartment, µm, increasing
    finest : division of the outermost layer
    """
    layers: list[Layer] = []
    inner, division = 0.0, 0
    for label, radius in enumerate(radii):
        target = max(round(finest * radius / radii[-1]), division, FEWEST)
        steps = max(target - division, FEWEST)
        for step in range(1, steps + 1):
            grown = division + round((target - division) * step / steps)
            evenly = inner**GRADING + (radius**GRADING - inner**GRADING) * step / steps
            layers.append(Layer(grown, radius if step == steps else evenly ** (1 / GRADING), label))
        inner, division = radius, target
    return layers


def layers_for(radii: Sequence[float], nodes: int, count: Callable[[list[Layer]], int]) -> list[Layer]:
    """The layers whose number of nodes, as `count` tells it, comes closest to the one asked for."""
    best, finest = concentric_layers(radii, FEWEST), FEWEST
    while count(best) < nodes:
        finest += 1
        finer = concentric_layers(radii, finest)
        if abs(count(finer) - nodes) > abs(count(best) - nodes):
            break
        best = finer
    return best


def check_radii(radii: Sequence[float], nodes: int, names: Sequence[str]) -> None:
    """Raise MeshError unless the radii grow, each has a name, and there are nodes to share out."""
    if len(radii) == 0 or not np.all(np.isfinite(radii)) or np.any(np.diff([0.0, *radii]) <= 0):
        raise MeshError(
            f"radii {', '.join(f'{r:g}' for r in radii)} µm: give positive lengths from the inside out, each larger"
        )
    if len(names) != len(radii):
        raise MeshError(
            f"{len(radii)} radii but {len(names)} names ({', '.join(names)}): give one name for each radius"
        )
    if nodes < 1:
        raise MeshError(f"{nodes} nodes make no mesh; 500 to 5000 suit most cells")
