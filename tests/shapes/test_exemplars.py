"""What a prior keeps of its exemplars: enough of their diffusion to find starts by."""

from pathlib import Path

import numpy as np
import pytest
import torch

from napari_remidi.physics import TetMesh, simulate
from napari_remidi.physics.encoding.pgse import Pulse, pgse_signal
from napari_remidi.physics.encoding.pulses import pulse_blocks
from napari_remidi.scan import Protocol, spread_directions
from napari_remidi.shapes import Prior
from napari_remidi.shapes.exemplars import COUNT, ExemplarModels, with_exemplars
from napari_remidi.shapes.quality import folded

VECTORS = spread_directions(12)


@pytest.fixture(scope="module")
def prior() -> Prior:
    return Prior.load("axon")


def test_several_models_side_by_side_give_the_signals_of_each(prior, protocol) -> None:
    device, count, cells = torch.device("cpu"), len(protocol), 3
    blocks = pulse_blocks(protocol, device, torch.float64)
    each = [pgse_signal(prior.models[index], blocks, 2.0, count=count, refine=4) for index in range(cells)]
    stack, repeated = prior.models.stack(slice(0, cells)), [block.repeated(cells, count) for block in blocks]
    together = pgse_signal(stack, repeated, 2.0, count=cells * count, refine=4).reshape(cells, count)
    for index, signal in enumerate(each):  # the largest cell sets the steps of all: steps leave 5e-5
        np.testing.assert_allclose(together[index], signal, atol=1e-4)
        assert np.ptp(signal.numpy()) > 0.3
    whole = Pulse(stack, repeated[0], 2.0, None)
    parts = [part.signal(part.ends(16)) for part in whole.parts(1, len(repeated[0].directions) // 4)]
    assert len(parts) > 2
    np.testing.assert_allclose(torch.cat(parts), whole.signal(whole.ends(16)), atol=1e-6)


def test_a_kept_model_gives_the_exemplar_s_signal(prior) -> None:
    protocol = Protocol.pgse(np.repeat([1000.0, 4000.0], 12), np.concatenate([VECTORS] * 2), 5.0, 25.0)
    blocks = pulse_blocks(protocol, torch.device("cpu"))
    for index in (0, 5, 100, COUNT - 1):
        mesh = prior.decode(prior.exemplars[index])
        exact = simulate(TetMesh(mesh.points, mesh.tetrahedra), protocol, 2.0, device="cpu", tolerance=0.01)
        kept = pgse_signal(prior.models[index], blocks, 2.0, count=len(protocol))
        np.testing.assert_allclose(kept, exact, atol=0.01)


def test_closed_priors_keep_models_and_open_ones_none(prior) -> None:
    assert len(prior.models) == COUNT
    assert len(Prior.load("axon-open").models) == 0


def test_exemplars_that_fold_are_brought_nearer(prior) -> None:
    draws = 8 * prior.draws(100)
    far = draws[folded(prior, draws)][:2]
    kept = with_exemplars(prior, np.concatenate([prior.exemplars[:2], far]))
    np.testing.assert_array_equal(kept.exemplars[:2], prior.exemplars[:2])
    assert len(kept.models) == 4
    assert len(far) == 2
    assert not folded(prior, kept.exemplars).any()


def test_models_survive_a_file(prior, tmp_path: Path) -> None:
    few = ExemplarModels.of([prior.nodes(latent) for latent in prior.exemplars[:3]], prior.tube)
    np.testing.assert_allclose(few.decay, prior.models.decay[:3], rtol=2e-3, atol=1e-6)
    prior.save(tmp_path / "again.safetensors")
    again = Prior.load(tmp_path / "again.safetensors")
    np.testing.assert_array_equal(again.models.decay, prior.models.decay)
    np.testing.assert_array_equal(again.models.position, prior.models.position)
    assert again.content_hash == prior.content_hash
