"""Graphs with an IP-Adapter that a real ComfyUI must refuse before it runs them."""

from __future__ import annotations

import os
from typing import Any

import pytest

from custom_nodes.videogen.core.errors import VideoGenError
from tests.support.servers.comfy import ComfyServer, Graph

pytestmark = pytest.mark.server

WIDGETS = {
    "weight": 0.8,
    "weight_type": "linear",
    "start_at": 0.0,
    "end_at": 1.0,
    "combine": "concat",
    "crop": "center",
}


def _graph(node: str, inputs: dict[str, Any]) -> Graph:
    """A node, and an output node that shows its output."""
    return {
        "1": {"class_type": node, "inputs": inputs},
        "2": {"class_type": "PreviewAny", "inputs": {"source": ["1", 0]}},
    }


def submission_error(server: ComfyServer, node: str, inputs: dict[str, Any]) -> str:
    """The server's message on a node that it must refuse before it runs."""
    with pytest.raises(VideoGenError) as caught:
        server.submit(_graph(node, inputs))
    assert caught.value.code == "submission-rejected"
    return caught.value.message


def test_a_file_that_is_not_there(comfy_server: ComfyServer) -> None:
    message = submission_error(comfy_server, "VideoGenIPAdapterLoader", {"ipadapter_file": "is-not-there.safetensors"})
    assert "the IP-Adapter 'is-not-there.safetensors' is not in" in message or "there is no IP-Adapter in" in message
    assert f"models{os.sep}ipadapter" in message


def test_no_file_is_no_mere_missing_input(comfy_server: ComfyServer) -> None:
    """Where the folder is empty, the editor sends no value at all."""
    outcome = comfy_server.run(_graph("VideoGenIPAdapterLoader", {}))
    assert outcome.status == "error"
    assert "no IP-Adapter is chosen" in outcome.error or "there is no IP-Adapter in" in outcome.error


@pytest.mark.parametrize(
    ("widgets", "sentence"),
    [
        ({"weight": 1e9}, "`weight` is 1e+09, expected -1 to 3"),
        ({"weight": "nan"}, "`weight` is nan, expected -1 to 3"),
        ({"start_at": 0.9, "end_at": 0.1}, "`start_at` is 0.9 and `end_at` 0.1: the end comes before the start"),
        ({"combine": "multiply"}, "`combine` is 'multiply', expected one of concat"),
        ({"weight_type": "channel penalty"}, "`weight_type` is 'channel penalty', expected one of linear"),
    ],
)
def test_widgets_are_checked(comfy_server: ComfyServer, widgets: dict[str, Any], sentence: str) -> None:
    # Without its links the node is refused in any case: what counts is that the widgets are told of as well.
    assert sentence in submission_error(comfy_server, "VideoGenApplyIPAdapter", {**WIDGETS, **widgets})
    assert sentence not in submission_error(comfy_server, "VideoGenApplyIPAdapter", WIDGETS)
