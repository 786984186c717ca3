"""Families of axons: random fields along an axis, the training set of a prior and the phantoms.

Every axon is five fields along its length, (5, S): the two angles of its centreline's direction, the log of its
radius, and the cos 2θ and sin 2θ parts of it.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
SAMPLES = 161
EFFECTS = ("straight", "bent", "fanned", "beaded", "tapered", "elliptic", "mixed")
SHARES = (0.06, 0.16, 0.14, 0.22, 0.06, 0.06, 0.30)


@dataclass(frozen=True, eq=False)
class AxonFields:
    """One axon.

    Attributes
    ----------
    kind : of `EFFECTS`
    fields : (5, S) a, b (rad), log radius (log µm), cos 2θ, sin 2θ
    length : µm
    parameters : what was drawn
    """

    kind: str
    fields: Floats
    length: float
    parameters: dict[str, Any]

    @property
    def turnable(self) -> bool:
        """Whether bends stay wider than the radius and the wall's slope is moderate, so that no element folds."""
        step = self.length / (SAMPLES - 1)
        curvature = np.hypot(*np.gradient(self.fields[:2], step, axis=1))
        radius = np.exp(self.fields[2] + np.hypot(self.fields[3], self.fields[4]))
        slope = np.abs(np.gradient(radius, step))
        return bool((curvature * radius).max() < 0.6 and slope.max() < 1.2)


def closed_axon(rng: np.random.Generator, kind: str | None = None, **fixed: Any) -> AxonFields:
    """A sealed segment: radius 0.5 to 4 µm, length 8 to 30 µm, at least three radii long.

    `fixed` sets parameters by name: radius, length (µm), bend, plane_turn, fan (degrees), fan_at, beads, bead_size,
    bead_phase, bead_sharpness, taper, ellipse, ellipse_turn, roughness.
    """
    kind = kind or str(rng.choice(EFFECTS, p=SHARES))
    for _ in range(200):
        axon = _drawn(rng, kind, fixed)
        if axon.turnable:
            return canonical(axon)
        if not _random(fixed, kind):
            break
    raise ValueError(f"no {kind} axon with {fixed} is free of folds")


def open_axon(rng: np.random.Generator, length: float = 100.0) -> AxonFields:
    """A long axon: radius 0.3 to 4 µm, waves, beads, rough calibre."""
    along = np.linspace(0, 1, SAMPLES)
    while True:
        radius = float(np.exp(rng.uniform(np.log(0.3), np.log(4.0))))
        angles = np.zeros((2, SAMPLES))
        for _ in range(rng.integers(0, 4)):
            wave = rng.uniform(1.0, 11.0)
            size = np.deg2rad(rng.uniform(0, 28)) * min(1.0, 4 / wave)
            turn, phase = rng.uniform(0, 2 * np.pi, 2)
            angles += size * np.outer([np.cos(turn), np.sin(turn)], np.cos(np.pi * wave * along + phase))
        calibre = np.log(radius) + _beads(
            along, int(rng.integers(4, 19)), rng.uniform(0, 0.7) * rng.integers(0, 2), rng
        )
        calibre = calibre + _rough(rng, rng.uniform(0, 0.25), 24)
        axon = AxonFields("open", np.stack([*angles, calibre, *np.zeros((2, SAMPLES))]), length, {"radius": radius})
        if axon.turnable:
            return canonical(axon)


def canonical(axon: AxonFields) -> AxonFields:
    """The same axon, end to end along z and its mean bend in the x-z plane, towards +x."""
    tangent = _tangents(axon.fields[:2])
    chord = _path(tangent)[-1]
    tangent = tangent @ smallest_rotation(chord / np.linalg.norm(chord))
    sideways = _path(tangent)[:, :2]
    sideways = sideways - np.linspace(0, 1, len(sideways))[:, None] * sideways[-1]
    values, vectors = np.linalg.eigh(sideways.T @ sideways)
    turn = 0.0
    if values[-1] > 1e-8:
        x = vectors[:, -1] * np.sign((sideways @ vectors[:, -1]).sum() or 1.0)
        turn = float(np.arctan2(x[1], x[0]))
    c, s = np.cos(turn), np.sin(turn)
    tangent = tangent @ np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
    across = np.hypot(tangent[:, 0], tangent[:, 1])
    ratio = np.arctan2(across, tangent[:, 2]) / np.maximum(across, 1e-9)
    c2, s2 = np.cos(2 * turn), np.sin(2 * turn)
    cosine, sine = axon.fields[3], axon.fields[4]
    fields = np.stack(
        [
            tangent[:, 0] * ratio,
            tangent[:, 1] * ratio,
            axon.fields[2],
            c2 * cosine + s2 * sine,
            c2 * sine - s2 * cosine,
        ]
    )
    return AxonFields(axon.kind, fields, axon.length, axon.parameters)


