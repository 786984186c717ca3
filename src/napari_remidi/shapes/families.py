"""Families of axons: random stacks of sections, the training set of a prior and the phantoms.

`closed_axon` draws sealed segments: one effect alone, or several at once ("mixed"). Three families are the ReMiDi
paper's own deformations (arXiv 2502.01988) of a straight cylinder: "sheared" (its bending and twisting, which leaves
every section level), "rippled" (its beading) and "hinged" (its fanning). `open_axon` draws the middle of a longer axon.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_remidi.shapes.sections import SAMPLES, AxonFields, angles_of, directions_of, fields_of, frames_of

Floats = NDArray[np.float64]
SINGLE = ("straight", "bent", "wavy", "fanned", "beaded", "tapered", "elliptic", "rough")
PAPER = ("sheared", "rippled", "hinged")
EFFECTS = (*SINGLE, *PAPER, "mixed")
SHARES = (0.03, 0.08, 0.08, 0.08, 0.14, 0.04, 0.04, 0.05, 0.10, 0.08, 0.05, 0.23)
RADIUS, LENGTH = (0.5, 4.0), (8.0, 30.0)  # µm
STEEPEST = 1.2  # slope of the wall
SHARPEST = 0.6  # by how much a section's inner rim may fall behind its centre, 1 folds
ALONG = np.linspace(0, 1, SAMPLES)


def closed_axon(rng: np.random.Generator, kind: str | None = None, **fixed: Any) -> AxonFields:
    """A sealed segment: radius 0.5 to 4 µm, length 8 to 30 µm, at least three radii long.

    `fixed` sets parameters by name: radius, length (µm), bend, plane_turn, wave, fan (degrees), fan_at, beads,
    bead_size, bead_phase, bead_sharpness, taper, ellipse, ellipse_turn, roughness; of the paper's families shear and
    twist ("sheared"), beads and amplitude ("rippled"), fan and fan_at ("hinged").

    Raises
    ------
    ValueError
        Where the fixed parameters leave no axon that is free of folds.
    """
    kind = kind or str(rng.choice(EFFECTS, p=SHARES))
    build = {"sheared": _sheared, "rippled": _rippled, "hinged": _hinged}.get(kind, _several(kind))
    for _ in range(200):
        axon = _built(kind, *build(rng, fixed))
        if smooth_enough(axon):
            return axon
    raise ValueError(f"no {kind} axon with {fixed} is free of folds")


def open_axon(rng: np.random.Generator, length: float = 100.0) -> AxonFields:
    """A long axon: radius 0.3 to 4 µm, waves, beads, rough calibre."""
    while True:
        radius = float(np.exp(rng.uniform(np.log(0.3), np.log(4.0))))
        angles = np.zeros((2, SAMPLES))
        for _ in range(rng.integers(0, 4)):
            wave = rng.uniform(1.0, 11.0)
            size = np.deg2rad(rng.uniform(0, 28)) * min(1.0, 4 / wave)
            turn, phase = rng.uniform(0, 2 * np.pi, 2)
            angles += size * np.outer([np.cos(turn), np.sin(turn)], np.cos(np.pi * wave * ALONG + phase))
        size = rng.uniform(0, 0.7) * rng.integers(0, 2)
        calibre = np.log(radius) + _bumps(int(rng.integers(4, 19)), rng.uniform(0, 2 * np.pi), size, 1)
        calibre = calibre + _rough(rng, rng.uniform(0, 0.25), 16)
        axon = _built("open", angles, angles, calibre, np.zeros((2, SAMPLES)), length, {"radius": radius})
        if smooth_enough(axon):
            return axon


def smooth_enough(axon: AxonFields) -> bool:
    """Whether sections turn more slowly than they advance, and the wall's slope is moderate: no element folds."""
    step = axon.length / (SAMPLES - 1)
    bend, lean = axon.fields[:2], axon.fields[:2] - axon.fields[5:]
    normals = directions_of(lean)
    advance = (directions_of(bend) * normals).sum(axis=1)
    turning = np.linalg.norm(np.gradient(normals, step, axis=0), axis=1)
    radius = np.exp(axon.fields[2] + np.hypot(axon.fields[3], axon.fields[4]))
    slope = np.abs(np.gradient(radius, step)) / advance
    return bool((advance > 0.15).all() and (turning * radius < SHARPEST * advance).all() and slope.max() < STEEPEST)


