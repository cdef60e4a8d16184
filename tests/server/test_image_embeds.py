"""Weights of frames, options and embeddings, from node to node in a real ComfyUI."""

from __future__ import annotations

from typing import Any

import pytest

from tests.server.test_ip_adapter_inputs import submission_error
from tests.support.servers.comfy import ComfyServer

pytestmark = pytest.mark.server


def test_a_list_of_weights_goes_through_a_number_s_socket(comfy_server: ComfyServer) -> None:
    curve = {"weights": "1.0, 0.0", "timing": "linear", "frames": 3}
    options = {"embeds_scaling": "K+V", "other_part": 1.0, "layer_weights": "3: 1", "frame_weights": ["1", 0]}
    graph = {
        "1": {"class_type": "VideoGenFrameWeights", "inputs": curve},
        "2": {"class_type": "VideoGenIPAdapterOptions", "inputs": options},
        "3": {"class_type": "PreviewAny", "inputs": {"source": ["2", 0]}},
    }
    outcome = comfy_server.run(graph)
    assert outcome.status == "success", outcome.error
    assert "(1.0, 0.5, 0.0)" in str(outcome.outputs["3"])


@pytest.mark.parametrize(
    ("node", "inputs", "said"),
    [
        ("VideoGenLoadEmbeds", {"file": "nobody.ipadpt"}, "the embeddings 'nobody.ipadpt' are not in"),
        ("VideoGenFrameWeights", {"weights": "1, x", "timing": "linear", "frames": 2}, "`weights` has 'x'"),
        ("VideoGenImageNoise", {"kind": "fade", "strength": 2.0, "blur": 0, "variation": 0}, "strength"),
    ],
)
def test_what_is_wrong_is_said_before_the_graph_runs(
    comfy_server: ComfyServer, node: str, inputs: dict[str, Any], said: str
) -> None:
    assert said in submission_error(comfy_server, node, inputs)


def test_an_empty_choice_of_embeddings_says_what_to_do(comfy_server: ComfyServer) -> None:
    graph = {
        "1": {"class_type": "VideoGenLoadEmbeds", "inputs": {}},
        "2": {"class_type": "PreviewAny", "inputs": {"source": ["1", 0]}},
    }
    outcome = comfy_server.run(graph)
    assert outcome.status == "error"
    assert "no file is chosen" in outcome.error
