"""A row of the table: what was measured, what is asked of it, and whether it holds."""

import math
from dataclasses import asdict, dataclass
from typing import Any

import torch


@dataclass(frozen=True)
class Options:
    """Where and how thoroughly to measure: `quick` takes coarse meshes and few samples, for a look."""

    device: torch.device
    quick: bool = False


@dataclass(frozen=True)
class Row:
    """One figure. Without a bound it is reported only.

    Attributes
    ----------
    what : the check, in words
    figure : what was measured
    unit : "s", "×", "GB"; empty for differences in S/S0
    at_most, at_least : what is asked
    """

    what: str
    figure: float
    unit: str = ""
    at_most: float | None = None
    at_least: float | None = None

    @property
    def holds(self) -> bool | None:
        if self.at_most is None and self.at_least is None:
            return None
        above = self.at_least is None or self.figure >= self.at_least
        below = self.at_most is None or self.figure <= self.at_most
        return math.isfinite(self.figure) and above and below

    @property
    def measured(self) -> str:
        return _with_unit(self.figure, self.unit)

    @property
    def required(self) -> str:
        bounds = [("≤", self.at_most), ("≥", self.at_least)]
        return ", ".join(f"{sign} {_with_unit(bound, self.unit)}" for sign, bound in bounds if bound is not None)

    @property
    def verdict(self) -> str:
        return {True: "pass", False: "FAIL", None: ""}[self.holds]

    def line(self) -> str:
        return f"  {self.what:74s} {self.measured:>10s}  {self.required:>10s}  {self.verdict}"

    def to_dict(self) -> dict[str, Any]:
        return asdict(self) | {"holds": self.holds}


def markdown(title: str, rows: list[Row]) -> str:
    """A section of the validation page."""
    lines = [f"## {title}", "", "| check | measured | asked | |", "|---|---|---|---|"]
    lines += [f"| {row.what} | {row.measured} | {row.required} | {row.verdict} |" for row in rows]
    return "\n".join([*lines, ""])


def _with_unit(value: float, unit: str) -> str:
    number = f"{value:.1e}" if not unit or not 0.01 <= abs(value) < 1e5 else f"{value:.3g}"
    return f"{number} {unit}".strip()
