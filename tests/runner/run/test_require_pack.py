"""A server that cannot work with the nodes is refused before anything is submitted."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from custom_nodes.videogen.core.errors import VideoGenError
from runner.comfyui.session import Session
from runner.run.server_connections import require_pack, require_pack_for_any
from runner.workflows.workflow import Workflow

OURS = Workflow(Path("w.json"), None, {"1": {"class_type": "VideoGenStory", "inputs": {}}})
CORE = Workflow(Path("w.json"), None, {"1": {"class_type": "EmptyImage", "inputs": {}}})


def session(version: str, *nodes: str) -> Session:
    client: Any = SimpleNamespace(url="http://gpu-box:8188")
    stats = {"system": {"comfyui_version": version}}
    return cast(Session, SimpleNamespace(client=client, stats=stats, object_info={name: {} for name in nodes}))


@pytest.mark.parametrize("version", ["0.3.75", "v0.4.0", "0.33.0", "1.0.0", "unknown", "nightly-2026"])
def test_a_new_enough_server_with_the_pack_is_taken(version: str) -> None:
    require_pack(session(version, "VideoGenStory", "VideoGenSegment"), OURS)


@pytest.mark.parametrize("version", ["0.3.74", "v0.2.0"])
def test_an_old_server_is_refused_with_both_versions(version: str) -> None:
    with pytest.raises(VideoGenError) as caught:
        require_pack(session(version, "VideoGenStory", "VideoGenSegment"), OURS)
    assert caught.value.code == "server-too-old"
    assert version in caught.value.message
    assert "0.3.75" in caught.value.message
    assert caught.value.exit_status == 3


def test_a_server_without_the_pack_is_told_how_to_get_it() -> None:
    with pytest.raises(VideoGenError) as caught:
        require_pack(session("0.3.75", "EmptyImage"), OURS)
    assert caught.value.code == "server-lacks-pack"
    assert "custom_nodes/videogen" in caught.value.hint


def test_a_workflow_of_core_nodes_needs_no_pack() -> None:
    require_pack(session("0.3.75", "EmptyImage"), CORE)


def test_a_server_without_the_pack_is_taken_for_workflows_that_do_not_use_it() -> None:
    without = session("0.33.0", "EmptyImage")
    require_pack_for_any(without, [OURS, CORE])
    with pytest.raises(VideoGenError) as raised:
        require_pack_for_any(without, [OURS, OURS])
    assert raised.value.code == "server-lacks-pack"
    with pytest.raises(VideoGenError) as raised:
        require_pack_for_any(session("0.3.1", "EmptyImage"), [CORE])
    assert raised.value.code == "server-too-old"
