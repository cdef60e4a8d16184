"""Secrets of a graph: submitted as they are, in no key, and hidden in the editor's workflow that goes into files."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest

from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.core.redaction import HIDDEN, SECRETS
from custom_nodes.videogen.core.story.parser import parse_story
from custom_nodes.videogen.media.story_file import LoadedStory
from runner.rendering.jobs import ConvertedWorkflow, JobMaker, WorkflowChoices
from tests.support.stories import segment_graph, small_story

STORY = small_story("Paid", segments=1)
KEY = "k3y-f0r-the-service"
INFO: dict[str, Any] = {
    "Service": {
        "input": {
            "required": {
                "images": ["IMAGE", {}],
                "api_key": ["STRING", {}],
                "auth": ["COMBO", {"options": ["none", "basic"]}],
                "note": ["STRING", {}],
                "max_tokens": ["INT", {}],
            }
        }
    }
}


def make_maker(*settings: str, key: str = KEY, ui: bool = False) -> JobMaker:
    inputs = {"images": ["3", 0], "api_key": key, "auth": "none", "note": "a", "max_tokens": 5}
    graph = segment_graph(STORY) | {"5": {"class_type": "Service", "inputs": inputs}}
    graph["4"]["inputs"]["images"] = ["5", 0]
    workflow = {"nodes": [{"id": 5, "type": "Service", "widgets_values": [key, "none", "a", 5]}], "links": []}
    loaded = LoadedStory(parse_story(copy.deepcopy(STORY)), STORY)
    converted = ConvertedWorkflow(graph, INFO, workflow if ui else None)
    return JobMaker(loaded, converted, WorkflowChoices(settings=settings), lambda name: "")


@pytest.fixture(autouse=True)
def _forget_secrets() -> Iterator[None]:
    yield
    SECRETS.clear()


def test_the_server_gets_the_key_and_the_files_do_not() -> None:
    job = make_maker(ui=True).make(1)
    assert job.graph["5"]["inputs"]["api_key"] == KEY
    assert job.workflow is not None
    # A choice from a list is no secret, whatever its name.
    assert job.workflow["nodes"][0]["widgets_values"] == [HIDDEN, "none", "a", 5]
    assert SECRETS.hide_values(f"{KEY}, none, a") == f"{HIDDEN}, none, a"


def test_another_key_changes_no_segment_s_key_and_everything_else_does() -> None:
    one = make_maker().key(1)
    assert make_maker(key="another-key").key(1) == one
    assert make_maker("5.api_key=a-third-one").key(1) == one
    assert make_maker(key=HIDDEN).key(1) == one, "as the graph that is kept in a run directory has it"
    assert make_maker("5.max_tokens=6").key(1) != one
    assert make_maker("5.note=b").key(1) != one


ADDRESS = "https://anna:{}-of-anna-1@host.example/x?width=3&token={}-of-anna-1"


def test_a_token_in_an_address_is_in_no_key_and_a_key_that_has_one_is_known() -> None:
    maker = make_maker("5.note=" + ADDRESS.format("pw", "tok"))
    one = maker.key(1)
    assert make_maker("5.note=" + ADDRESS.format("another", "one")).key(1) == one
    assert make_maker("5.note=" + ADDRESS.format("pw", "tok").replace("width=3", "width=4")).key(1) != one
    assert make_maker("5.note=https://host.example/x?width=3").key(1) == (
        "1e5be131aa69ffe0e62f36c73d25cebffc387cb48e65555727370dfa25b6a5ec"  # as commit f355ad1 has made it
    )
    # Of the same commit, with the token.
    former = "83a81247a31812e52ad17721a19b993c8b60d17104c68672da9fd661bc7f9083"
    assert former != one
    assert former in maker.former_keys(1)


def test_a_value_from_the_environment_is_a_secret_whatever_its_input_is_called(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_NOTE", "123456789")
    maker = make_maker("5.note=env:MY_NOTE", ui=True)
    # Of digits, and a text all the same.
    assert maker.make(1).graph["5"]["inputs"]["note"] == "123456789"
    first = maker.key(1)
    monkeypatch.setenv("MY_NOTE", "another note")
    assert make_maker("5.note=env:MY_NOTE").key(1) == first
    assert SECRETS.hide_values("it says 123456789") == f"it says {HIDDEN}"


def test_a_variable_that_is_not_set_and_a_placeholder_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MY_NOTE", raising=False)
    with pytest.raises(VideoGenError, match="environment variable MY_NOTE is not set"):
        make_maker("5.note=env:MY_NOTE")
    with pytest.raises(VideoGenError, match="stands for the value in a report"):
        make_maker(f"5.api_key={HIDDEN}")


def test_a_setting_that_does_not_fit_is_named_without_its_value() -> None:
    with pytest.raises(VideoGenError) as caught:
        make_maker("9.api_key=some-secret-value")
    assert "some-secret-value" not in str(caught.value)
