"""A reconstruction made by hand: a prior's shape, as if an inversion had found it."""

import numpy as np
import pytest

from napari_remidi.inversion import Settings, Solution
from napari_remidi.inversion.samples import with_intervals
from napari_remidi.physics import TetMesh, simulate
from napari_remidi.results import Axon
from napari_remidi.scan import Protocol, spread_directions
from napari_remidi.shapes import Prior

PASSED = {
    "chi2": 11.2, "degrees": 8.4, "noise_sd": 0.02, "noise_source": "given", "p_size": 0.22, "structure": None,
    "p_structure": None, "extension": 12.0, "least_extension": 2.5, "p_shape": 0.4, "p_value": 0.44,
    "p_constant": 1e-9, "explained": True, "failed": None,
}  # fmt: skip


@pytest.fixture(scope="session")
def axon() -> Axon:
    prior = Prior.load("axon")
    latent = 0.6 * prior.sample(1, seed=4)[0]
    mesh = prior.decode(latent)
    bvecs = np.vstack([np.zeros((2, 3)), spread_directions(12)])
    protocol = Protocol.pgse(np.repeat([0.0, 3000.0], [2, 12]), bvecs, 5, 25)
    signal = simulate(TetMesh(mesh.points, mesh.tetrahedra), protocol, 2.0, device="cpu")
    covariance = 0.01 * np.eye(prior.latent_dim + 3)
    solution = Solution(
        points=mesh.points,
        tetrahedra=np.asarray(mesh.tetrahedra),
        faces=np.asarray(prior.boundary),
        signal=signal,
        latent=latent,
        rotation=np.eye(3),
        diffusivity=2.0,
        fractions={"intra": 1.0, "extra": 0.0, "free": 0.0},
        compartments={"diffusivity_um2_per_ms": 2.0},
        covariance=covariance,
        vertex_sd=np.linspace(0, 0.2, len(mesh.points)),
        radii=np.linspace(1.0, 1.4, 41),
        history=({"iteration": 1, "objective": 10.0},),
        chi2_per_dof=1.0,
        variance_explained=0.999,
        noise_sd=0.02,
        noise_source="given",
        iterations=1,
        stop_reason="converged",
        seconds=1.0,
        settings=Settings(noise_sd=0.02).to_dict(),
        device="cpu",
        quantities=with_intervals(prior, mesh.points, latent, covariance),
        fit=PASSED,
        symmetry="round: turned about its axis by any angle it has the same signal",
    )
    return Axon.from_solution(solution, signal + 0.01, protocol, {"scan": "made by hand", "voxel": [1, 2, 3]})
