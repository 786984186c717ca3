"""The ReMiDi paper's Table 1 and its five ablations, by `reconstruct`, with the orientation unknown.

    python benchmarks/paper.py [--only table,bends,beads,fans,directions,times,cost] [--shapes 20] [--noise free,50,20]
        [--seed 20000] [--record FILE [--resume]] [--signals DIR] [--markdown FILE] [--pictures DIR] [--json]
        [--device cpu]

Signals come from the paper's deformations of a cylinder, extrapolated from meshes of up to ten times the template's
nodes, made another way.
Ablations are without noise. Chamfer distances are strict, only centring and the twin allowed, and with b turned as it
fits best, as the paper's. "Prior alone" is the second of what the prior makes of the true shape: the least to hope for.
The exit status is 1 if a row fails.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import torch
from checks import paper_cost
from checks.paper_cases import ASSUMED_SD, FREE, SECTIONS, SNRS, SUCCESS, Case, Line, cases
from checks.paper_pictures import EXAMPLES, draw_row
from checks.paper_runs import DIFFUSIVITY, Runs
from checks.paper_statistics import Statistics, asked_of_all, statistics, tables
from checks.table import markdown

from napari_remidi.shapes import Prior

SEED = 20_000
COST = "cost"
CONDITIONS = (
    f"D {DIFFUSIVITY:g} µm²/ms, known; orientation unknown. Without noise the inversion is told a standard deviation "
    f"of 1/{1 / ASSUMED_SD:.0f} of S/S0. Found: strict Chamfer below {SUCCESS:g} µm. Steps: in the full model, of the "
    "start that won; in brackets of all starts, their steps in the coarse model included."
)


def listed(choices: list[str]) -> Any:
    """A parser of comma-separated choices."""

    def parse(text: str) -> list[str]:
        wanted = text.split(",")
        if unknown := [name for name in wanted if name not in choices]:
            raise argparse.ArgumentTypeError(f"{', '.join(unknown)} unknown; choose from {', '.join(choices)}")
        return wanted

    return parse


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    sections = [*SECTIONS, COST]
    parser.add_argument("--only", type=listed(sections), default=sections, help="tables, separated by commas")
    parser.add_argument("--shapes", type=int, default=20, help="of a row")
    parser.add_argument("--noise", type=listed([FREE, *SNRS]), default=[FREE, *SNRS], help="of Table 1")
    parser.add_argument("--seed", type=int, default=SEED, help="of shapes, orientations and noise")
    parser.add_argument("--prior", default="axon", help="name or file")
    parser.add_argument("--device", default="cpu", help="auto, cuda, mps or cpu")
    parser.add_argument("--record", type=Path, help="keep every case's figures in this file, one JSON object a line")
    parser.add_argument("--resume", action="store_true", help="skip the cases that the record holds")
    parser.add_argument("--signals", type=Path, help="keep simulated signals in this folder, and take those it has")
    parser.add_argument("--markdown", type=Path, help="write the tables to this file too")
    parser.add_argument("--pictures", type=Path, help="draw the first shapes of every row of Table 1 into this folder")
    parser.add_argument("--json", action="store_true", help="print rows as JSON instead")
    return parser.parse_args()


def recorded(path: Path | None, resume: bool) -> list[dict[str, Any]]:
    """What an earlier run left; the file is begun anew unless resuming."""
    if path is None:
        return []
    if not resume:
        path.write_text("")
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def progress(record: dict[str, Any]) -> str:
    what = f"{record['row']} {record['index']}, noise {record['noise']}"
    figures = f"Chamfer {record['strict_um']:.3f} µm, prior alone {record['prior_um']:.3f}"
    return f"  {what:36s} {figures}, χ²/dof {record['chi2_per_dof']:.2f}, {record['seconds']:.1f} s"


def run(wanted: list[Case], runs: Runs, arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Records of the cases, those of an earlier run among them."""
    earlier = {key_of(record): record for record in recorded(arguments.record, arguments.resume)}
    found = []
    for case in wanted:
        record = earlier.get((*case.key, arguments.seed))
        if record is None:
            record = {**runs.record(case), "seed": arguments.seed}
            if arguments.record:
                with arguments.record.open("a") as file:
                    file.write(json.dumps(record) + "\n")
            if not arguments.json:
                print(progress(record), flush=True)
        found.append(record)
    return found


def key_of(record: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(record[name] for name in ("section", "row", "index", "noise", "seed"))


def draw(rows: list[Statistics], runs: Runs, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for row in rows:
        if row.line.section == "table":
            shown = row.records[:EXAMPLES]
            truths = [runs.truth(Case(row.line, record["index"], row.noise)).mesh.surface for record in shown]
            draw_row(row, truths, runs.prior, folder / f"{row.line.what.replace(' ', '-')}-{row.noise}.png")


def main() -> int:
    """Measure the chosen tables; 1 if a row fails."""
    arguments = options()
    prior = Prior.load(arguments.prior)
    runs = Runs(prior, arguments.seed, arguments.device, arguments.signals)
    lines: list[Line] = [line for name in arguments.only if name != COST for line in SECTIONS[name][1]()]
    found = run(list(cases(lines, arguments.shapes, arguments.noise)), runs, arguments)
    rows = statistics(lines, arguments.noise, found)
    asked = asked_of_all(rows)
    if COST in arguments.only:
        asked += paper_cost.rows(prior, arguments.seed, arguments.device, arguments.signals)
    machine = f"{arguments.device}, {torch.get_num_threads()} threads, torch {torch.__version__}"
    text = f"{machine}. {CONDITIONS}\n\n{tables(rows)}"
    if arguments.json:
        plain = {"machine": machine, "asked": [row.to_dict() for row in asked], "cases": found}
        print(json.dumps(plain, indent=1))
    else:
        print(f"\n{text}\n" + "\n".join(row.line() for row in asked))
    if arguments.markdown:
        command = f"`python benchmarks/paper.py --shapes {arguments.shapes} --seed {arguments.seed}`"
        content = f"# The paper's tables\n\n{command}, {text}\n{markdown('Asked', asked)}"
        arguments.markdown.write_text(content, encoding="utf-8")
    if arguments.pictures:
        draw(rows, runs, arguments.pictures)
    return int(any(row.holds is False for row in asked))


if __name__ == "__main__":
    sys.exit(main())