def _random(fixed: dict[str, Any], kind: str) -> bool:
    return not {"radius", "length"} <= set(fixed) or kind == "mixed"


def _drawn(rng: np.random.Generator, kind: str, fixed: dict[str, Any]) -> AxonFields:
    some = {effect: kind == effect or (kind == "mixed" and rng.random() < 0.6) for effect in EFFECTS}

    def draw(name: str, low: float, high: float, wanted: bool = True) -> float:
        value = float(rng.uniform(low, high)) if wanted else 0.0
        return float(fixed.get(name, value))

    radius = float(np.exp(draw("radius_log", np.log(0.5), np.log(4.0)))) if "radius" not in fixed else fixed["radius"]
    shortest = max(8.0, 3 * radius)
    length = fixed.get("length", float(np.exp(draw("length_log", np.log(shortest), np.log(30.0)))))
    parameters = {
        "radius": radius,
        "length": length,
        "bend": draw("bend", 0, 120, some["bent"]),
        "plane_turn": draw("plane_turn", -120, 120, some["bent"] and rng.random() < 0.5),
        "fan": draw("fan", 0, 60, some["fanned"]),
        "fan_at": draw("fan_at", 0.3, 0.7),
        "fan_plane": draw("fan_plane", 0, 2 * np.pi),
        "beads": int(fixed.get("beads", rng.integers(1, 9) if some["beaded"] else 0)),
        "bead_size": draw("bead_size", 0.1, 0.8, some["beaded"]),
        "bead_phase": draw("bead_phase", 0, 2 * np.pi),
        "bead_sharpness": int(fixed.get("bead_sharpness", rng.integers(1, 3))),
        "taper": draw("taper", -0.5, 0.5, some["tapered"]),
        "ellipse": draw("ellipse", 0, 0.25, some["elliptic"]),
        "ellipse_turn": draw("ellipse_turn", 0, np.pi),
        "roughness": draw("roughness", 0, 0.1, kind == "mixed"),
    }
    along = np.linspace(0, 1, SAMPLES)
    bend = np.deg2rad(parameters["bend"]) * (along - 0.5)
    plane = np.deg2rad(parameters["plane_turn"]) * (along - 0.5)
    angles = bend * np.stack([np.cos(plane), np.sin(plane)])
    ramp = 1 / (1 + np.exp(-(along - parameters["fan_at"]) / 0.06))
    fan = np.deg2rad(parameters["fan"]) * ramp
    angles = angles + fan * np.array([[np.cos(parameters["fan_plane"])], [np.sin(parameters["fan_plane"])]])
    beads = 2 * np.pi * parameters["beads"] * along + parameters["bead_phase"]
    bumps = ((1 + np.cos(beads)) / 2) ** parameters["bead_sharpness"] if parameters["beads"] else np.zeros(SAMPLES)
    calibre = np.log(radius) + parameters["bead_size"] * (bumps - bumps.mean())
    calibre = calibre + parameters["taper"] * (along - 0.5) + _rough(rng, parameters["roughness"], 10)
    ellipse = parameters["ellipse"] * np.ones(SAMPLES)
    turned = 2 * parameters["ellipse_turn"]
    fields = np.stack([*angles, calibre, ellipse * np.cos(turned), ellipse * np.sin(turned)])
    return AxonFields(kind, fields, float(length), parameters)


def _beads(along: Floats, count: int, size: float, rng: np.random.Generator) -> Floats:
    bumps = (1 + np.cos(2 * np.pi * count * along + rng.uniform(0, 2 * np.pi))) / 2
    return size * (bumps - 0.5)


def _rough(rng: np.random.Generator, size: float, orders: int) -> Floats:
    order = np.arange(1, orders + 1)
    series = size * rng.standard_normal(orders) / np.sqrt(order)
    return series @ np.cos(np.pi * np.outer(order, np.linspace(0, 1, SAMPLES)))


def _tangents(angles: Floats) -> Floats:
    turn = np.hypot(*angles)
    ratio = np.sinc(turn / np.pi)
    return np.stack([angles[0] * ratio, angles[1] * ratio, np.cos(turn)], axis=1)


def _path(tangent: Floats) -> Floats:
    steps = (tangent[1:] + tangent[:-1]) / 2 / (len(tangent) - 1)
    return np.concatenate([np.zeros((1, 3)), np.cumsum(steps, axis=0)])


def smallest_rotation(direction: Floats) -> Floats:
    """Rotation whose product from the right takes rows along a direction to +z."""
    x, y, z = direction
    if z < -0.999:
        return np.diag([1.0, -1.0, -1.0])
    share = 1 / (1 + z)
    rows = np.array([[1 - x * x * share, -x * y * share, -x], [-x * y * share, 1 - y * y * share, -y], direction])
    return rows.T
