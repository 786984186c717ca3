"""How sure a reconstruction is: the posterior's covariance, and what it means for every vertex."""

import numpy as np
from numpy.typing import NDArray

from napari_remidi.inversion.template import Shape

Floats = NDArray[np.float64]
# times the noise that the error bars are made for: shapes change signals along curves, and more than one may explain a
# signal, so that tangents alone give bars that hold half to three quarters of the truths instead of nine tenths. With
# open ends it was not measured, and tissue's model error already counts as noise
CURVED = {"closed": 2.6, "open": 1.0}

TURNED = 0.3  # per rad², what is known of an angle before anything is measured: that it is less than a turn
LEAST = 1e-12  # of a scaled Hessian's eigenvalues


def posterior_covariance(hessian: Floats, precision: Floats, wider: float = 1.0) -> Floats:
    """Laplace approximation (JᵀJ/σ² + prior)⁻¹, (P, P), with the noise counted as `wider` times as large.

    Parameters
    ----------
    hessian : (P, P) JᵀJ/σ² + prior
    precision : (P,) of the prior, which stays as it is; zero for angles, which are known to `TURNED`
    """
    prior = np.diag(precision)
    hessian = (hessian - prior) / wider**2 + np.diag(known(precision))
    scale = np.sqrt(np.maximum(np.diag(hessian), 1e-12))
    values, vectors = np.linalg.eigh(hessian / np.outer(scale, scale))
    vectors = vectors / scale[:, None]
    return np.asarray((vectors / np.maximum(values, LEAST)) @ vectors.T)


def known(precision: Floats) -> Floats:
    """A prior's precision, (P,), angles included."""
    return np.where(precision == 0, TURNED, precision)


def vertex_sd(shape: Shape, rotation: Floats, covariance: Floats, boundary: NDArray[np.int64], turn: slice) -> Floats:
    """Standard deviation of every node, (n,) µm: along the normal on the surface, per direction inside.

    A node that slides along the surface changes no shape, so only its normal motion counts. Position is not
    measured, so the node mean is held.
    """
    body = shape.points.cpu().numpy()
    latent = shape.velocities.double().cpu().numpy()
    size = len(latent)
    normals = vertex_normals(body, boundary)
    # turning by ω in the world moves a node by ω × Rx; in the body's frame by (Rᵀω) × x
    turns = np.cross(np.eye(3)[:, None], body[None])
    moves = np.concatenate([latent, np.einsum("ji,jnc->inc", rotation.T, turns)])
    moves = moves - moves.mean(axis=1, keepdims=True)
    rows = np.r_[np.arange(size), np.arange(turn.start, turn.stop)]
    block = covariance[np.ix_(rows, rows)]
    along = np.einsum("pnc,nc->np", moves, normals)
    sd = np.sqrt(np.maximum((along @ block * along).sum(axis=1), 0))
    inside = ~normals.any(axis=1)
    within = moves[:, inside]
    everywhere = (np.tensordot(block, within, 1) * within).sum(axis=(0, 2))
    sd[inside] = np.sqrt(np.maximum(everywhere, 0) / 3)
    return sd


def vertex_normals(points: Floats, boundary: NDArray[np.int64]) -> Floats:
    """Area-weighted unit normals of surface nodes, (n, 3); zero inside."""
    corners = points[boundary]
    faces = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals = np.zeros_like(points)
    for corner in range(3):
        np.add.at(normals, boundary[:, corner], faces)
    length = np.linalg.norm(normals, axis=1, keepdims=True)
    return np.divide(normals, length, out=np.zeros_like(normals), where=length > 0)
