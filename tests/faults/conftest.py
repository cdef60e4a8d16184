"""Fixtures of the tests of faults."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from custom_nodes.videogen.core.errors import VideoGenError
from tests.conftest import skip_or_fail
from tests.faults.harness import running_fault_server
from tests.faults.proxy import Proxy
from tests.support.servers.comfy import ComfyServer


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "tests/faults" in item.path.as_posix():
            item.add_marker(pytest.mark.server)


@pytest.fixture(scope="session")
def fault_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ComfyServer]:
    """One real ComfyUI with nodes that fail, for all tests that leave it alive."""
    running = running_fault_server(tmp_path_factory.mktemp("faults"))
    try:
        started = running.__enter__()
    except VideoGenError as error:
        if error.code != "not-installed":
            raise
        skip_or_fail(str(error))
    try:
        yield started
    finally:
        running.__exit__(None, None, None)


@pytest.fixture
def proxy(fault_server: ComfyServer) -> Iterator[Proxy]:
    """Between the runner and that ComfyUI."""
    port = int(fault_server.url.rpartition(":")[2])
    with Proxy(port) as proxy:
        yield proxy


@pytest.fixture(autouse=True)
def _quiet() -> None:
    # The command line sets this up once; what is left over from another test must not count against this one.
    logging.getLogger("urllib3").setLevel(logging.CRITICAL)
