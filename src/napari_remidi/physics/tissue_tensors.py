"""A substrate's parameters as tensors: those a caller wants differentiated, the substrate's own for the rest."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from napari_remidi.errors import InputError
from napari_remidi.physics.substrate import Compartment, Pair, Substrate

Value = Tensor | float
ByName = Value | Mapping[str, Value] | None


@dataclass(frozen=True, eq=False)
class TissueTensors:
    """Parameters as `Piece.entries` takes them, float64.

    Attributes
    ----------
    diffusivity : (C,) or (C, 3, 3) µm²/ms
    t2 : (C,) ms
    permeability : (I,) µm/ms
    relaxivity : (C,) µm/ms
    substrate : Substrate of the same values, without their gradients
    """

    diffusivity: Tensor
    t2: Tensor
    permeability: Tensor
    relaxivity: Tensor
    substrate: Substrate

    @classmethod
    def of(
        cls,
        substrate: Substrate,
        device: torch.device,
        diffusivity: ByName = None,
        t2: ByName = None,
        permeability: Mapping[Pair, Value] | None = None,
        relaxivity: ByName = None,
    ) -> "TissueTensors":
        """Complete what is given, for all compartments or some by name.

        Raises
        ------
        InputError
            For values or names that `Substrate` refuses, and for walls that it has closed, left out or not relaxing:
            what passes where decides which nodes there are, so that such a wall stays as it is.
        """

        def tensor(value: Any) -> Tensor:
            given = value if isinstance(value, Tensor) else np.array(value, dtype=np.float64)
            return torch.as_tensor(given, dtype=torch.float64, device=device)

        def completed(given: ByName, own: Mapping[str, Any], what: str) -> dict[str, Tensor]:
            named = dict.fromkeys(own, given) if given is not None and not isinstance(given, Mapping) else given or {}
            if unknown := [str(name) for name in named if name not in own]:
                raise InputError(f"{what} of {', '.join(unknown)}: the compartments are {', '.join(own)}")
            return {name: tensor(named.get(name, value)) for name, value in own.items()}

        parts = substrate.compartments
        speeds = completed(diffusivity, {name: part.diffusivity for name, part in parts.items()}, "diffusivity")
        times = completed(t2, {name: part.t2 for name, part in parts.items()}, "T2")
        losses = completed(relaxivity, substrate.relaxivity, "relaxivity")
        for name, value in losses.items():
            if float(value.detach()) > 0 and substrate.relaxivity[name] == 0:
                raise InputError(
                    f"relaxivity of compartment {name} is zero in the substrate; start from a positive one"
                )
        fluxes = {_wall(substrate, pair): tensor(value) for pair, value in (permeability or {}).items()}
        fluxes = {**{pair: tensor(value) for pair, value in substrate.permeability.items()}, **fluxes}
        checked = Substrate(
            substrate.mesh,
            {name: Compartment(_plain(speeds[name]), _plain(times[name]), parts[name].density) for name in parts},
            {pair: _plain(value) for pair, value in fluxes.items()},
            {name: _plain(value) for name, value in losses.items()},
        )
        walls = [fluxes.get(pair, tensor(0.0)) for pair in substrate.interfaces]
        return cls(
            _alike(list(speeds.values())),
            torch.stack(list(times.values())),
            torch.stack(walls) if walls else tensor([]),
            torch.stack(list(losses.values())),
            checked,
        )


def _wall(substrate: Substrate, pair: Pair) -> Pair:
    """The pair as the substrate has it, if its wall lets something pass."""
    known = next((own for own in substrate.permeability if set(own) == set(pair)), None)
    if known is None or not 0 < substrate.permeability[known] < math.inf:
        state = "absent" if known and substrate.permeability[known] else "closed"
        wall = "|".join(map(str, pair))
        raise InputError(f"the wall {wall} is {state} in the substrate; start from a finite permeability above zero")
    return known


def _plain(value: Tensor) -> Any:
    return value.detach().cpu().numpy() if value.ndim else float(value.detach())


def _alike(speeds: list[Tensor]) -> Tensor:
    """Numbers (C,), or symmetric tensors (C, 3, 3) if one of them is a tensor."""
    if not any(speed.ndim for speed in speeds):
        return torch.stack(speeds)
    identity = torch.eye(3, dtype=speeds[0].dtype, device=speeds[0].device)
    return torch.stack([(speed + speed.T) / 2 if speed.ndim else speed * identity for speed in speeds])
