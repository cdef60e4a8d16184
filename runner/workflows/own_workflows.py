"""The workflows that a story's segments name for themselves: found, and each file read once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from custom_nodes.videogen.core.errors import Problem, ProblemList, VideoGenError
from custom_nodes.videogen.core.similar_names import SimilarNames
from custom_nodes.videogen.core.story.model import Story
from custom_nodes.videogen.core.story.selection import format_selection
from custom_nodes.videogen.media.story_file import LoadedStory
from custom_nodes.videogen.media.story_folder import StoryFolder

from .files.locate import find_named, find_templates, list_shipped
from .workflow import Workflow, load_workflow

#: Bytes of all workflow files next to a story together. In memory they have ten times as many.
MAX_TOTAL_BYTES = 100_000_000
_SUFFIX = ".json"
#: Of a segment: what it is rendered with, and what the runner brings it.
_OWN_KEYS = ("workflow", "loras", "start", "continue_from", "keyframes")


@dataclass(frozen=True)
class WorkflowUse:
    """A workflow, and the segments that it renders.

    Attributes:
        numbers: of these segments, ascending.
        is_own: the story names it for them; it is not that of ``--workflow``.
    """

    workflow: Workflow
    numbers: tuple[int, ...]
    is_own: bool = False


def name_segments(numbers: Sequence[int]) -> str:
    """What messages call some segments: ``segments 3,7-9``."""
    return f"segment{'s' if len(numbers) > 1 else ''} {format_selection(list(numbers))}"


def list_uses(story: Story, default: Workflow, own: Mapping[int, Workflow]) -> list[WorkflowUse]:
    """The workflows of all segments of a story, the default one first where any segment is rendered with it.

    Args:
        own: see `load_own_workflows`.
    """
    numbers: dict[int, list[int]] = {}
    workflows = {id(workflow): workflow for workflow in (default, *own.values())}
    for segment in story.segments:
        numbers.setdefault(id(own.get(segment.number, default)), []).append(segment.number)
    uses = [WorkflowUse(workflows[one], tuple(found), workflows[one] is not default) for one, found in numbers.items()]
    return sorted(uses, key=lambda use: use.is_own)


def load_own_workflows(loaded: LoadedStory, default: Workflow) -> dict[int, Workflow]:
    """The workflows of the segments that have one of their own, by the segments' numbers.

    A file is read once, however many segments name it.

    Args:
        default: that of ``--workflow``; a segment that names its file is one of its segments, and not in the result.

    Raises:
        ProblemList: `story-invalid`, with every workflow that is missing or cannot be read, and where it is named.
    """
    names: dict[str, list[int]] = {}
    for segment in loaded.story.segments:
        if segment.workflow:
            names.setdefault(segment.workflow, []).append(segment.number)
    reader = _Reader(loaded, default)
    problems: list[Problem] = []
    own: dict[int, Workflow] = {}
    for name, numbers in names.items():
        try:
            workflow = reader.read(name)
        except VideoGenError as error:
            problems.append(Problem(f"segments[{numbers[0]}].workflow", error.message))
        except ValueError as error:
            problems.append(Problem(f"segments[{numbers[0]}].workflow", str(error)))
        else:
            own |= dict.fromkeys(numbers, workflow) if workflow is not default else {}
    if problems:
        hint = "docs/story-format.md: Workflows and LoRAs of segments."
        raise ProblemList("story-invalid", loaded.story.title, problems, hint)
    return own


def without_own_workflows(data: dict[str, Any]) -> dict[str, Any]:
    """A story's plain data without what its segments are rendered with.

    Servers get it: their packs may not know these keys. And keys are made of it: a node that reads the whole story must not have
    all segments rendered again for the workflow of one.
    """
    segments = data["segments"]
    if not any(key in segment for segment in segments for key in _OWN_KEYS):
        return data
    bare = [{key: value for key, value in segment.items() if key not in _OWN_KEYS} for segment in segments]
    return {**data, "segments": bare}


class _Reader:
    """Reads workflows by the names that a story has for them."""

    def __init__(self, loaded: LoadedStory, default: Workflow) -> None:
        self._folder = StoryFolder(loaded.folder) if loaded.folder else None
        self._read = {default.path.resolve(): default}
        self._bytes = 0

    def read(self, name: str) -> Workflow:
        """The workflow of a name.

        Raises:
            ValueError: with a sentence, when there is none, or it may not be read.
            VideoGenError: `workflow-unreadable`.
        """
        path = self._find(name).resolve()
        if path not in self._read:
            self._bytes += path.stat().st_size
            if self._bytes > MAX_TOTAL_BYTES:
                raise ValueError(
                    f"the files of the story's workflows have more than {MAX_TOTAL_BYTES:,} bytes together, up to {name!r}"
                )
            self._read[path] = load_workflow(path)
        return self._read[path]

    def _find(self, name: str) -> Path:
        file = name if name.lower().endswith(_SUFFIX) else name + _SUFFIX
        found = self._folder.find_workflow(file) if self._folder else None
        if found is None and "/" not in name and "\\" not in name:
            found = find_named(name)
        if found is None:
            where = f"in the story's folder {self._folder.folder}" if self._folder else "next to a story without a file"
            raise ValueError(
                f"there is no workflow {file!r} {where}, and none of that name ships or is installed as a template"
                f"{self._suggest(name)}"
            )
        return found

    def _suggest(self, name: str) -> str:
        beside = sorted(path.name for path in self._folder.folder.glob(f"*{_SUFFIX}"))[:1_000] if self._folder else []
        known = [*beside, *list_shipped(), *find_templates()]
        close = SimilarNames().find(name, known)
        return f" (did you mean {close!r}?)" if close else f"; shipped are {', '.join(list_shipped())}"
