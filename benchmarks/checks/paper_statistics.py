"""From records of the paper's cases to the rows of its tables, and to what is asked of them."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from checks.paper_cases import FREE, SECTIONS, SUCCESS, Line
from checks.table import Row

Record = dict[str, Any]
STEPS = 12
HEADINGS = (
    "shapes", "noise", "n", "Chamfer, µm", "median", "found", "any rotation, µm", "paper", "its network", "prior alone",
    "sd of surface", "χ²/dof", "steps (all)", "seconds",
)  # fmt: skip


@dataclass(frozen=True)
class Statistics:
    """The records of one row at one noise level."""

    line: Line
    noise: str
    records: list[Record]

    def values(self, name: str) -> NDArray[np.float64]:
        return np.array([record[name] for record in self.records], dtype=np.float64)

    @property
    def strict(self) -> float:
        """Mean Chamfer distance, µm, no rotation allowed."""
        return float(self.values("strict_um").mean())

    @property
    def found(self) -> float:
        """Share of the shapes."""
        return float((self.values("strict_um") < SUCCESS).mean())

    @property
    def any_rotation(self) -> float:
        return float(self.values("any_rotation_um").mean())

    def cells(self) -> list[str]:
        """Under the headings."""
        published = self.line.published
        noise = "none" if self.noise == FREE else f"SNR {self.noise}"
        return [
            self.line.what,
            noise,
            str(len(self.records)),
            _spread(self.values("strict_um")),
            f"{self._median('strict_um'):.3f}",
            f"{self.found:.0%}",
            _spread(self.values("any_rotation_um")),
            published.own if published else "",
            f"{published.network:g}" if published else "",
            f"{self.values('prior_um').mean():.3f}",
            f"{self.values('surface_sd_um').mean():.3f}",
            f"{self._median('chi2_per_dof'):.2f}",
            f"{self._median('steps'):.0f} ({self._median('iterations'):.0f})",
            f"{self._median('seconds'):.1f}",
        ]

    def asked(self) -> Iterator[Row]:
        """What the row must show."""
        name = f"{self.line.what}, {'no noise' if self.noise == FREE else f'SNR {self.noise}'}"
        if (bound := self.line.at_most.get(self.noise)) is not None:
            yield Row(f"{name}: Chamfer, mean", self.strict, "µm", at_most=bound)
        if self.line.share is not None and self.noise == FREE:
            yield Row(f"{name}: found", 100 * self.found, "%", at_least=100 * self.line.share)
        if self.line.published is not None:
            network = self.line.published.network
            yield Row(f"{name}: any rotation, against the paper's network", self.any_rotation, "µm", at_most=network)

    def _median(self, name: str) -> float:
        return float(np.median(self.values(name)))


def statistics(lines: list[Line], noises: list[str], records: list[Record]) -> list[Statistics]:
    """Of every row and noise level that has records, in the tables' order."""
    found = []
    for line in lines:
        for noise in noises:
            own = [r for r in records if (r["section"], r["row"], r["noise"]) == (line.section, line.what, noise)]
            if own:
                found.append(Statistics(line, noise, own))
    return found


def asked_of_all(rows: list[Statistics]) -> list[Row]:
    """Every row's own, and the number of steps over all of Table 1."""
    asked = [row for some in rows for row in some.asked()]
    steps = [some.values("steps") for some in rows if some.line.section == "table"]
    if steps:
        median = float(np.median(np.concatenate(steps)))
        asked.append(Row("Table 1: Levenberg-Marquardt steps of the start that won, median", median, at_most=STEPS))
    return asked


def tables(rows: list[Statistics]) -> str:
    """Markdown, one table a section."""
    text = []
    for section, (title, _) in SECTIONS.items():
        own = [row for row in rows if row.line.section == section]
        if own:
            body = [HEADINGS, ["---"] * len(HEADINGS), *(row.cells() for row in own)]
            text += [f"## {title}", "", *("| " + " | ".join(cells) + " |" for cells in body), ""]
    return "\n".join(text)


def _spread(values: NDArray[np.float64]) -> str:
    return f"{values.mean():.3f} ± {values.std(ddof=1) if len(values) > 1 else 0:.3f}"
