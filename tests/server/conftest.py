"""The ComfyUI with scripted cards that the tests of the guards share."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest

from custom_nodes.videogen.core.errors import VideoGenError
from tests.support.needs import skip_or_fail
from tests.support.runs import wait_until
from tests.support.servers.guarded_server import GuardedServer, running_guarded_server


@pytest.fixture(scope="session")
def guarded_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GuardedServer]:
    """One ComfyUI with scripted cards for all tests of the guards."""
    with contextlib.ExitStack() as stack:
        try:
            server = stack.enter_context(running_guarded_server(tmp_path_factory.mktemp("guarded")))
        except VideoGenError as error:
            if error.code != "not-installed":
                raise
            skip_or_fail(str(error))
        yield server


@pytest.fixture
def server(guarded_server: GuardedServer) -> Iterator[GuardedServer]:
    """With one cool card, and an empty queue afterwards."""
    guarded_server.cards.reset()
    # The card of another test is a card that has fallen silent, for a guard that ComfyUI has kept.
    guarded_server.client.free()
    yield guarded_server
    guarded_server.cards.reset()
    wait_until(lambda: not guarded_server.client.queue().ids)
