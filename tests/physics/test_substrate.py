"""What a substrate takes, and what it refuses."""

import subprocess
import sys

import meshes
import numpy as np
import pytest
from layered_meshes import stack

from napari_remidi.errors import InputError, MeshError
from napari_remidi.physics import TetMesh
from napari_remidi.physics.substrate import Compartment, Substrate

NAMES = ["axon", "myelin", "extra"]


@pytest.fixture(scope="module")
def sheath() -> TetMesh:
    """An axon, its myelin and what is outside, as three slabs: axon and extra do not touch."""
    mesh = stack([1, 1, 1], [2.0, 1.0, 3.0])
    return TetMesh(mesh.points, mesh.tetrahedra, mesh.labels, NAMES)


def test_a_plain_mesh_is_one_compartment_of_water() -> None:
    substrate = Substrate(meshes.box((1, 1, 1), (1.0, 1.0, 1.0)))
    assert substrate.names == ("cell",)
    assert substrate.diffusivity.tolist() == [2.0]
    assert substrate.interfaces == ()
    assert not substrate.relaxes


def test_interfaces_are_the_pairs_that_share_faces(sheath: TetMesh) -> None:
    assert Substrate(sheath).interfaces == (("axon", "myelin"), ("myelin", "extra"))


def test_a_pair_may_be_named_in_either_order(sheath: TetMesh) -> None:
    substrate = Substrate(sheath, permeability={("extra", "myelin"): 0.03})
    assert substrate.permeabilities.tolist() == [0.0, 0.03]


def test_numbers_come_in_the_order_of_the_labels(sheath: TetMesh) -> None:
    tensor = np.diag([1.0, 0.2, 0.2])
    parts = {"extra": Compartment(1.5, 60), "axon": Compartment(2.5, 80, 0.9), "myelin": Compartment(tensor, 10, 0.4)}
    substrate = Substrate(sheath, parts, relaxivity={"myelin": 0.01})
    assert substrate.t2.tolist() == [80, 10, 60]
    assert substrate.density.tolist() == [0.9, 0.4, 1.0]
    assert substrate.diffusivity.tolist() == [(2.5 * np.eye(3)).tolist(), tensor.tolist(), (1.5 * np.eye(3)).tolist()]
    assert substrate.relaxivities.tolist() == [0, 0.01, 0]
    assert substrate.relaxes


def test_it_cannot_be_changed(sheath: TetMesh) -> None:
    tensor = np.eye(3)
    substrate = Substrate(sheath, tensor)
    tensor[0, 0] = -1
    assert substrate.diffusivity[0, 0, 0] == 1
    with pytest.raises(TypeError):
        substrate.permeability["axon", "myelin"] = 1.0  # type: ignore[index]
    with pytest.raises(ValueError, match="read-only"):
        substrate.compartments["axon"].diffusivity[0, 0] = 5.0


WATER = Compartment()


def but(**changed: Compartment | float) -> dict:
    return {"axon": WATER, "myelin": WATER, "extra": WATER, **changed}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (({"axon": WATER},), "the mesh's compartments myelin, extra have no parameters; give a Compartment for each of "
         "axon, myelin, extra"),
        ((but(soma=WATER),), "parameters for soma, which the mesh does not have; its compartments are axon, myelin, "
         "extra"),
        ((but(axon=Compartment(0.0)),), "diffusivity of compartment axon is 0; give D > 0 in µm²/ms (free water at "
         "37 °C has 3.0)"),
        ((but(axon=-2.0),), "diffusivity of compartment axon is -2; give D > 0"),
        ((but(extra=Compartment(np.diag([1.0, 1.0, -0.5]))),), "diffusivity of compartment extra has an eigenvalue of "
         "-0.5 µm²/ms; all three must be positive"),
        ((but(extra=Compartment(np.triu(np.ones((3, 3))))),), "diffusivity of compartment extra is no symmetric tensor "
         "of finite numbers; give (T + Tᵀ)/2"),
        ((but(extra=Compartment(np.ones(3))),), "diffusivity of compartment extra has shape (3,); give one number or a "
         "tensor (3, 3), in µm²/ms"),
        ((but(myelin=Compartment(t2=0.0)),), "T2 of compartment myelin is 0; give T2 > 0 in ms (infinity where nothing "
         "relaxes)"),
        ((but(myelin=Compartment(t2=np.nan)),), "T2 of compartment myelin is nan; give T2 > 0"),
        ((but(myelin=Compartment(density=0.0)),), "spin density of compartment myelin is 0; give it > 0, or leave the "
         "compartment out of the mesh"),
        ((WATER, {("axon", "myelin"): -0.1}), "permeability of axon|myelin is -0.1; give κ >= 0 in µm/ms (0 for a "
         "closed wall, infinity for none)"),
        ((WATER, {("axon", "myelin"): np.nan}), "permeability of axon|myelin is nan; give κ >= 0"),
        ((WATER, {("axon", "myelin"): 1.0, ("myelin", "axon"): 1.0}), "permeability of myelin|axon is given in both "
         "orders; give it once"),
        ((WATER, {"axon": 1.0}), "permeability of 'axon': name the two compartments that share the wall, ('a', 'b')"),
        ((WATER, {}, -0.01), "relaxivity of compartment axon is -0.01; give κ_s >= 0 in µm/ms (0 where its walls do "
         "not relax)"),
        ((WATER, {}, {"soma": 0.01}), "relaxivity of soma, which the mesh does not have; its compartments are axon, "
         "myelin, extra"),
    ],
)  # fmt: skip
def test_what_cannot_be_simulated_is_refused(sheath: TetMesh, arguments: tuple, message: str) -> None:
    with pytest.raises(InputError) as refused:
        Substrate(sheath, *arguments)
    assert message in str(refused.value)


def test_a_wall_that_the_mesh_does_not_have_is_refused(sheath: TetMesh) -> None:
    with pytest.raises(MeshError) as refused:
        Substrate(sheath, permeability={("axon", "extra"): 0.1})
    assert str(refused.value) == (
        "permeability of axon|extra: the mesh has no faces between these two; its interfaces are axon|myelin, "
        "myelin|extra"
    )


def test_describing_a_substrate_needs_no_torch() -> None:
    code = "import sys, napari_remidi.physics.substrate; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
