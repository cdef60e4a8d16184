"""Fixtures for tests of the runner that need neither torch nor a ComfyUI."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.servers.fake_server import FakeServer, fake_server


@pytest.fixture(scope="session")
def object_info() -> dict[str, Any]:
    """What ComfyUI 0.3.75 answers to /object_info, of a few nodes; one checkpoint and one image are there."""
    return json.loads(Path(__file__).with_name("object_info.json").read_text(encoding="utf-8"))


@pytest.fixture
def server() -> Iterator[FakeServer]:
    """A server that says it is a ComfyUI and knows nothing else yet."""
    with fake_server() as fake:
        yield fake
