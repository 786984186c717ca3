"""A signal on its shells as even spherical harmonics, in a frame of its own.

The frame is the one in which the mean of all shells, as a quadratic form, is diagonal: +z where the signal falls most.
It turns with the axon, so what the harmonics say in it does not depend on the axon's orientation.
"""

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_remidi.inversion.sphere import half_sphere, monomials

if TYPE_CHECKING:
    from napari_remidi.scan import Protocol

HIGHEST = 8  # order of the harmonics
SMOOTH = 0.006  # Laplace-Beltrami regularisation of their fit (Descoteaux et al., MRM 2007)
FEWEST = 6  # directions that one shell at least must have


class Harmonics:
    """The fit for one protocol.

    Attributes
    ----------
    size : number of coefficients F of all shells together
    """

    def __init__(self, protocol: "Protocol") -> None:
        shells = protocol.shells
        orders = [_highest_order(len(shell.indices)) for shell in shells]
        to_polynomial = _harmonics_to_polynomial()
        most = max(len(shell.indices) for shell in shells)
        rows = np.zeros((len(shells), most), dtype=np.int64)  # of smaller shells the last ones have no weight
        fit = np.zeros((len(shells), most, len(to_polynomial)))
        for index, (shell, order) in enumerate(zip(shells, orders, strict=True)):
            basis, degrees = _harmonics(protocol.bvecs[shell.indices], order)
            penalty = np.diag(SMOOTH * (degrees * (degrees + 1.0)) ** 2)
            fitted = np.linalg.solve(basis.T @ basis + penalty, basis.T)
            size = len(shell.indices)
            rows[index, :size], fit[index, :size] = shell.indices, (to_polynomial[:, : len(degrees)] @ fitted).T
        self._rows, self._fit = torch.as_tensor(rows), torch.as_tensor(fit, dtype=torch.float32)
        nodes = half_sphere(60)
        self._nodes = torch.as_tensor(nodes, dtype=torch.float32)
        basis, degrees = _harmonics(nodes, HIGHEST)
        self._analysis = torch.as_tensor(np.linalg.pinv(basis), dtype=torch.float32)
        products = (nodes[:, :, None] * nodes[:, None]).reshape(-1, 9)
        second = degrees == 2
        as_form = np.linalg.pinv(products) @ basis[:, second] @ np.linalg.pinv(to_polynomial)[second]
        self._second_order = torch.as_tensor(as_form, dtype=torch.float32)
        kept = torch.as_tensor(degrees <= np.array(orders)[:, None])
        self._kept = kept.flatten().nonzero()[:, 0]
        self._anisotropic = torch.as_tensor(np.array(orders) >= 2)
        self.size = len(self._kept)

    def polynomials(self, signals: Tensor) -> Tensor:
        """Signals (B, M) as polynomials of degree eight in world axes, (B, S, 45)."""
        return torch.einsum("bsn,snc->bsc", signals[:, self._rows], self._fit)

    def frames(self, polynomials: Tensor) -> Tensor:
        """The signals' own frames: columns are their x, y and z in world axes, (B, 3, 3), right-handed."""
        mean = polynomials[:, self._anisotropic].mean(dim=1)
        form = -(mean @ self._second_order.T).unflatten(1, (3, 3))
        _, axes = torch.linalg.eigh(form)
        x, z = axes[:, :, 1], axes[:, :, 2]
        return torch.stack([x, torch.linalg.cross(z, x), z], dim=2)

    def turned(self, polynomials: Tensor, frames: Tensor) -> Tensor:
        """Coefficients of the harmonics in frames, (B, F)."""
        values = polynomials @ monomials(self._nodes @ frames.transpose(1, 2), HIGHEST).transpose(1, 2)
        return (values @ self._analysis.T).flatten(1)[:, self._kept]


def _count(order: int) -> int:
    return (order + 1) * (order + 2) // 2


def _highest_order(directions: int) -> int:
    return max(order for order in range(0, HIGHEST + 1, 2) if _count(order) <= max(directions, 1))


def _harmonics(directions: NDArray[np.float64], order: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Real even spherical harmonics at directions, (n, C), and the degree of each."""
    from dipy.core.geometry import cart2sphere
    from dipy.reconst.shm import real_sh_descoteaux

    _, theta, phi = cart2sphere(*directions.T)
    basis, _, degrees = real_sh_descoteaux(order, theta, phi, legacy=False)
    return np.asarray(basis), np.asarray(degrees)


@lru_cache
def _harmonics_to_polynomial() -> NDArray[np.float64]:
    """(45, 45): from coefficients of harmonics to those of monomials of degree eight."""
    nodes = half_sphere(90)
    at_nodes = monomials(torch.as_tensor(nodes), HIGHEST).numpy()
    return np.asarray(np.linalg.pinv(at_nodes) @ _harmonics(nodes, HIGHEST)[0])
