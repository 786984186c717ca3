"""A protocol without one of its parts: a diffusion time, a shell."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_remidi.scan.normalisation import normalised_together

if TYPE_CHECKING:
    from napari_remidi.scan import Protocol
    from napari_remidi.scan.shells import Shell


@dataclass(frozen=True, eq=False)
class Rest:
    """What is left of a protocol.

    Attributes
    ----------
    name : of the part that is left out
    measurements : how many it has
    kept : (M,) which measurements stay
    series : those that share an S0, see `Target`
    """

    name: str
    measurements: int
    kept: NDArray[np.bool_]
    series: tuple[tuple[NDArray[np.int64], int], ...]

    @classmethod
    def without(cls, protocol: "Protocol", name: str, shells: "list[Shell]") -> "Rest":
        """Leave shells out; measurements at b = 0 stay, since they may normalise others."""
        kept = np.ones(len(protocol), dtype=bool)
        for shell in shells:
            kept[shell.indices] = False
        return cls(name, int((~kept).sum()), kept, normalised_together(protocol.subset(kept)))


def without_timings(protocol: "Protocol") -> list[Rest]:
    """The protocol without one diffusion time, for every one of several."""
    shells: dict[str, list[Shell]] = {}
    for shell in protocol.shells:
        shells.setdefault(_timing(shell), []).append(shell)
    return [Rest.without(protocol, *part) for part in shells.items()] if len(shells) > 1 else []


def without_shells(protocol: "Protocol") -> list[Rest]:
    """The protocol without one shell, for every one of several."""
    if len(protocol.shells) == 1:
        return []
    several = len({_timing(shell) for shell in protocol.shells}) > 1
    return [
        Rest.without(protocol, f"b {shell.bval:.0f} s/mm²{f', {_timing(shell)}' if several else ''}", [shell])
        for shell in protocol.shells
    ]


def _timing(shell: "Shell") -> str:
    return f"δ {shell.delta:g}, Δ {shell.Delta:g} ms"
