"""A small scan of known axons: every voxel is one cell, simulated on a finer mesh than the template's, with Rician
noise.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from napari_remidi.errors import InputError
from napari_remidi.physics import Simulator, TetMesh
from napari_remidi.shapes.families import closed_axon
from napari_remidi.shapes.spectral import SpectralBasis
from napari_remidi.shapes.tube import Tube

if TYPE_CHECKING:
    from napari_remidi.scan import Scan

FINE = Tube(rings=3, layers=85, sectors=24)
FINE_BASIS = SpectralBasis(bend=24, calibre=40, ellipse=8, slant=24)
SHAPE = (4, 3, 1)
VOXEL_MM = (2.0, 2.0, 2.0)
S0 = 1000.0
DIFFUSIVITY = 2.0
TOLERANCE = 1e-4  # of S/S0: a systematic error of 5e-4 is what the noise of 1890 measurements averages to
# voxel by voxel along x, then y: the kind of axon and what is fixed about it; the rest is drawn
AXONS: tuple[tuple[str, dict[str, float]], ...] = (
    ("straight", {"radius": 1.5, "length": 16.0}),
    ("bent", {"radius": 1.4, "length": 20.0, "bend": 75.0, "plane_turn": 0.0}),
    ("beaded", {"radius": 1.6, "length": 18.0, "beads": 3, "bead_size": 0.6, "bead_sharpness": 1}),
    ("fanned", {"radius": 1.3, "length": 18.0, "fan": 40.0, "fan_at": 0.45}),
    ("beaded", {"radius": 1.4, "length": 20.0, "beads": 4, "bead_size": 0.5, "bead_sharpness": 2}),
    ("fanned", {"radius": 1.6, "length": 15.0, "fan": 20.0, "fan_at": 0.55}),
    ("bent", {"radius": 1.2, "length": 22.0, "bend": 60.0, "plane_turn": 100.0}),
    ("tapered", {"radius": 1.7, "length": 16.0, "taper": 0.45}),
    ("elliptic", {"radius": 1.8, "length": 15.0, "ellipse": 0.2}),
    ("straight", {"radius": 0.8, "length": 14.0}),
    ("straight", {"radius": 2.6, "length": 18.0}),
    ("mixed", {"radius": 1.6, "length": 18.0}),
)


def make_phantom(
    snr: float = 50.0,
    seed: int = 0,
    progress: Callable[[float], None] = lambda done: None,
    voxels: int | None = None,
    device: str = "cpu",
) -> "Scan":
    """Make the phantom scan, 4 × 3 × 1 voxels, with the ReMiDi paper's protocol.

    Parameters
    ----------
    snr : of the b = 0 signal; the noise is Rician
    seed : of the shapes' free parameters, their orientations and the noise
    progress : told the share done
    voxels : how many axons to make, from the first; the rest of the scan stays empty. None: all
    device : of the simulation

    Returns
    -------
    Scan
        `metadata["truth"]` lists for every voxel its "voxel", "kind", "points" (s, 3) µm in world axes, "faces" (k, 3),
        "rotation" (3, 3) and "parameters"; `metadata["noise_sd"]` is that of S/S0, `metadata["diffusivity"]` µm²/ms.

    Raises
    ------
    InputError
        For an SNR that is not positive.
    """
    from napari_remidi.scan import Protocol, Scan

    if not snr > 0:
        raise InputError(f"snr is {snr}; it must be positive")
    protocol = Protocol.paper()
    data = np.zeros((*SHAPE, len(protocol)), dtype=np.float32)
    truth = []
    count = len(AXONS) if voxels is None else min(voxels, len(AXONS))
    for index, (kind, fixed) in enumerate(AXONS[:count]):
        rng = np.random.default_rng([seed, index])
        mesh, rotation, parameters = fine_axon(rng, kind, fixed)
        signal = Simulator(mesh, DIFFUSIVITY, tolerance=TOLERANCE, device=device).run(protocol).signal
        noise = rng.standard_normal((2, len(protocol))) / snr
        voxel = (index % SHAPE[0], index // SHAPE[0], 0)
        data[voxel] = S0 * np.hypot(signal + noise[0], noise[1])
        surface = mesh.surface
        truth.append(
            {
                "voxel": voxel,
                "kind": kind,
                "points": np.asarray(surface.vertices),
                "faces": np.asarray(surface.faces),
                "rotation": rotation,
                "parameters": parameters,
            }
        )
        progress((index + 1) / count)
    affine = np.diag([*VOXEL_MM, 1.0])
    affine[:3, 3] = -np.array(VOXEL_MM) * (np.array(SHAPE) - 1) / 2
    metadata = {"truth": truth, "noise_sd": 1 / snr, "snr": snr, "seed": seed, "diffusivity": DIFFUSIVITY}
    return Scan.from_arrays(data, affine, protocol, "Phantom", metadata)


def fine_axon(
    rng: np.random.Generator, kind: str, fixed: dict[str, Any]
) -> tuple[TetMesh, NDArray[np.float64], dict[str, Any]]:
    """An axon of the family on the fine mesh, turned at random: mesh, rotation (3, 3), parameters."""
    axon = closed_axon(rng, kind, **fixed)
    coefficients = FINE_BASIS.coefficients(axon.fields, np.log(axon.length))
    points = FINE_BASIS.vertices(torch.as_tensor(coefficients), FINE).numpy()
    rotation = Rotation.random(random_state=rng).as_matrix()
    return TetMesh(points @ rotation.T, FINE.tetrahedra), rotation, {"kind": kind, **axon.parameters}
