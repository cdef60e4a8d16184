"""What a real ComfyUI says of prompts that wait, run, are canceled or unknown: by its jobs API where it has one."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from runner.comfyui.session import Session
from tests.support.runs import wait_until
from tests.support.servers.comfy import ComfyServer
from tests.support.stories import segment_graph, small_story

pytestmark = pytest.mark.server

#: Many seconds of storyboards: it is canceled long before.
LONG = small_story("Long", segments=1, fps=24, frames=480)


@pytest.fixture
def session(comfy_server: ComfyServer) -> Iterator[Session]:
    session = Session(comfy_server.client)
    yield session
    session.close()


def test_prompts_are_found_and_canceled_wherever_they_are(comfy_server: ComfyServer, session: Session) -> None:
    client = session.client
    running = comfy_server.submit(segment_graph(LONG))
    waiting = comfy_server.submit(segment_graph(LONG | {"title": "Next"}))
    wait_until(lambda: running in client.queue().running)
    assert client.queue().ids >= {running, waiting}
    assert [session.find(one) for one in (running, waiting, str(uuid.uuid4()))] == ["queued", "queued", ""]
    client.cancel(waiting)
    assert session.find(waiting) == ""
    client.cancel(running)
    assert comfy_server.wait(running).status == "interrupted"
    wait_until(lambda: not client.queue().ids)
    assert session.find(running) == "interrupted"
    client.cancel(running)  # it has ended: nothing happens, to no prompt
    done = comfy_server.submit(segment_graph(small_story("Short", segments=1)))
    assert comfy_server.wait(done).status == "success"
    assert session.find(done) == "success"


def test_the_jobs_api_is_used_where_the_server_has_it(comfy_server: ComfyServer) -> None:
    has_it = comfy_server.client.http.request("GET", "/api/jobs?limit=1").status_code == 200
    unknown = str(uuid.uuid4())
    assert comfy_server.client.find(unknown) == ("" if has_it else None)
