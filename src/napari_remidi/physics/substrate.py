"""What fills a mesh: the compartments' diffusivity, T2 and spin density, and how permeable the walls between them are.

The magnetisation is m relative to the spin density ρ, one everywhere at the start:

    ρ ∂m/∂t = ∇·(ρ D ∇m) − ρ m / T2 − i q f(t) g·x ρ m                       in every compartment
    n·ρ_a D_a ∇m_a = n·ρ_b D_b ∇m_b = κ √(ρ_a ρ_b) (m_b − m_a)               on the wall between a and b, n from a to b
    n·ρ D ∇m = −ρ κ_s m                                                       on walls that relax

so that still spins of unequal density stay as they are (no net flux at m_a = m_b), and every term is symmetric in the
product ∫ ρ m w. Powles et al. 1992 (permeable walls), Brownstein and Tarr 1979 (relaxing walls), Li et al. 2019 (both
in finite elements).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_remidi.errors import InputError, MeshError
from napari_remidi.physics.faces import Faces
from napari_remidi.physics.mesh import TetMesh

Floats = NDArray[np.float64]
Pair = tuple[str, str]


@dataclass(frozen=True, eq=False)
class Compartment:
    """What the spins of one compartment do; `Substrate` checks the numbers, and names the compartment if one is wrong.

    Parameters
    ----------
    diffusivity : µm²/ms, or a symmetric positive definite tensor (3, 3) µm²/ms, world axes
    t2 : ms; infinite where nothing relaxes
    density : spins per volume, in any unit: only ratios between compartments count
    """

    diffusivity: float | Floats = 2.0
    t2: float = math.inf
    density: float = 1.0


@dataclass(frozen=True, eq=False)
class Substrate:
    """A mesh whose compartments have parameters: everything about the tissue that a simulation needs.

    Parameters
    ----------
    mesh : TetMesh
    compartments : parameters of each compartment by name; one `Compartment`, or a diffusivity in µm²/ms, for all
    permeability : κ of walls between compartments by their two names, in either order, µm/ms: 0 lets no spin pass (so
        do walls that are not named), infinity is no wall at all
    relaxivity : κ_s of the walls that bound a compartment, by its name or one for all, µm/ms: its outer surface and
        its side of every interface, except where κ is infinite

    Attributes
    ----------
    names : the compartments in the order of the mesh's labels; so are the arrays below
    interfaces : pairs of names of compartments that share faces

    Raises
    ------
    InputError
        For labels without parameters or parameters without labels, D, T2 or density that are not positive, a tensor
        that is not symmetric positive definite, κ or κ_s that are negative.
    MeshError
        For the permeability of two compartments that share no face.

    Examples
    --------
    >>> corners = [[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 1]]
    >>> two = TetMesh(corners, [[0, 1, 2, 3], [4, 2, 1, 3]], [0, 1], ["axon", "extra"])
    >>> parts = {"axon": Compartment(1.8, t2=80), "extra": Compartment(2.2, t2=60)}
    >>> Substrate(two, parts, {("extra", "axon"): 0.02}).permeability
    mappingproxy({('axon', 'extra'): 0.02})
    """

    mesh: TetMesh
    compartments: Mapping[str, Compartment]
    permeability: Mapping[Pair, float]
    relaxivity: Mapping[str, float]

    def __init__(
        self,
        mesh: TetMesh,
        compartments: Compartment | float | Mapping[str, Compartment | float] | None = None,
        permeability: Mapping[Pair, float] | None = None,
        relaxivity: float | Mapping[str, float] = 0.0,
    ) -> None:
        given = Compartment() if compartments is None else compartments
        if not isinstance(given, Mapping):
            given = dict.fromkeys(mesh.names, given)
        _check_names(mesh.names, given)
        parts = {name: _checked_compartment(name, given[name]) for name in mesh.names}
        object.__setattr__(self, "mesh", mesh)
        object.__setattr__(self, "compartments", MappingProxyType(parts))
        object.__setattr__(self, "permeability", MappingProxyType(self._checked_permeability(permeability or {})))
        object.__setattr__(self, "relaxivity", MappingProxyType(_checked_relaxivity(mesh.names, relaxivity)))

    @property
    def names(self) -> tuple[str, ...]:
        """The compartments, in the order of the mesh's labels."""
        return self.mesh.names

    @cached_property
    def faces(self) -> Faces:
        """The mesh's triangles, with the tetrahedra on their sides."""
        return Faces.of(self.mesh.tetrahedra)

    @cached_property
    def interfaces(self) -> tuple[Pair, ...]:
        """Pairs of compartments that share faces, each in the order of the labels."""
        labels = np.sort(self.mesh.labels[self.faces.sides], axis=1)
        pairs = np.unique(labels[labels[:, 0] != labels[:, 1]], axis=0)
        return tuple((self.names[a], self.names[b]) for a, b in pairs)

    @cached_property
    def diffusivity(self) -> Floats:
        """D, (C,) µm²/ms, or (C, 3, 3) where a compartment has a tensor."""
        values = [np.asarray(part.diffusivity) for part in self.compartments.values()]
        if any(value.ndim for value in values):
            values = [value if value.ndim else value * np.eye(3) for value in values]
        return np.stack(values)

    @property
    def fastest(self) -> float:
        """Largest diffusivity in any direction, µm²/ms."""
        return float((self.diffusivity if self.diffusivity.ndim == 1 else np.linalg.eigvalsh(self.diffusivity)).max())

    @cached_property
    def t2(self) -> Floats:
        """T2, (C,) ms."""
        return np.array([part.t2 for part in self.compartments.values()])

    @cached_property
    def density(self) -> Floats:
        """ρ, (C,)."""
        return np.array([part.density for part in self.compartments.values()])

    @cached_property
    def permeabilities(self) -> Floats:
        """κ in the order of `interfaces`, (I,) µm/ms; 0 where none was given."""
        return np.array([self.permeability.get(pair, 0.0) for pair in self.interfaces])

    @cached_property
    def relaxivities(self) -> Floats:
        """κ_s, (C,) µm/ms."""
        return np.array([self.relaxivity[name] for name in self.names])

    @property
    def relaxes(self) -> bool:
        """Whether the echo time matters: a T2 is finite, or a wall relaxes."""
        return bool(np.isfinite(self.t2).any() or self.relaxivities.any())

    def _checked_permeability(self, given: Mapping[Pair, float]) -> dict[Pair, float]:
        checked: dict[Pair, float] = {}
        for pair, kappa in given.items():
            if isinstance(pair, str) or len(pair) != 2:
                raise InputError(f"permeability of {pair!r}: name the two compartments that share the wall, ('a', 'b')")
            a, b = pair
            known = next((names for names in self.interfaces if set(names) == {a, b}), None)
            if known is None:
                present = ", ".join(f"{x}|{y}" for x, y in self.interfaces) or "none"
                raise MeshError(
                    f"permeability of {a}|{b}: the mesh has no faces between these two; its interfaces are {present}"
                )
            if known in checked:
                raise InputError(f"permeability of {a}|{b} is given in both orders; give it once")
            checked[known] = _checked(
                f"permeability of {a}|{b}",
                kappa,
                "give κ >= 0 in µm/ms (0 for a closed wall, infinity for none)",
                zero=True,
                infinite=True,
            )
        return checked


