"""A preview: a shape and its orientation from a signal in less than a tenth of a second, for one protocol."""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.transform import Rotation
from torch import Tensor

from napari_remidi.errors import InputError, PriorError, ProtocolError
from napari_remidi.inversion.levenberg_marquardt import Target
from napari_remidi.inversion.preview.examples import Examples, TurnedSignals, simulate_examples
from napari_remidi.inversion.preview.harmonics import FEWEST, Harmonics
from napari_remidi.inversion.preview.network import PreviewNetwork
from napari_remidi.inversion.preview.store import cached_at, content_key, read, write
from napari_remidi.inversion.preview.surrogate import Surrogate, fit_surrogate
from napari_remidi.inversion.preview.training import train_network
from napari_remidi.inversion.settings import Settings
from napari_remidi.inversion.solution import Iterate
from napari_remidi.inversion.template import Shape, Template
from napari_remidi.physics import TetMesh
from napari_remidi.scan.normalisation import normalised_together
from napari_remidi.scan.smooth import noise_of

if TYPE_CHECKING:
    from napari_remidi.scan import Protocol
    from napari_remidi.shapes import Prior

Floats = NDArray[np.float64]
SHAPES, STEPS, SURROGATE_STEPS = 6000, 3000, 4000
GUESSES = 3  # of the network's sixteen hypotheses, the best by their signals
LEAST_NOISE = 0.03  # of S/S0: the surrogate's error
SENSES = torch.tensor([[1.0, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]])  # a signal does not tell its frame's senses


class Guess(NamedTuple):
    """One hypothesis about a signal.

    latent : (d,)
    rotation : (3, 3), body to world
    score : −2 log posterior up to a constant, lower is better
    """

    latent: Floats
    rotation: Floats
    score: float


