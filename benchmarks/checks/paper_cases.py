"""The rows of the ReMiDi paper's Table 1 and of its five ablations: which shapes, which protocol, what is asked."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from napari_remidi.scan import Protocol, spread_directions

KINDS = ("sheared", "rippled", "hinged")
DIRECTIONS, TIMES = 30, (10.0, 25.0, 50.0)
FREE, SNRS = "free", ("50", "20")
ASSUMED_SD = 1 / 2000  # of S/S0, what the inversion is told of a signal without noise
SUCCESS = 0.2  # µm, below which a shape counts as found
Fixed = dict[str, float]


@dataclass(frozen=True)
class Published:
    """Chamfer distance in the paper's Table 1, µm: its own, and its neural network's."""

    own: str
    network: float


@dataclass(frozen=True)
class Line:
    """One row of a table.

    Attributes
    ----------
    section, what : its table and its name there
    kinds, fixed : of the shapes, taken in turn; what is not fixed is drawn
    directions, times : of the protocol, times Δ in ms
    at_most : by noise, µm, asked of the mean Chamfer distance
    share : asked of the shapes found, without noise
    published : the paper's figures
    """

    section: str
    what: str
    kinds: tuple[str, ...]
    fixed: tuple[Fixed, ...] = ({},)
    directions: int = DIRECTIONS
    times: tuple[float, ...] = TIMES
    at_most: dict[str, float] = field(default_factory=dict)
    share: float | None = None
    published: Published | None = None


@dataclass(frozen=True)
class Case:
    """One reconstruction: a shape of a row at a noise level, "free" or an SNR."""

    line: Line
    index: int
    noise: str

    @property
    def key(self) -> tuple[str, str, int, str]:
        return self.line.section, self.line.what, self.index, self.noise

    @property
    def kind(self) -> str:
        return self.line.kinds[self.index % len(self.line.kinds)]

    @property
    def fixed(self) -> Fixed:
        return self.line.fixed[self.index % len(self.line.fixed)]

    @property
    def noise_sd(self) -> float:
        """Of S/S0, as the inversion is told."""
        return ASSUMED_SD if self.noise == FREE else 1 / float(self.noise)


def cases(lines: list[Line], shapes: int, noises: list[str]) -> Iterator[Case]:
    """Every shape of every row, at every noise level in Table 1 and without noise in the ablations."""
    for line in lines:
        for index in range(shapes):
            for noise in noises if line.section == "table" else noises[:1]:
                yield Case(line, index, noise)


def protocol_of(line: Line) -> Protocol:
    """The paper's protocol, b 0:500:10000 and δ 5 ms, with other directions and diffusion times."""
    b, Delta, which = (
        axis.ravel()
        for axis in np.meshgrid(np.arange(21) * 500.0, line.times, np.arange(line.directions), indexing="ij")
    )
    return Protocol.pgse(b, spread_directions(line.directions)[which.astype(int)], 5.0, Delta)


def table() -> list[Line]:
    """Every fifth shape is the row's extreme."""
    beads = tuple({"beads": 8 if i % 5 == 0 else i % 9, "amplitude": (0.3, 0.4)[i % 2]} for i in range(90))
    rows = (
        ("bending and twisting", "sheared", ({"shear": 0.5, "twist": 0.5}, *[{}] * 4), 0.10, ("1.709 ± 0.261", 43.7)),
        ("beading", "rippled", beads, 0.06, ("0.568 ± 0.086", 45.0)),
        ("fanning", "hinged", ({"fan": 60.0}, *[{}] * 4), 0.15, ("7.433 ± 4.844", 0.743)),
    )
    return [
        Line("table", what, (kind,), fixed, at_most={FREE: free, "50": 0.2, "20": 0.4}, share=0.95,
             published=Published(*published))
        for what, kind, fixed, free, published in rows
    ]  # fmt: skip


def bends() -> list[Line]:
    steps = [(twist, round(0.1 * i, 1)) for twist in (0.0, 0.5) for i in range(6)]
    return [
        Line("bends", f"β {bend:g}, τ {twist:g}", ("sheared",), ({"shear": bend, "twist": twist},))
        for twist, bend in steps
    ]


def beads() -> list[Line]:
    sizes = (0.3, 0.4)
    return [
        Line("beads", f"{count} beads", ("rippled",), tuple({"beads": count, "amplitude": size} for size in sizes))
        for count in range(9)
    ]


def fans() -> list[Line]:
    return [Line("fans", f"{fan}°", ("hinged",), ({"fan": float(fan)},)) for fan in range(0, 61, 10)]


def directions() -> list[Line]:
    return [
        Line("directions", f"{count} directions", KINDS, directions=count, at_most={} if count == 3 else {FREE: 0.15})
        for count in (3, 15, 30, 60)
    ]


def times() -> list[Line]:
    sets = ((25.0,), (10.0, 50.0), TIMES, (*TIMES, 80.0))
    return [
        Line("times", f"Δ {', '.join(f'{Delta:g}' for Delta in some)} ms", KINDS, times=some,
             at_most={} if len(some) == 1 else {FREE: 0.15})
        for some in sets
    ]  # fmt: skip


SECTIONS = {
    "table": ("Table 1", table),
    "bends": ("Bending and twisting", bends),
    "beads": ("Beads", beads),
    "fans": ("Fanning", fans),
    "directions": ("Gradient directions", directions),
    "times": ("Diffusion times", times),
}