def _check_names(names: tuple[str, ...], given: Mapping[str, Compartment | float]) -> None:
    if missing := [name for name in names if name not in given]:
        raise InputError(
            f"the mesh's compartments {', '.join(missing)} have no parameters; give a Compartment for each of "
            f"{', '.join(names)}"
        )
    if surplus := [str(name) for name in given if name not in names]:
        raise InputError(
            f"parameters for {', '.join(surplus)}, which the mesh does not have; "
            f"its compartments are {', '.join(names)}"
        )


def _checked_compartment(name: str, given: Compartment | float) -> Compartment:
    part = given if isinstance(given, Compartment) else Compartment(given)
    t2 = _checked(
        f"T2 of compartment {name}", part.t2, "give T2 > 0 in ms (infinity where nothing relaxes)", infinite=True
    )
    density = _checked(
        f"spin density of compartment {name}", part.density, "give it > 0, or leave the compartment out of the mesh"
    )
    return Compartment(_checked_diffusivity(name, part.diffusivity), t2, density)


def _checked_diffusivity(name: str, given: ArrayLike) -> float | Floats:
    what = f"diffusivity of compartment {name}"
    value = np.array(given, dtype=np.float64)
    if value.ndim == 0:
        return _checked(what, float(value), "give D > 0 in µm²/ms (free water at 37 °C has 3.0)")
    if value.shape != (3, 3):
        raise InputError(f"{what} has shape {value.shape}; give one number or a tensor (3, 3), in µm²/ms")
    if not np.isfinite(value).all() or not np.allclose(value, value.T, rtol=1e-6, atol=1e-9):
        raise InputError(f"{what} is no symmetric tensor of finite numbers; give (T + Tᵀ)/2")
    value = (value + value.T) / 2
    if (lowest := float(np.linalg.eigvalsh(value)[0])) <= 0:
        raise InputError(f"{what} has an eigenvalue of {lowest:.3g} µm²/ms; all three must be positive")
    value.setflags(write=False)
    return value


def _checked_relaxivity(names: tuple[str, ...], given: float | Mapping[str, float]) -> dict[str, float]:
    values = given if isinstance(given, Mapping) else dict.fromkeys(names, given)
    if surplus := [str(name) for name in values if name not in names]:
        raise InputError(
            f"relaxivity of {', '.join(surplus)}, which the mesh does not have; its compartments are {', '.join(names)}"
        )
    hint = "give κ_s >= 0 in µm/ms (0 where its walls do not relax)"
    return {
        name: _checked(f"relaxivity of compartment {name}", values.get(name, 0.0), hint, zero=True) for name in names
    }


def _checked(what: str, given: float, hint: str, zero: bool = False, infinite: bool = False) -> float:
    """A positive number, or zero or infinity where they are allowed; `hint` ends the sentence that refuses others."""
    value = float(given)
    if (value > 0 or (zero and value == 0)) and (infinite or math.isfinite(value)):
        return value
    raise InputError(f"{what} is {value:g}; {hint}")
