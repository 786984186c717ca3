"""What the simulator must show, measured: every row prints the figure, what is asked, and whether it holds.

    python benchmarks/simulator.py [--only accuracy,speed] [--quick] [--device auto] [--json] [--markdown FILE]

Groups: accuracy, permeability, t2, waveforms, misst, jacobian, speed, large, gpu. Speed is a ratio against the same
physics by one dense matrix exponential per measurement, in the same run. The exit status is 1 if a row fails.
"""

import argparse
import json
import platform
import sys
import time
from importlib import import_module
from pathlib import Path

import torch
from checks.table import Options, Row, markdown

from napari_remidi.physics import choose_device

GROUPS = {
    "accuracy": ("accuracy", "Sphere, slab and closed cylinder against exact matrix formalism"),
    "permeability": ("permeability", "Permeable walls"),
    "t2": ("relaxation", "T2"),
    "waveforms": ("waveforms", "Waveforms"),
    "misst": ("misst_tables", "Published tables of MISST"),
    "jacobian": ("jacobian", "Jacobian against central differences"),
    "speed": ("speed", "The paper's protocol"),
    "large": ("large", "Large meshes"),
    "gpu": ("gpu", "Graphics processor"),
}
CONDITIONS = (
    "D 2 µm²/ms. Accuracy: δ/Δ 5/10, 5/25, 5/50 ms with b to 10000 s/mm², 30/40 and 1/40 ms with b to 3000, five "
    "random directions and two axes; figures are largest differences in S/S0 where no unit is given. The Jacobian's "
    "are relative to the parameter's largest derivative, or to a tenth of any parameter's largest if that is more "
    "(a bend of a straight cylinder changes nothing, by symmetry)."
)


def measured(group: str, options: Options, show: bool) -> list[Row]:
    """A group's rows, printed as they come."""
    file, title = GROUPS[group]
    begin, found = time.perf_counter(), []
    if show:
        print(f"\n{title} ({group})", flush=True)
    for row in import_module(f"checks.{file}").rows(options):
        found.append(row)
        if show:
            print(row.line(), flush=True)
    if show:
        print(f"  [{time.perf_counter() - begin:.0f} s]", flush=True)
    return found


def machine(options: Options) -> str:
    name = torch.cuda.get_device_name(options.device) if options.device.type == "cuda" else platform.machine()
    return f"{options.device} ({name}), {torch.get_num_threads()} threads, torch {torch.__version__}"


def chosen_groups(text: str) -> list[str]:
    wanted = [name.strip() for name in text.split(",")]
    if unknown := [name for name in wanted if name not in GROUPS]:
        raise argparse.ArgumentTypeError(f"{', '.join(unknown)} unknown; choose from {', '.join(GROUPS)}")
    return wanted


def main() -> int:
    """Measure the chosen groups; 1 if a row fails."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", type=chosen_groups, default=list(GROUPS), help="groups, separated by commas")
    parser.add_argument("--quick", action="store_true", help="coarse meshes and few samples, for a look")
    parser.add_argument("--device", default="cpu", help="auto, cuda, mps or cpu")
    parser.add_argument("--json", action="store_true", help="print figures as JSON instead")
    parser.add_argument("--markdown", type=Path, help="write the table to this file too")
    arguments = parser.parse_args()
    options = Options(choose_device(arguments.device), arguments.quick)
    if not arguments.json:
        print(machine(options))
    found = {group: measured(group, options, not arguments.json) for group in arguments.only}
    everything = [row for rows in found.values() for row in rows]
    if arguments.json:
        plain = {group: [row.to_dict() for row in rows] for group, rows in found.items()}
        print(json.dumps({"machine": machine(options), **plain}, indent=1))
    else:
        failed, held = (sum(row.holds is truth for row in everything) for truth in (False, True))
        print(f"\n{held} hold, {failed} fail, {len(everything) - held - failed} are reported only")
    if arguments.markdown:
        command = f"python benchmarks/simulator.py{' --quick' * options.quick}"
        text = f"# The simulator, measured\n\n`{command}`, {machine(options)}.\n\n{CONDITIONS}\n\n"
        tables = [markdown(GROUPS[group][1], rows) for group, rows in found.items() if rows]
        arguments.markdown.write_text(text + "\n".join(tables), encoding="utf-8")
    return int(any(row.holds is False for row in everything))


if __name__ == "__main__":
    sys.exit(main())
