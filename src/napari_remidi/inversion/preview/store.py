"""Previews as files: weights only, under a key of everything they depend on."""

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from platformdirs import user_cache_path
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as safetensors_bytes

from napari_remidi.errors import InputError
from napari_remidi.files import write_whole
from napari_remidi.inversion.preview.network import PreviewNetwork
from napari_remidi.inversion.preview.surrogate import Surrogate

if TYPE_CHECKING:
    from napari_remidi.scan import Protocol
    from napari_remidi.shapes import Prior

FORMAT = 1


def content_key(protocol: "Protocol", prior: "Prior", diffusivity: float) -> str:
    """32 hexadecimal digits of the SHA-256 of a protocol, a prior and a diffusivity."""
    digest = hashlib.sha256(f"{FORMAT} {prior.content_hash} {diffusivity:.6g}".encode())
    for column, decimals in ((protocol.bvals, 1), (protocol.bvecs, 5), (protocol.delta, 3), (protocol.Delta, 3)):
        digest.update((np.round(np.nan_to_num(column), decimals) + 0.0).tobytes())
    return digest.hexdigest()[:32]


def cached_at(key: str) -> Path:
    """Where the user's preview of a key lies."""
    return user_cache_path("napari-remidi") / "previews" / f"{key}.safetensors"


def write(path: Path, key: str, network: PreviewNetwork, surrogate: Surrogate) -> None:
    """Write a file whole; OutputError where that fails."""
    parts = {"network": network, "surrogate": surrogate}
    tensors = {f"{part}.{name}": x.contiguous() for part, m in parts.items() for name, x in m.state_dict().items()}
    content = safetensors_bytes(tensors, {"key": key})
    write_whole(path, lambda file: file.write(content))


def read(path: Path, key: str, inputs: int, latent: int, shells: int) -> tuple[PreviewNetwork, Surrogate]:
    """The networks of a file; InputError where there is none, it is damaged, or its key is another."""
    if not path.is_file():
        raise InputError(f"{path}: no such file; make a preview with napari-remidi train-preview")
    try:
        with safe_open(path, "pt") as file:
            found = (file.metadata() or {})["key"]
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, KeyError, OSError):
        raise InputError(f"{path}: not a preview that can be read; make it again with train-preview") from None
    if found != key:
        raise InputError(
            f"{path}: a preview for another protocol, prior or diffusivity; make one with napari-remidi train-preview"
        )
    network = PreviewNetwork(inputs, latent)
    try:
        surrogate = Surrogate(latent, shells, len(tensors["surrogate.components"]))
        for name, module in (("network", network), ("surrogate", surrogate)):
            prefix = f"{name}."
            own = {key.removeprefix(prefix): x for key, x in tensors.items() if key.startswith(prefix)}
            module.load_state_dict(own)
    except (KeyError, RuntimeError):
        raise InputError(f"{path}: not a preview that can be read; make it again with train-preview") from None
    return network.eval().requires_grad_(False), surrogate.eval().requires_grad_(False)
