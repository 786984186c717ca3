"""Meshes far beyond a template's size: seconds and peak memory, each in a process of its own."""

import json
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from checks.table import Options, Row

SIZES = {10_000: 1.5, 100_000: 6.0}  # nodes: GB allowed
PROTOCOL = "1890 measurements"


def rows(options: Options) -> Iterator[Row]:
    for nodes, allowed in list(SIZES.items())[: 1 if options.quick else None]:
        done = subprocess.run(
            [sys.executable, "-m", "checks.large", str(nodes), str(options.device)],
            cwd=Path(__file__).parents[1], capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            print(done.stderr[-2000:], file=sys.stderr)
            yield Row(f"{nodes} nodes, {PROTOCOL}: peak memory", float("nan"), "GB", at_most=allowed)
            continue
        figures = json.loads(done.stdout.splitlines()[-1])
        what = f"{figures['nodes']} nodes, {PROTOCOL}"
        yield Row(f"{what}: peak memory of the process", figures["gigabytes"], "GB", at_most=allowed)
        yield Row(f"{what}: simulate(mesh, protocol)", figures["seconds"], "s")


def measured(nodes: int, device: str) -> dict[str, float]:
    """One simulation in this process, and the most memory that the process ever held."""
    from checks.speed import axon
    from napari_remidi.physics import simulate
    from napari_remidi.scan import Protocol

    mesh = axon(nodes)
    begin = time.perf_counter()
    simulate(mesh, Protocol.paper(), device=device)
    seconds = time.perf_counter() - begin
    return {"nodes": len(mesh.points), "seconds": seconds, "gigabytes": peak_bytes() / 1e9}


def peak_bytes() -> int:
    """The most memory that this process has held."""
    status = Path("/proc/self/status")
    if status.exists():  # Linux counts the parent's memory into a child's getrusage
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    unit = 1 if sys.platform == "darwin" else 1024  # bytes there, kilobytes elsewhere
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


if __name__ == "__main__":
    print(json.dumps(measured(int(sys.argv[1]), sys.argv[2])))
