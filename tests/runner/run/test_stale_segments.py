"""Segments that are older than the story: found by their keys, kept in the journal, told wherever a film is made."""

from __future__ import annotations

import copy
from collections.abc import Collection
from pathlib import Path
from typing import Any, cast

import pytest

from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.core.story.parser import parse_story
from custom_nodes.videogen.media.probe import hash_file
from custom_nodes.videogen.media.story_file import LoadedStory
from runner.rendering.film import find_stale, update_film
from runner.rendering.jobs import ConvertedWorkflow, JobMaker, WorkflowChoices
from runner.rendering.per_segment.job_makers import JobMakers
from runner.rendering.run_log import RunLog
from runner.run.pending_segments import find_pending
from runner.run.request import RunRequest
from runner.run.stale_segments import find_stale_keys
from runner.state.journal import Journal
from runner.state.progress import LineDisplay
from runner.state.run_directory import RunDirectory
from runner.workflows.workflow import Workflow
from tests.support.journal_events import finish, submitted
from tests.support.stories import segment_graph, small_story
from tests.support.videos import write_segment

STORY = small_story("Tiny", segments=3)
LOAD_FIRST_FRAME: dict[str, Any] = {
    "9": {"class_type": "LoadImage", "inputs": {"image": "a.png"}, "_meta": {"title": "First Frame"}}
}


def make_maker(data: dict[str, Any]) -> JobMaker:
    graph = segment_graph(data) | LOAD_FIRST_FRAME
    loaded = LoadedStory(parse_story(copy.deepcopy(data)), data)
    return JobMaker(loaded, ConvertedWorkflow(graph, {}), WorkflowChoices(), lambda name: "f" * 64)


def make_request(data: dict[str, Any], directory: RunDirectory, selection: tuple[int, ...] | None = None) -> RunRequest:
    loaded = LoadedStory(parse_story(copy.deepcopy(data)), data)
    return RunRequest(loaded, cast(Workflow, None), directory.path, selection=selection)


def render_all(directory: RunDirectory, data: dict[str, Any], numbers: tuple[int, ...] = (1, 2, 3)) -> None:
    """Make the segments, as a run of this story would have."""
    maker = make_maker(data)
    for number in numbers:
        path = write_segment(directory.segments, number, 4)
        begins_from = (
            str(directory.journal.segment(number - 1).result.get("sha256", "")) if maker.source(number) else ""
        )
        size = path.stat().st_size
        result = {"file": f"segments/{path.name}", "bytes": size, "sha256": hash_file(path)}
        directory.journal.append(submitted(number, maker.key(number, begins_from)))
        finish(directory.journal, number, maker.key(number, begins_from), **result)


def survey(data: dict[str, Any], directory: RunDirectory, unknown: Collection[int] = ()) -> dict[int, str]:
    """What is older than this story."""
    story, maker = parse_story(copy.deepcopy(data)), make_maker(data)
    makers = JobMakers(story, {segment.number: maker for segment in story.segments if segment.number not in unknown})
    return find_stale_keys(story, directory.journal, makers)


@pytest.fixture
def directory(tmp_path: Path) -> Any:
    with RunDirectory(tmp_path / "run", "Tiny") as opened:
        yield opened


def darker(data: dict[str, Any]) -> dict[str, Any]:
    return {**data, "style": {"lighting": "Night"}}


def test_a_change_of_style_makes_all_older_and_one_of_them_is_rendered(directory: RunDirectory) -> None:
    render_all(directory, STORY)
    found = survey(darker(STORY), directory)
    assert sorted(found) == [1, 2, 3]
    RunLog(directory.journal).note_stale(found)
    assert find_stale(directory.journal) == [1, 2, 3]
    render_all(directory, darker(STORY), (2,))
    # The segment that was rendered since is not stale any more, without another event, as after a kill.
    assert find_stale(directory.journal) == [1, 3]
    assert find_stale(Journal(directory.journal.path, read_only=True)) == [1, 3]
    # Changed back, it is the other way round.
    assert sorted(survey(STORY, directory)) == [2]


def test_a_change_of_one_prompt_makes_one_older(directory: RunDirectory) -> None:
    render_all(directory, STORY)
    data = copy.deepcopy(STORY)
    data["segments"][2]["prompt"] = "Something else"
    assert sorted(survey(data, directory)) == [3]


def test_what_continues_an_older_segment_is_older_too(directory: RunDirectory) -> None:
    data = copy.deepcopy(STORY)
    data["segments"][1]["continues"] = True
    render_all(directory, data)
    changed = copy.deepcopy(data)
    changed["segments"][0]["prompt"] = "Something else"
    assert sorted(survey(changed, directory)) == [1, 2]


def test_pending_segments_are_those_that_are_wanted(directory: RunDirectory) -> None:
    render_all(directory, STORY, (1, 2))
    request = make_request(darker(STORY), directory, (2, 3))
    assert find_pending(request, directory, make_maker(darker(STORY)), RunLog(directory.journal)) == [2, 3]


def test_the_event_is_written_once(directory: RunDirectory) -> None:
    log = RunLog(directory.journal)
    for keys in ({1: "a"}, {1: "a"}, {}, {}):
        log.note_stale(keys)
    lines = directory.journal.path.read_text("utf-8").splitlines()
    assert [line.count("segments-stale") for line in lines] == [1, 1]


def test_the_film_says_it_and_strict_refuses(directory: RunDirectory, capsys: pytest.CaptureFixture[str]) -> None:
    render_all(directory, STORY)
    story = parse_story(copy.deepcopy(darker(STORY)))
    found = survey(darker(STORY), directory)
    RunLog(directory.journal).note_stale({number: key for number, key in found.items() if number != 2})
    with pytest.raises(VideoGenError, match="segments 1,3 are older than the story") as caught:
        update_film(directory, story, LineDisplay(), strict=True)
    assert (caught.value.code, caught.value.exit_status) == ("film-stale", 1)
    assert not directory.film.exists()
    update_film(directory, story, LineDisplay())
    assert "Note: segments 1,3 are older than the story" in capsys.readouterr().err
    assert directory.journal.latest["film-done"]["stale"] == [1, 3]


def test_a_journal_of_an_earlier_release_has_nothing_that_is_older(directory: RunDirectory) -> None:
    render_all(directory, STORY)
    assert find_stale(directory.journal) == []
