"""Embeddings combined, against the formulas in numpy."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from custom_nodes.videogen.tensor.ip_adapter.combine_embeds import METHODS

FORMULAS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "add": lambda e: np.sum(e, axis=0),
    "subtract": lambda e: e[0] - np.mean(e[1:], axis=0),
    "average": lambda e: np.mean(e, axis=0),
    "norm average": lambda e: np.mean(e / np.sqrt(np.sum(e**2, axis=0)), axis=0),
    "max": lambda e: np.max(e, axis=0),
    "min": lambda e: np.min(e, axis=0),
}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("shape", [(2, 12), (3, 12), (4, 5, 12)])
def test_the_formulas(method: str, shape: tuple[int, ...]) -> None:
    embeds = np.random.default_rng(1).normal(size=shape)
    found = METHODS[method](torch.from_numpy(embeds))
    assert found.shape == (1, *shape[1:])
    np.testing.assert_allclose(found[0].numpy(), FORMULAS[method](embeds), rtol=1e-12)


def test_a_value_that_is_zero_everywhere_has_no_direction() -> None:
    embeds = torch.tensor([[0.0, 1.0], [0.0, 1.0]])
    assert METHODS["norm average"](embeds).tolist() == [[0.0, pytest.approx(0.5**0.5)]]