Parts = tuple[Floats, Floats, Floats, Floats, float, dict[str, Any]]
"""Angles of the centreline (2, S) and of the normals (2, S), log radius (S,), ellipse (2, S), length, parameters."""


def _built(
    kind: str, bend: Floats, lean: Floats, calibre: Floats, ellipse: Floats, length: float, parameters: dict[str, Any]
) -> AxonFields:
    tangents = directions_of(bend)
    steps = (tangents[1:] + tangents[:-1]) / 2 * length / (SAMPLES - 1)
    centres = np.concatenate([np.zeros((1, 3)), np.cumsum(steps, axis=0)])
    maps = np.einsum("knx,nkj->nxj", np.stack(frames_of(lean)), np.exp(calibre)[:, None, None] * _stretch(*ellipse))
    fields, along = fields_of(centres, maps)
    return AxonFields(kind, fields, along, parameters)


def _stretch(cosine: Floats, sine: Floats) -> Floats:
    """exp [[c, s], [s, −c]], (S, 2, 2)."""
    size = np.hypot(cosine, sine)
    ratio = np.where(size > 1e-9, np.sinh(size) / np.maximum(size, 1e-9), 1.0)
    even = np.cosh(size)
    return np.stack([even + ratio * cosine, ratio * sine, ratio * sine, even - ratio * cosine], axis=1).reshape(
        -1, 2, 2
    )


def _several(kind: str) -> Callable[[np.random.Generator, dict[str, Any]], Parts]:
    def build(rng: np.random.Generator, fixed: dict[str, Any]) -> Parts:
        some = {effect: kind == effect or (kind == "mixed" and rng.random() < 0.6) for effect in SINGLE}

        def draw(name: str, low: float, high: float, wanted: bool = True) -> float:
            value = float(rng.uniform(low, high)) if wanted else 0.0
            return float(fixed.get(name, value))

        radius, length = _size(rng, fixed)
        parameters: dict[str, Any] = {
            "radius": radius,
            "length": length,
            "bend": draw("bend", 0, 120, some["bent"]),
            "plane_turn": draw("plane_turn", -120, 120, some["bent"] and rng.random() < 0.5),
            "wave": draw("wave", 0, 30, some["wavy"]),
            "fan": draw("fan", 0, 60, some["fanned"]),
            "fan_at": draw("fan_at", 0.3, 0.7),
            "fan_plane": draw("fan_plane", 0, 2 * np.pi),
            "beads": float(fixed.get("beads", _count(rng) if some["beaded"] else 0)),
            "bead_size": draw("bead_size", 0.1, 0.8, some["beaded"]),
            "bead_phase": draw("bead_phase", 0, 2 * np.pi),
            "bead_sharpness": int(fixed.get("bead_sharpness", rng.integers(1, 3))),
            "taper": draw("taper", -0.5, 0.5, some["tapered"]),
            "ellipse": draw("ellipse", 0, 0.25, some["elliptic"]),
            "ellipse_turn": draw("ellipse_turn", 0, np.pi),
            "roughness": draw("roughness", 0, 0.1, some["rough"]),
        }
        bend = np.deg2rad(parameters["bend"]) * (ALONG - 0.5)
        plane = np.deg2rad(parameters["plane_turn"]) * (ALONG - 0.5)
        angles = bend * np.stack([np.cos(plane), np.sin(plane)])
        angles = angles + np.deg2rad(parameters["wave"]) * _smooth(rng)
        ramp = 1 / (1 + np.exp(-(ALONG - parameters["fan_at"]) / 0.06))
        fan = np.deg2rad(parameters["fan"]) * ramp
        angles = angles + fan * np.array([[np.cos(parameters["fan_plane"])], [np.sin(parameters["fan_plane"])]])
        beads = _bumps(
            parameters["beads"], parameters["bead_phase"], parameters["bead_size"], parameters["bead_sharpness"]
        )
        calibre = (
            np.log(radius) + beads + parameters["taper"] * (ALONG - 0.5) + _rough(rng, parameters["roughness"], 10)
        )
        turned = 2 * parameters["ellipse_turn"]
        ellipse = parameters["ellipse"] * np.array([[np.cos(turned)], [np.sin(turned)]]) * np.ones(SAMPLES)
        return angles, angles, calibre, ellipse, length, parameters

    return build


