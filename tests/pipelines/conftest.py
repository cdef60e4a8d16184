"""Tiny pipelines of random weights, saved once for all tests of this folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

from custom_nodes.videogen.pipelines.loading import LoadRequest, PipelineBox
from custom_nodes.videogen.pipelines.model_index import read_family
from tests.support.needs import require_diffusers

MakeBox = Callable[..., PipelineBox]


@pytest.fixture(scope="session")
def pipelines(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Name → folder."""
    require_diffusers()
    from tests.support.models.tiny_pipelines import save_pipelines

    return save_pipelines(tmp_path_factory.mktemp("pipelines"))


@pytest.fixture
def make_box(pipelines: dict[str, Path]) -> MakeBox:
    """Makes a box of a tiny pipeline by its name."""

    def make(name: str, **options: Any) -> PipelineBox:
        folder = pipelines[name]
        return PipelineBox(LoadRequest(folder, read_family(folder), **options))

    return make
