"""The phantom's axons, reconstructed: what a user of the demo gets, for every axon and for other seeds.

    python benchmarks/phantom.py [--seeds 0,1,2] [--axons 12] [--snr 50] [--device auto]

Each axon is simulated on a mesh four times finer than the template, gets Rician noise, and is reconstructed with its
orientation unknown and its diffusivity known. Prints the Chamfer distance to the true surface, modulo centring and
the twin, χ² per degree of freedom, iterations and seconds, as a Markdown table.
"""

import argparse

import numpy as np
import trimesh

from napari_remidi.results import inverter_for, reconstruct
from napari_remidi.shapes import make_phantom
from napari_remidi.shapes.phantom import AXONS


def title(index: int) -> str:
    """What is fixed about an axon."""
    kind, fixed = AXONS[index]
    return ", ".join([kind, *(f"{name.replace('_', ' ')} {value:g}" for name, value in fixed.items())])


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", default="0", help="of shapes, orientations and noise, separated by commas")
    parser.add_argument("--axons", type=int, default=len(AXONS), help="how many, from the first")
    parser.add_argument("--snr", type=float, default=50.0)
    parser.add_argument("--device", default="auto")
    arguments = parser.parse_args()
    inverter, distances = None, []
    print("| axon | seed | Chamfer, µm | χ²/dof | iterations | seconds |\n|---|---|---|---|---|---|")
    for seed in map(int, arguments.seeds.split(",")):
        scan = make_phantom(arguments.snr, seed, voxels=arguments.axons)
        known = {"noise_sd": 1 / arguments.snr, "diffusivity": scan.metadata["diffusivity"]}
        inverter = inverter or inverter_for(scan.protocol, "axon", device=arguments.device, **known)
        for index, truth in enumerate(scan.metadata["truth"]):
            axon = reconstruct(scan.voxel(*truth["voxel"]), scan.protocol, inverter=inverter)
            surface = trimesh.Trimesh(truth["points"], truth["faces"], process=False)
            report = axon.with_truth(surface).report()
            distances.append(report["chamfer_um"])
            figures = f"{report['chamfer_um']:.3f} | {report['chi2_per_dof']:.2f}"
            print(
                f"| {title(index)} | {seed} | {figures} | {report['iterations']} | {report['seconds']:.1f} |",
                flush=True,
            )
    print(f"\nmean {np.mean(distances):.3f}, median {np.median(distances):.3f}, largest {np.max(distances):.3f} µm")


if __name__ == "__main__":
    main()
