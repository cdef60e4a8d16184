"""The server of a run's own: it starts in folders that nobody has prepared for it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from custom_nodes.videogen.core.errors import StartFailedError
from custom_nodes.videogen.core.story.parser import parse_story
from custom_nodes.videogen.media.story_file import LoadedStory
from runner.comfyui.embedded import EmbeddedServer
from runner.comfyui.installation import Installation
from runner.run import server_connections
from runner.run.request import RunRequest
from runner.run.server_connections import ServerConnections
from runner.workflows.workflow import Workflow
from tests.support.servers.fake_server import FakeServer, fake_server
from tests.support.stories import small_story

STORY = small_story("Tiny")


@pytest.mark.skipif(sys.platform == "win32", reason="links take rights on Windows")
@pytest.mark.parametrize("name", ["output", "temp", "user"])
def test_links_in_its_folders_are_removed_before_it_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    victim = tmp_path / "victim"
    victim.mkdir()
    (victim / "precious").write_text("precious")
    folder = tmp_path / "run" / "server"
    (folder / name / "deep").mkdir(parents=True)
    (folder / name / "videogen").symlink_to(victim)
    (folder / name / "deep" / "er").symlink_to(victim)
    seen: list[list[Path]] = []

    def start(server: EmbeddedServer, **_: object) -> None:
        seen.append(list((server.folder / name).rglob("*")))
        raise StartFailedError("enough seen", "", hopeless=True)

    monkeypatch.setattr(EmbeddedServer, "start", start)
    monkeypatch.setattr(
        server_connections, "find_installation", lambda: Installation(tmp_path, Path(sys.executable), (), "0.3.75")
    )
    request = RunRequest(
        LoadedStory(parse_story(STORY), STORY), Workflow(tmp_path / "w.json", None, {}), tmp_path / "run"
    )
    with pytest.raises(StartFailedError, match="enough seen"):
        ServerConnections(request, folder, lambda text: None).connect()
    assert seen == [[]]
    assert (victim / "precious").read_text() == "precious"


# ------------------------------------------------------------------ one server by two addresses


def connect(folder: Path, urls: list[str], said: list[str]) -> list[str]:
    """The servers of a run that names these."""
    request = RunRequest(
        LoadedStory(parse_story(STORY), STORY), Workflow(folder / "w.json", None, {}), folder / "run", tuple(urls)
    )
    connections = ServerConnections(request, folder, said.append)
    try:
        connections.connect()
        return [server.name for server in connections.servers]
    finally:
        connections.close()


def tell(server: FakeServer, identity: object) -> None:
    server.routes["GET /videogen/telemetry"] = {"running": True, "readings": [], "server": identity}


@pytest.mark.parametrize("other", ["http://localhost:{port}", "http://0x7f000001:{port}", "http://127.1:{port}"])
def test_a_server_by_two_addresses_is_one(tmp_path: Path, server: FakeServer, other: str) -> None:
    tell(server, "a" * 32)
    second = other.format(port=server.url.rpartition(":")[2])
    said: list[str] = []
    assert connect(tmp_path, [server.url, second], said) == [server.url]
    assert said == [f"{second} is the same server as {server.url}, which is used once"]


@pytest.mark.parametrize("identities", [("a", "b"), ("", ""), (None, None), (5, 5), ([], [])])
def test_two_servers_are_two(tmp_path: Path, server: FakeServer, identities: tuple[object, object]) -> None:
    """Also where they do not say who they are, as older packs."""
    with fake_server() as other:
        for one, identity in zip((server, other), identities, strict=True):
            tell(one, identity)
        said: list[str] = []
        assert connect(tmp_path, [server.url, other.url], said) == [server.url, other.url]
        assert said == []


def test_servers_without_the_pack_are_not_compared(tmp_path: Path, server: FakeServer) -> None:
    with fake_server() as other:
        assert connect(tmp_path, [server.url, other.url], []) == [server.url, other.url]