@dataclass(frozen=True, eq=False)
class Preview:
    """Networks for one protocol, prior and diffusivity.

    Attributes
    ----------
    protocol, prior : what it is for
    diffusivity : µm²/ms
    network : harmonics of a signal -> hypotheses
    surrogate : latent -> signal
    """

    protocol: "Protocol"
    prior: "Prior"
    diffusivity: float
    network: PreviewNetwork
    surrogate: Surrogate

    @classmethod
    def train(
        cls,
        protocol: "Protocol",
        prior: "Prior",
        settings: Settings | None = None,
        shapes: int = SHAPES,
        steps: int = STEPS,
        seed: int = 0,
    ) -> Iterator["tuple[str, float] | Preview"]:
        """Make one: yields what is done and its share, and the preview last.

        Parameters
        ----------
        protocol : pulsed gradients with timing; a shell with at least six directions
        prior : of axons with closed ends
        settings : its diffusivity is taken as known
        shapes : how many axons are simulated
        steps : of the network's training

        Raises
        ------
        InputError
            Where protocol, prior or settings are none that a preview can be made for.
        """
        settings = settings or Settings()
        check_request(protocol, prior, settings)
        for done in simulate_examples(prior, protocol, settings.diffusivity, shapes, seed):
            if isinstance(done, Examples):
                yield from cls.fit(done, protocol, prior, settings, steps, seed)
            else:
                yield "simulating axons", done

    @classmethod
    def fit(
        cls, examples: Examples, protocol: "Protocol", prior: "Prior", settings: Settings, steps: int, seed: int = 0
    ) -> Iterator["tuple[str, float] | Preview"]:
        """Make one of axons simulated before, as `train` does."""
        surrogate = network = None
        for step in fit_surrogate(examples, SURROGATE_STEPS * steps // STEPS, seed):
            if isinstance(step, Surrogate):
                surrogate = step
            else:
                yield "training the surrogate", step
        for update in train_network(examples, prior, protocol, steps, seed):
            if isinstance(update, PreviewNetwork):
                network = update
            else:
                yield "training the preview", update
        assert surrogate is not None
        assert network is not None
        yield cls(protocol, prior, settings.diffusivity, network, surrogate)

    @torch.no_grad()
    def run(self, signal: ArrayLike, noise_sd: float | None = None) -> list[Guess]:
        """Hypotheses about a signal, (M,) S/S0, the best first.

        Parameters
        ----------
        signal : (M,)
        noise_sd : of S/S0; None: estimated from how smooth the signal is over directions

        Raises
        ------
        InputError
            For a signal of another length, or with values that are not finite.
        """
        values = np.asarray(signal, dtype=np.float64)
        if values.shape != (len(self.protocol),):
            raise InputError(f"the signal has {values.size} values, the preview is for {len(self.protocol)}")
        if bad := int((~np.isfinite(values)).sum()):
            raise InputError(f"{bad} of {len(values)} values of the signal are not finite; choose another voxel")
        noise_sd = max(LEAST_NOISE, noise_sd or noise_of(values, self.protocol) or 0.0)
        target = Target(values, noise_sd, normalised_together(self.protocol))
        latents, rotations = self._hypotheses(values)
        predicted = self._signals(self.surrogate(latents), rotations).double().numpy()
        misfit = np.array([(target.residual(signal) ** 2).sum() for signal in predicted])
        scores = misfit + latents.double().square().sum(dim=1).numpy()
        z, turns = latents.double().numpy(), Rotation.from_matrix(rotations.double().numpy()).as_matrix()
        return [Guess(z[index], turns[index], float(scores[index])) for index in scores.argsort()[:GUESSES]]

    def shape(self, guess: Guess) -> Shape | None:
        """A hypothesis' shape in the body's frame, or None where it folds."""
        return self._template.shape(guess.latent)

    def iterates(self, guesses: list[Guess]) -> Iterator[Iterate]:
        """The best hypothesis that does not fold, for a window to show before a reconstruction begins."""
        for guess in guesses:
            shape = self.shape(guess)
            if shape is not None:
                points = shape.points.numpy() @ guess.rotation.T
                yield Iterate("preview", "Preview", 0.0, points=points, faces=np.asarray(self.prior.boundary))
                return

    def mesh(self, signal: ArrayLike, noise_sd: float | None = None) -> TetMesh:
        """The best hypothesis that does not fold, in world axes, µm, centred; InputError where all fold."""
        for guess in self.run(signal, noise_sd):
            shape = self.shape(guess)
            if shape is not None:
                return TetMesh(shape.points.numpy() @ guess.rotation.T, np.asarray(self.prior.tetrahedra))
        raise InputError("no shape of the prior comes near this signal; choose another voxel")

    def save(self, path: str | PathLike[str]) -> None:
        """Write a .safetensors file; OutputError where it cannot be written."""
        write(Path(path), self._key, self.network, self.surrogate)

    @classmethod
    def load(
        cls, path: str | PathLike[str], protocol: "Protocol", prior: "Prior", settings: Settings | None = None
    ) -> "Preview":
        """A preview that was saved; InputError for a file that is none, or one for another protocol, prior or
        diffusivity.
        """
        settings = settings or Settings()
        check_request(protocol, prior, settings)
        key = content_key(protocol, prior, settings.diffusivity)
        networks = read(Path(path), key, Harmonics(protocol).size, prior.latent_dim, len(protocol.shells))
        return cls(protocol, prior, settings.diffusivity, *networks)

    @classmethod
    def for_protocol(cls, protocol: "Protocol", prior: "Prior", settings: Settings | None = None) -> "Preview | None":
        """The user's preview for a request, or None where none was trained or can be; one whose file is damaged is
        left aside with a warning.
        """
        settings = settings or Settings()
        try:
            check_request(protocol, prior, settings)
        except InputError:
            return None
        path = cached_at(content_key(protocol, prior, settings.diffusivity))
        if not path.is_file():
            return None
        try:
            return cls.load(path, protocol, prior, settings)
        except InputError as error:
            warnings.warn(f"{error}; going on without a preview", stacklevel=2)
            return None

    def check(self, protocol: "Protocol", prior: "Prior", settings: Settings) -> None:
        """Raise InputError where a request is another than the one this preview is for."""
        check_request(protocol, prior, settings)
        if content_key(protocol, prior, settings.diffusivity) != self._key:
            raise InputError(
                "the preview is for another protocol, prior or diffusivity; train one with napari-remidi train-preview"
            )

    @property
    def cache_path(self) -> Path:
        """Where `for_protocol` looks for it."""
        return cached_at(self._key)

    @property
    def _key(self) -> str:
        return content_key(self.protocol, self.prior, self.diffusivity)

    @cached_property
    def _harmonics(self) -> Harmonics:
        return Harmonics(self.protocol)

    @cached_property
    def _signals(self) -> TurnedSignals:
        return TurnedSignals(self.protocol)

    @cached_property
    def _template(self) -> Template:
        return Template.of(self.prior)

    def _hypotheses(self, signal: Floats) -> tuple[Tensor, Tensor]:
        """The network's, for each of the senses of the signal's frame: latents (16, d), rotations (16, 3, 3)."""
        polynomials = self._harmonics.polynomials(torch.as_tensor(signal, dtype=torch.float32)[None])
        frames = self._harmonics.frames(polynomials) * SENSES[:, None]
        found = self.network(self._harmonics.turned(polynomials, frames))
        return found.latent.flatten(0, 1), (frames[:, None] @ found.rotation).flatten(0, 1)


def check_request(protocol: "Protocol", prior: "Prior", settings: Settings) -> None:
    """Raise InputError unless a preview can be made."""
    protocol.require_timing()
    if waves := int(protocol.is_waveform.sum()):
        raise InputError(
            f"{waves} of {len(protocol)} measurements have waveforms, and a preview takes pulsed ones only"
        )
    if prior.ends != "closed" or settings.model != "axon":
        raise PriorError(f"a preview is for one axon with closed ends, not for prior {prior.name!r}: choose 'axon'")
    if settings.fits_diffusivity:
        raise InputError("a preview takes the diffusivity as known: give it, and do not ask to fit it")
    if max((len(shell.indices) for shell in protocol.shells), default=0) < FEWEST:
        raise ProtocolError(
            f"no shell of the protocol has {FEWEST} directions, and a preview needs them; use a scan with more"
        )
