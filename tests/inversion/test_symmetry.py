"""Which shapes are said to be symmetric."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from napari_remidi.inversion import Settings
from napari_remidi.inversion.cell import CellProblem
from napari_remidi.inversion.levenberg_marquardt import Target
from napari_remidi.inversion.symmetry import (
    POINT_SYMMETRIC,
    ROUND,
    UNSEEN,
    changes_by_turns,
    distance_to_twin,
    symmetry_of,
)
from napari_remidi.inversion.template import Template
from napari_remidi.scan import Protocol
from napari_remidi.shapes import Prior
from napari_remidi.shapes.families import closed_axon
from napari_remidi.shapes.tube import Tube

TUBE = Tube(rings=3, layers=41)
Symmetry = Callable[..., str | None]


@pytest.fixture(scope="module")
def problem(protocol: Protocol) -> CellProblem:
    device = torch.device("cpu")
    return CellProblem(Template.of(Prior.load("axon")), protocol, Settings(device="cpu"), device)


@pytest.fixture(scope="module")
def of_axon(problem: CellProblem) -> Symmetry:
    """Symmetry of an axon of a family, at a noise and a standard deviation of its surface."""
    prior = problem.template.prior

    def find(kind: str, noise_sd: float = 0.01, surface_sd: float = 0.05, **fixed: float) -> str | None:
        axon = closed_axon(np.random.default_rng(0), kind, **{"radius": 1.5, "length": 18.0, **fixed})
        latent = prior.encode_coefficients(prior.basis.coefficients(axon.fields, np.log(axon.length)))
        point = problem.point(np.concatenate([latent, np.zeros(3)]), np.eye(3))
        assert point is not None
        return symmetry_of(problem, Target(point.signal, noise_sd), point, surface_sd)

    return find


def test_a_straight_round_axon_fits_at_all_turns(of_axon: Symmetry) -> None:
    found = of_axon("tapered", taper=0.6)
    assert found is not None
    assert ROUND in found
    assert POINT_SYMMETRIC not in found


def test_a_bent_axon_does_not(of_axon: Symmetry) -> None:
    assert of_axon("bent", bend=80.0, plane_turn=0.0) is None


def test_a_bend_that_the_noise_hides_is_none(of_axon: Symmetry) -> None:
    found = of_axon("bent", bend=80.0, plane_turn=0.0, noise_sd=5.0)
    assert found is not None
    assert ROUND in found


def test_the_change_is_that_of_the_signal_in_units_of_the_noise(problem: CellProblem) -> None:
    point = problem.point(np.concatenate([0.5 * problem.template.prior.sample(1, seed=2)[0], np.zeros(3)]), np.eye(3))
    assert point is not None
    fine, coarse = (max(changes_by_turns(problem, Target(point.signal, sd), point)) for sd in (1e-3, 2e-3))
    assert fine == pytest.approx(4 * coarse, rel=0.05)
    assert fine > UNSEEN


def test_the_distance_to_the_twin_is_that_of_the_shape() -> None:
    assert distance_to_twin(TUBE.straight(1.5, 12.0), TUBE, "closed") == pytest.approx(0, abs=1e-9)
    along = np.repeat(np.linspace(-0.5, 0.5, TUBE.layers), len(TUBE.section))
    s_shape, arc = TUBE.straight(1.0, 20.0), TUBE.straight(1.0, 20.0)
    s_shape[:, 0] += 2 * np.sin(2 * np.pi * along)
    arc[:, 0] += 8 * along**2
    assert distance_to_twin(s_shape, TUBE, "closed") == pytest.approx(0, abs=1e-9)
    # x and -x of the arc are 16 s² apart, less its mean of 16/12
    expected = np.abs(16 * (np.linspace(-0.5, 0.5, 41) ** 2 - (np.linspace(-0.5, 0.5, 41) ** 2).mean())).mean()
    assert distance_to_twin(arc, TUBE, "closed") == pytest.approx(expected, rel=1e-6)
