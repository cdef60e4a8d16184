"""Workflows that segments name: next to the story or by their names, and nothing else of this machine."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from custom_nodes.videogen.core.errors import ProblemList
from custom_nodes.videogen.core.story.parser import parse_story
from custom_nodes.videogen.media.story_file import LoadedStory, load_story_data
from runner.workflows import own_workflows
from runner.workflows.own_workflows import load_own_workflows
from runner.workflows.workflow import Workflow, load_workflow
from tests.support.graphs.plain import image_graph

DEFAULT = Workflow(Path("default.json"), None, image_graph())


def write_story(folder: Path, *workflows: str) -> LoadedStory:
    """A story with a segment for each name; "" for one without a workflow of its own."""
    segments = [{"prompt": "x", **({"workflow": name} if name else {})} for name in workflows]
    (folder / "film.json").write_text(json.dumps(segments))
    return load_story_data(folder / "film.json")


def write_workflow(folder: Path, name: str = "rain.json") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(json.dumps(image_graph()))
    return folder / name


def problems_of(loaded: LoadedStory, default: Workflow = DEFAULT) -> list[str]:
    with pytest.raises(ProblemList) as error:
        load_own_workflows(loaded, default)
    assert error.value.code == "story-invalid"
    return [str(problem) for problem in error.value.problems]


def test_a_file_is_read_once_for_all_segments_that_name_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_workflow(tmp_path)
    write_workflow(tmp_path / "shots", "fog.json")
    read: list[Path] = []

    def load(path: Path) -> Workflow:
        read.append(path)
        return load_workflow(path)

    monkeypatch.setattr(own_workflows, "load_workflow", load)
    own = load_own_workflows(write_story(tmp_path, "rain.json", "", "rain", "shots/fog.json"), DEFAULT)
    assert sorted(own) == [1, 3, 4]
    assert own[1] is own[3]
    assert [path.name for path in read] == ["rain.json", "fog.json"]


def test_a_shipped_workflow_is_known_by_its_name_and_the_story_s_own_comes_first(tmp_path: Path) -> None:
    own = load_own_workflows(write_story(tmp_path, "preview"), DEFAULT)
    assert own[1].path.parent.name == "workflows"
    write_workflow(tmp_path, "preview.json")
    assert load_own_workflows(write_story(tmp_path, "preview"), DEFAULT)[1].path.parent == tmp_path.resolve()


def test_the_workflow_of_the_run_is_no_segment_s_own(tmp_path: Path) -> None:
    default = load_workflow(write_workflow(tmp_path))
    assert load_own_workflows(write_story(tmp_path, "rain.json", "rain"), default) == {}


def test_the_folder_of_the_runner_is_not_searched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_workflow(tmp_path / "elsewhere", "private.json")
    monkeypatch.chdir(tmp_path / "elsewhere")
    (tmp_path / "stories").mkdir()
    (problem,) = problems_of(write_story(tmp_path / "stories", "private.json"))
    assert problem.startswith("segments[1].workflow: there is no workflow 'private.json' in the story's folder")


def test_all_that_is_wrong_is_told_at_once_with_what_is_meant(tmp_path: Path) -> None:
    write_workflow(tmp_path)
    (tmp_path / "broken.json").write_text("{")
    first, second, third = problems_of(write_story(tmp_path, "", "rian.json", "broken.json", "preveiw"))
    assert first.startswith("segments[2].workflow: there is no workflow 'rian.json'")
    assert first.endswith("(did you mean 'rain.json'?)")
    assert second.startswith("segments[3].workflow: ")
    assert "is not JSON" in second
    assert third.startswith("segments[4].workflow: ")
    assert third.endswith("(did you mean 'preview'?)")


def test_a_story_without_a_file_has_only_names(tmp_path: Path) -> None:
    data: Any = [{"prompt": "x", "workflow": "preview"}, {"prompt": "y", "workflow": "rain.json"}]
    (problem,) = problems_of(LoadedStory(parse_story(data), {"segments": data}))
    assert problem.startswith("segments[2].workflow: there is no workflow 'rain.json' next to a story without a file")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no such files")
@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("link.json", "is a link, or in a folder that is one"),
        ("folder_link/rain.json", "is a link, or in a folder that is one"),
        ("pipe.json", "is not a file"),
        ("folder.json", "is not a file"),
        ("text.json", "is no ComfyUI workflow"),
    ],
)
def test_a_file_that_a_story_may_not_name(tmp_path: Path, name: str, said: str) -> None:
    folder = tmp_path / "stories"
    outside = write_workflow(tmp_path)
    folder.mkdir()
    (folder / "link.json").symlink_to(outside)
    (folder / "folder_link").symlink_to(tmp_path)
    os.mkfifo(folder / "pipe.json")
    (folder / "folder.json").mkdir()
    (folder / "text.json").write_text("[1, 2]")
    (problem,) = problems_of(write_story(folder, name))
    assert problem.startswith("segments[1].workflow: ")
    assert said in problem


def test_the_files_are_bounded_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    size = write_workflow(tmp_path, "a.json").stat().st_size
    write_workflow(tmp_path, "b.json")
    monkeypatch.setattr(own_workflows, "MAX_TOTAL_BYTES", 2 * size - 1)
    (problem,) = problems_of(write_story(tmp_path, "a.json", "b.json", "a"))
    assert problem.startswith("segments[2].workflow: the files of the story's workflows have more than")
