"""The Gaussian latent: invertible, smooth, and normal for what is not."""

import numpy as np
import pytest
import torch
from scipy.stats import kstest, kurtosis

from napari_remidi.shapes.gaussian import FEW, Gaussianisation


@pytest.fixture(scope="module")
def heavy() -> torch.Tensor:
    """A mixture of plain and intricate, correlated and skewed, (8000, 6)."""
    rng = np.random.default_rng(0)
    spread = rng.choice([0.2, 1.0, 3.0], 8000, p=[0.5, 0.3, 0.2])[:, None]
    x = spread * rng.standard_normal((8000, 6)) @ rng.standard_normal((6, 6))
    x[:, 0] = np.exp(0.15 * x[:, 0])
    return torch.as_tensor(x)


def test_a_heavy_tailed_set_becomes_normal(heavy: torch.Tensor) -> None:
    flow = Gaussianisation(6).double()
    flow.fit(heavy[:6000])
    seen = flow(heavy[6000:]).numpy()
    assert kurtosis(heavy.numpy(), axis=0).max() > 5
    assert np.abs(np.cov(seen.T) - np.eye(6)).max() < 0.15
    assert np.abs(seen.mean(axis=0)).max() < 0.1
    assert kurtosis(seen, axis=0).mean() < 1
    assert np.mean([kstest(column, "norm").statistic for column in seen.T]) < 0.06


def test_it_is_inverted_in_closed_form(heavy: torch.Tensor) -> None:
    flow = Gaussianisation(6).double()
    flow.fit(heavy)
    flow.turn(torch.linalg.qr(torch.randn(6, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(1)))[0])
    torch.testing.assert_close(flow.inverse(flow(heavy)), heavy, atol=1e-6, rtol=1e-6)
    draws = torch.randn(500, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    torch.testing.assert_close(flow(flow.inverse(draws)), draws, atol=1e-6, rtol=1e-6)


def test_a_small_set_is_whitened_only(heavy: torch.Tensor) -> None:
    flow = Gaussianisation(6).double()
    few = heavy[: FEW // 10]
    flow.fit(few)
    seen = flow(few)
    torch.testing.assert_close(torch.cov(seen.T), torch.eye(6, dtype=torch.float64), atol=1e-3, rtol=0)
    middle = (flow(few[:1]) + flow(few[1:2])) / 2
    torch.testing.assert_close(flow((few[:1] + few[1:2]) / 2), middle, atol=1e-3, rtol=1e-3)
