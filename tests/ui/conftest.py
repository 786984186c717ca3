"""A small scan, an engine that only pretends, and a window that needs a real display."""

import os
import sys
import time
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from napari_remidi.errors import Cancelled

if sys.platform == "linux" and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

VOXEL = (4, 2, 1)
TURN = np.array([[0.36, 0.48, -0.8], [-0.8, 0.6, 0.0], [0.48, 0.64, 0.6]])


def tube(length=20.0, radius=2.0, bend=3.0, rings=24, sectors=16):
    """Points (n, 3) µm and outward faces of a closed, bent tube along a direction that is no axis."""
    t = np.linspace(-0.5, 0.5, rings)[:, None]
    around = np.linspace(0, 2 * np.pi, sectors, endpoint=False)
    x = radius * np.cos(around) + bend * (4 * t**2 - 1 / 3)
    y, z = radius * np.sin(around) + 0 * t, length * t + 0 * around
    wall = np.stack([x, y, z], -1).reshape(-1, 3)
    points = np.vstack([wall, wall[:sectors].mean(0), wall[-sectors:].mean(0)]) @ TURN.T
    ring, sector = np.meshgrid(np.arange(rings - 1), np.arange(sectors), indexing="ij")
    a, b = ring * sectors + sector, ring * sectors + (sector + 1) % sectors
    sides = np.concatenate(
        [np.stack([a, b, b + sectors], -1).reshape(-1, 3), np.stack([a, b + sectors, a + sectors], -1).reshape(-1, 3)]
    )
    j, last = np.arange(sectors), (rings - 1) * sectors
    bottom = np.stack([np.full(sectors, len(wall)), (j + 1) % sectors, j], -1)
    top = np.stack([np.full(sectors, len(wall) + 1), last + j, last + (j + 1) % sectors], -1)
    return points, np.vstack([sides, bottom, top])


def make_scan(affine=None, delta=5.0, Delta=25.0, truth=True):
    """A scan of 8 × 6 × 3 voxels; the voxel (0, 0, 0) is empty."""
    from napari_remidi.scan import Protocol, Scan

    rng = np.random.default_rng(0)
    directions = rng.normal(size=(20, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    bvals = np.r_[np.zeros(4), np.full(20, 1000.0), np.full(20, 3000.0)]
    bvecs = np.vstack([np.zeros((4, 3)), directions, directions])
    protocol = Protocol.pgse(bvals, bvecs, delta, Delta, source="test")
    signal = np.exp(-bvals / 1000 * (0.2 + 1.3 * (bvecs @ TURN[:, 2]) ** 2))
    data = 1000 * np.abs(signal + 0.01 * rng.normal(size=(8, 6, 3, len(bvals))))
    data[0, 0, 0] = 0
    if affine is None:
        affine = np.diag([2.0, 2.0, 3.0, 1.0])
        affine[:3, 3] = (-8, -5, 10)
    points, faces = tube()
    known = [{"voxel": VOXEL, "kind": "bent", "points": points, "faces": faces}]
    return Scan.from_arrays(data, affine, protocol, name="test scan", metadata={"truth": known} if truth else {})


@dataclass(frozen=True)
class FakeAxon:
    """What the window asks of an axon."""

    points: Any
    faces: Any
    signal: Any
    vertex_sd: Any
    chamfer: float | None = None
    stop_reason: str = "converged"

    def with_truth(self, truth: Any) -> "FakeAxon":
        return replace(self, chamfer=0.1)

    def report(self) -> dict[str, Any]:
        figures = {"chi2_per_dof": 1.02, "variance_explained": 0.998, "stop_reason": self.stop_reason, "seconds": 1.0}
        return figures | {"iterations": 3, "chamfer_um": self.chamfer}

    def save(self, path: Any) -> None:
        open(path, "w").close()


class FakeEngine:
    """A generator function that grows a tube; it remembers what it was asked and how often it stepped.

    `settles`: a cancelled run returns the tube as it is.
    """

    def __init__(self, steps=4, pause=0.02, error=None, settles=False):
        self.steps, self.pause, self.error, self.calls, self.stepped = steps, pause, error, [], 0
        self.settles = settles

    def __call__(self, signal, protocol, source, **settings):
        self.calls.append(SimpleNamespace(signal=signal, protocol=protocol, source=source, settings=settings))
        yield SimpleNamespace(points=None, faces=None, signal=None, message="preparing", fraction=0.0)
        for step in range(self.steps):
            time.sleep(self.pause)
            self.stepped += 1
            points, faces = tube(bend=3.0 * (step + 1) / self.steps)
            message, done = f"step {step + 1}", (step + 1) / self.steps
            try:
                yield SimpleNamespace(points=points, faces=faces, signal=signal, message=message, fraction=done)
            except Cancelled:
                if not self.settles:
                    raise
                return FakeAxon(points, faces, signal, np.full(len(points), 0.2), stop_reason="cancelled")
        if self.error is not None:
            raise self.error
        points, faces = tube()
        return FakeAxon(points, faces, signal, np.linspace(0.05, 0.3, len(points)))


@pytest.fixture
def scan():
    return make_scan()


@pytest.fixture
def errors(monkeypatch):
    """Sentences the window shows as error notifications."""
    shown: list[str] = []
    monkeypatch.setattr("napari_remidi.ui.widget.show_error", shown.append)
    return shown


@pytest.fixture
def display():
    """Skip, saying why, where no window can be drawn; fail instead if NAPARI_REMIDI_REQUIRE is set."""
    if os.environ.get("QT_QPA_PLATFORM") == "offscreen":
        reason = "no display: run under xvfb-run -a -s '-screen 0 1600x1100x24' to test real windows"
        if os.environ.get("NAPARI_REMIDI_REQUIRE") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
