from __future__ import annotations

import gc
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.runner.property.world import World
from tests.support.servers.fake_server import FakeServer

#: Runs are forked here, which not every system can.
collect_ignore_glob = [] if hasattr(os, "fork") else ["test_*.py"]


@pytest.fixture(scope="package", autouse=True)
def _without_what_pytest_holds() -> Iterator[None]:
    """Every run is forked after a collection of garbage, which would go through the objects of ten thousand tests."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture(scope="session")
def fronts() -> Iterator[list[FakeServer]]:
    """The HTTP sides of three servers; a world gives each a model of its own."""
    servers = [FakeServer() for _ in range(3)]
    yield servers
    for server in servers:
        server.close()


@pytest.fixture
def jobs() -> bool:
    """Whether the servers have the jobs API."""
    return False


@pytest.fixture
def make_world(
    tmp_path: Path, fronts: list[FakeServer], object_info: dict[str, Any], jobs: bool
) -> Callable[..., World]:
    def make(**options: Any) -> World:
        return World(tmp_path, fronts, object_info, jobs=jobs, **options)

    return make
