"""Eigenvectors of many small symmetric matrices, where they are quickest and good to the precision of their numbers."""

import torch
from torch import Tensor

LARGEST_BATCHED = 32  # rows; larger ones a graphics processor decomposes one after the other


def eigenbases(matrices: Tensor) -> tuple[Tensor, Tensor]:
    """Eigenvalues (..., r) and orthonormal eigenvectors (..., r, r) of symmetric matrices, in their dtype and device.

    Matrices of more than `LARGEST_BATCHED` rows are decomposed by the CPU: on an NVIDIA H100 thirty of 60 rows take
    24 ms in single precision, five times as long, and by Jacobi rotations that stop ten times earlier.
    """
    device = matrices.device
    small = matrices.shape[-1] <= LARGEST_BATCHED
    values, vectors = torch.linalg.eigh(matrices if small else matrices.cpu())
    return values.to(device), vectors.to(device)
