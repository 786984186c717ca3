"""Choices: how to reconstruct, one dataclass that gives the form its fields and the engine its arguments."""

from dataclasses import asdict, dataclass, field, fields
from typing import Any, cast

from magicgui.widgets import create_widget
from magicgui.widgets.bases import ValueWidget

PRIORS = [("Axon, closed ends", "axon"), ("Axon, open ends", "axon-open")]
"""The shipped priors: label, name."""


def _shown(default: Any, label: str, tooltip: str, **options: Any) -> Any:
    return field(default=default, metadata={"label": label, "tooltip": tooltip, **options})


@dataclass(frozen=True)
class Choices:
    """Settings a user can change; the names and defaults are the library's."""

    prior: str = _shown(
        "axon",
        "Prior",
        "Which shapes are thought likely. Closed ends: a sealed segment. Open ends: the middle of a longer axon.",
        choices=PRIORS,
    )
    model: str = _shown(
        "axon",
        "Model",
        "One cell: the signal is one axon's. Voxel: dispersed axons with water between them, as in tissue.",
        choices=[("One cell", "axon"), ("Voxel of tissue", "voxel")],
    )
    device: str = _shown("auto", "Device", "Where to compute.", choices=["auto", "cuda", "mps", "cpu"])
    diffusivity: float = _shown(
        2.0,
        "Diffusivity",
        "Inside the axon, µm²/ms; where a fit begins.",
        min=0.05,
        max=3.5,
        step=0.05,
    )
    fit_diffusivity: bool = _shown(False, "Fit diffusivity", "Let the signal decide; fixed tissue needs it.")
    starts: int = _shown(4, "Starts", "Shapes from which the search begins; the best fit is kept.", min=1, max=64)
    iterations: int = _shown(30, "Iterations", "At most so many steps of the final refinement.", min=1, max=500)

    def settings(self) -> dict[str, Any]:
        """Keyword arguments of the engine."""
        return asdict(self)


def choice_fields() -> dict[str, ValueWidget]:
    """A magicgui widget for every choice, by name."""
    made = {}
    for item in fields(Choices):
        options = dict(item.metadata)
        label = options.pop("label")
        made[item.name] = cast(
            ValueWidget,
            create_widget(value=item.default, annotation=item.type, name=item.name, label=label, options=options),
        )
    return made