def _sheared(rng: np.random.Generator, fixed: dict[str, Any]) -> Parts:
    """The paper's bend x ← x + 30 β w (z/h)² and twist by τ z/h about z: level discs on a bent centreline.

    w is the cylinder's width and h its height, z from −h/2 to h/2.
    """
    radius, height = _size(rng, fixed, slender=1 / 0.15)
    shear, twist = (float(fixed.get(name, rng.uniform(0, 0.5))) for name in ("shear", "twist"))
    fine = np.linspace(-0.5, 0.5, 8 * (SAMPLES - 1) + 1)
    offset, turn = 30 * shear * 2 * radius * fine**2, twist * fine
    centres = np.stack([offset * np.cos(turn), offset * np.sin(turn), height * fine], axis=1)
    arc = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(centres, axis=0), axis=1))])
    slopes = np.gradient(centres, fine, axis=0)
    at = np.interp(np.linspace(0, arc[-1], SAMPLES), arc, fine)
    tangents = np.stack([np.interp(at, fine, slope) for slope in slopes.T], axis=1)
    angles = angles_of(tangents)
    level = np.zeros((2, SAMPLES))
    parameters = {"radius": radius, "height": height, "shear": shear, "twist": twist}
    return angles, level, np.full(SAMPLES, np.log(radius)), level, float(arc[-1]), parameters


def _rippled(rng: np.random.Generator, fixed: dict[str, Any]) -> Parts:
    """The paper's beads, r ← r (1 + a sin 2πkz̄), z̄ from 0 to 1."""
    radius, length = _size(rng, fixed)
    beads = float(fixed.get("beads", _count(rng)))
    amplitude = float(fixed.get("amplitude", rng.uniform(0, 0.4)))
    calibre = np.log(radius) + np.log1p(amplitude * np.sin(2 * np.pi * beads * ALONG))
    flat = np.zeros((2, SAMPLES))
    return (
        flat,
        flat,
        calibre,
        flat,
        length,
        {"radius": radius, "length": length, "beads": beads, "amplitude": amplitude},
    )


def _hinged(rng: np.random.Generator, fixed: dict[str, Any]) -> Parts:
    """The paper's fanning: straight up to a share of the height, from there on bent by up to 60°."""
    radius, length = _size(rng, fixed)
    fan, fan_at = float(fixed.get("fan", rng.uniform(0, 60))), float(fixed.get("fan_at", rng.uniform(0.3, 0.7)))
    bend = np.deg2rad(fan) * np.clip((ALONG - fan_at) / (1 - fan_at), 0, None)
    angles = np.stack([bend, np.zeros(SAMPLES)])
    parameters = {"radius": radius, "length": length, "fan": fan, "fan_at": fan_at}
    return angles, angles, np.full(SAMPLES, np.log(radius)), np.zeros((2, SAMPLES)), length, parameters


def _size(rng: np.random.Generator, fixed: dict[str, Any], slender: float = 3.0) -> tuple[float, float]:
    """Radius and length, the latter at least `slender` radii."""
    widest = min(RADIUS[1], LENGTH[1] / slender)
    radius = _given(fixed, "radius", np.exp(rng.uniform(np.log(RADIUS[0]), np.log(widest))))
    shortest = min(max(LENGTH[0], slender * radius), LENGTH[1])
    return radius, _given(fixed, "length", np.exp(rng.uniform(np.log(shortest), np.log(LENGTH[1]))))


def _given(fixed: dict[str, Any], name: str, drawn: float) -> float:
    return float(fixed.get(name, drawn))


def _count(rng: np.random.Generator) -> float:
    """Number of beads, whole or not, and rather many: their phases make them the harder to learn."""
    count = 8.5 * float(np.sqrt(rng.random()))
    return float(np.ceil(count / 8.5 * 8)) if rng.random() < 0.1 else max(count, 0.5)


def _bumps(count: float, phase: float, size: float, sharpness: int) -> Floats:
    """Log radius of beads, mean zero, `size` from valley to top."""
    if not count:
        return np.zeros(SAMPLES)
    bumps = ((1 + np.cos(2 * np.pi * count * ALONG + phase)) / 2) ** sharpness
    return np.asarray(size * (bumps - bumps.mean()))


def _smooth(rng: np.random.Generator, orders: int = 4) -> Floats:
    """Two smooth random angles of size one, (2, S)."""
    order = np.arange(1, orders + 1)
    return rng.standard_normal((2, orders)) / order @ np.cos(np.pi * np.outer(order, ALONG))


def _rough(rng: np.random.Generator, size: float, orders: int) -> Floats:
    order = np.arange(1, orders + 1)
    series = size * rng.standard_normal(orders) / np.sqrt(order)
    return series @ np.cos(np.pi * np.outer(order, ALONG))
