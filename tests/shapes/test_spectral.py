"""The spectral representation's derivative, which the inversion takes in single precision."""

import numpy as np
import torch

from napari_remidi.shapes.families import closed_axon
from napari_remidi.shapes.spectral import SpectralBasis
from napari_remidi.shapes.tube import Tube


def test_the_derivative_of_a_nearly_straight_axon_is_finite_and_right_in_single_precision() -> None:
    basis, tube = SpectralBasis(bend=6, calibre=8, ellipse=2, slant=6), Tube(2, 21)
    axon = closed_axon(np.random.default_rng(0), "bent", bend=1.0, plane_turn=0.0, radius=1.0, length=12.0)
    exact = torch.as_tensor(basis.coefficients(axon.fields, np.log(axon.length)))
    found = torch.func.jacfwd(lambda c: basis.vertices(c, tube))(exact.float())
    expected = torch.func.jacfwd(lambda c: basis.vertices(c, tube))(exact)
    torch.testing.assert_close(found.double(), expected, atol=1e-3, rtol=1e-3)
