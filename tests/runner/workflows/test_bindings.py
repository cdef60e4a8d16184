"""--set and --bind: what they name is read without a graph."""

from __future__ import annotations

import pytest

from custom_nodes.videogen.core.errors import VideoGenError
from runner.workflows.bindings import Target, find_output, parse_binding, parse_setting


def test_a_binding_names_a_value_of_the_segment_and_an_input() -> None:
    assert parse_binding("prompt=6.text") == Target("--bind prompt=6.text", "6", "text", "prompt")
    assert parse_binding("first_frame=57:8.image") == Target(
        "--bind first_frame=57:8.image", "57:8", "image", "first_frame"
    )


def test_the_output_is_a_node() -> None:
    assert parse_binding("output=57:8") == Target("--bind output=57:8", "57:8", "", "output")
    assert parse_binding("output=Image Saver.v2").node == "Image Saver.v2"
    graph = {"3": {"class_type": "SaveImage", "inputs": {}}, "4": {"class_type": "SaveVideo", "inputs": {}}}
    assert find_output(["prompt=6.text", "output=SaveVideo"], graph) == "4"
    assert find_output(["output=3"], graph) == "3"
    assert find_output(["prompt=6.text"], graph) == ""
    for texts, said in ((["output=9"], "there is no node '9'"), (["output=3", "output=4"], "names the node already")):
        with pytest.raises(VideoGenError, match=said) as caught:
            find_output(texts, graph)
        assert caught.value.code == "binding-invalid"


def test_a_class_may_have_dots_in_its_name() -> None:
    assert parse_binding("seed=My.Sampler.seed").node == "My.Sampler"
    assert parse_setting("My.Sampler.cfg=5").node == "My.Sampler"


def test_the_value_of_a_setting_is_everything_after_the_first_equals_sign() -> None:
    assert parse_setting("6.text=a = b") == Target("--set 6.text=a = b", "6", "text", "a = b")
    assert parse_setting("6.text=").value == ""


@pytest.mark.parametrize(
    "text",
    ["", "prompt", "prompt=6", "prompt=.text", "prompt=6.", "tpyo=6.text", "prompt=6.text=x", "output=", "output=a=b"],
)
def test_a_binding_that_cannot_be_read(text: str) -> None:
    with pytest.raises(VideoGenError, match=r"NAME one of prompt, negative, seed, .*first_frame") as caught:
        parse_binding(text)
    assert caught.value.code == "binding-invalid"


@pytest.mark.parametrize("text", ["", "6.text", "text=x", "=x"])
def test_a_setting_that_cannot_be_read(text: str) -> None:
    with pytest.raises(VideoGenError, match=r"expected NODE\.INPUT=VALUE") as caught:
        parse_setting(text)
    assert caught.value.code == "binding-invalid"
