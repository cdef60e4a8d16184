"""Story files."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..core.errors import VideoGenError
from ..core.story.documents import parse_document
from ..core.story.model import Story
from ..core.story.parser import parse_story, parse_story_text
from ..core.story.pasted.other_words import name_segments
from .path_inside import suggest_slashes
from .story_folder import MAX_STORY_BYTES, StoryFolder, decode, read_plain_file


@dataclass(frozen=True)
class LoadedStory:
    """A story as it was read.

    Attributes:
        story: the validated story.
        data: the same as plain data that carries everything itself: what the file names is part of it.
        folder: the story file's folder, with its other files, such as images of the cast; None for a story without a file.
        files: what was read: the story's file, and the text files that it names.
    """

    story: Story
    data: dict[str, Any]
    folder: Path | None = None
    files: tuple[Path, ...] = ()

    def with_quality(self, quality: str | None) -> LoadedStory:
        """The same story with another quality preset; None keeps its own."""
        if not quality:
            return self
        return replace(self, story=replace(self.story, quality=quality), data={**self.data, "quality": quality})


def load_story(path: Path) -> Story:
    """Read a story file and the files that it names.

    Raises:
        VideoGenError: `story-unreadable` when there is no such file or it is not text; `story-invalid` with all
            problems otherwise.
    """
    return parse_story_text(read_story_text(path), path.name, StoryFolder(path.parent).read_text)


def load_story_data(path: Path) -> LoadedStory:
    """Read a story file, with its plain data and its folder.

    Raises:
        VideoGenError: like `load_story`.
    """
    document = parse_document(read_story_text(path), path.name)
    folder = StoryFolder(path.parent)
    story = parse_story(document, path.name, folder.read_text)
    data: dict[str, Any] = {"segments": document} if isinstance(document, list) else dict(name_segments(document))
    # The title of a story without one is its file's name, which the data alone would not know.
    data["title"] = story.title
    if isinstance(data["segments"], str):
        data["segments"] = parse_document(folder.read_text(data["segments"]), data["segments"])
    if story.style.master_prompt:
        data["style"] = {**data["style"], "master_prompt": story.style.master_prompt}
    data.pop("$schema", None)
    return LoadedStory(story, without_notes(data), path.absolute().parent, (path.absolute(), *folder.read))


def load_story_text(text: str, source: str, folder: Path | None) -> LoadedStory:
    """Read a story that is not in a file of its own; it can name no other files as parts of it.

    Args:
        source: what messages call it, and the title of a story without one.
        folder: of the file that it comes from, if any; images of its cast are looked for there.

    Raises:
        VideoGenError: `story-unreadable`, `story-invalid`.
    """
    document = parse_document(text, source)
    story = parse_story(document, source)
    data = {"segments": document} if isinstance(document, list) else dict(name_segments(document))
    return LoadedStory(story, {**without_notes(data), "title": story.title}, folder)


def without_notes(data: Any) -> Any:
    """Plain data without the ``x-…`` keys: they are the author's own, and can hold YAML values that JSON does not have."""
    if isinstance(data, dict):
        return {
            key: without_notes(value)
            for key, value in data.items()
            if not (isinstance(key, str) and key.startswith("x-"))
        }
    return [without_notes(item) for item in data] if isinstance(data, list) else data


def read_story_text(path: Path) -> str:
    """Read the text of a story file.

    Raises:
        VideoGenError: `story-unreadable`.
    """
    try:
        if path.is_dir():
            raise VideoGenError("story-unreadable", f"{path} is a folder, expected a story file (JSON or YAML)")
        return decode(read_plain_file(path.resolve(), MAX_STORY_BYTES))
    except FileNotFoundError:
        raise VideoGenError(
            "story-unreadable",
            f"there is no story file {path}{suggest_slashes(path)}",
            f"Looked in {path.absolute().parent}.",
        ) from None
    except ValueError as error:
        raise VideoGenError("story-unreadable", f"{path.name} {error}") from None
    except OSError as error:
        raise VideoGenError("story-unreadable", f"{path} cannot be read: {error.strerror or error}") from None
