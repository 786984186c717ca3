"""What a shape costs from a cold start, and what first-order descent on the same physics would."""

import time
from collections.abc import Callable, Iterator
from functools import lru_cache
from itertools import product
from pathlib import Path

import numpy as np

from checks.baseline import dense_loss_gradient
from checks.paper_cases import Case, table
from checks.paper_runs import DIFFUSIVITY, Runs
from checks.table import Row
from napari_remidi.inversion.template import Template
from napari_remidi.physics.reduction.reduced import reduced_tangents
from napari_remidi.results import inverter_for, reconstruct
from napari_remidi.scan import Protocol
from napari_remidi.shapes import Prior

DESCENT = 750  # iterations, the fewest that the paper reports
SAMPLE = 40  # measurements of one iteration that are timed
SHAPES = 3  # of every row of Table 1
SECONDS, RATIO = 4.0, 5000.0


def rows(prior: Prior, seed: int, device: str, signals: Path | None = None) -> Iterator[Row]:
    """Some shapes of every row of Table 1, each by an inverter of its own; the first of all in a process that has
    reconstructed none. An iteration of descent is timed after each: a machine's pace changes within a minute.
    """
    protocol, runs = Protocol.paper(), Runs(prior, seed, device, signals)
    times, iterations = [], []
    for line, index in product(table(), range(SHAPES)):
        signal = runs.signal(Case(line, index, "50"))
        began = time.perf_counter()
        inverter = inverter_for(protocol, prior, noise_sd=1 / 50, diffusivity=DIFFUSIVITY, device=device)
        reconstruct(signal, protocol, inverter=inverter)
        times.append(time.perf_counter() - began)
        iterations.append(descent_of(prior, protocol)())  # made ready once, and not before the first shape
    what = f"a shape at SNR 50 from a cold start, the paper's protocol, of {len(times)}"
    yield Row(f"{what}, median", float(np.median(times)), "s", at_most=SECONDS)
    yield Row(f"{what}, mean", float(np.mean(times)), "s", at_most=SECONDS)
    yield Row("the first of them, which warms the process up", times[0], "s", at_most=SECONDS)
    sampled = f"from {SAMPLE} of {len(protocol)}"
    yield Row(f"one iteration by a matrix_exp per measurement, {sampled}, median", float(np.median(iterations)), "s")
    ratios = DESCENT * np.divide(iterations, times)
    yield Row(f"{DESCENT} such iterations over the time of the shape before, median", float(np.median(ratios)), "×",
              at_least=RATIO)  # fmt: skip


@lru_cache(maxsize=1)
def descent_of(prior: Prior, protocol: Protocol) -> Callable[[], float]:
    """What times one gradient of the loss on the processor, in seconds."""
    shape = Template.of(prior).shape(np.zeros(prior.latent_dim))
    assert shape is not None
    model = shape.model
    tangents = reduced_tangents(shape.template.topology, model, shape.points, shape.velocities)
    weighted = np.flatnonzero(protocol.q > 0)
    sample = weighted[np.linspace(0, len(weighted) - 1, SAMPLE).round().astype(int)]

    def iteration() -> float:
        took = []
        for _ in range(2):
            began = time.perf_counter()
            dense_loss_gradient(model, tangents, protocol, sample, DIFFUSIVITY)
            took.append(time.perf_counter() - began)
        return min(took) * len(protocol) / SAMPLE

    return iteration
