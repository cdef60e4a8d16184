"""Story files."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..core.errors import VideoGenError
from ..core.story.documents import parse_document
from ..core.story.model import Story
from ..core.story.parser import ReadFile, parse_story, parse_story_text

MAX_BYTES = 50_000_000


@dataclass(frozen=True)
class LoadedStory:
    """A story as it was read.

    Attributes:
        story: the validated story.
        data: the same as plain data that carries everything itself: what the file names is part of it.
        folder: the story file's folder, with its other files, such as images of the cast; None for a story without a file.
    """

    story: Story
    data: dict[str, Any]
    folder: Path | None = None

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
    return parse_story_text(read_story_text(path), path.name, make_file_reader(path))


def load_story_data(path: Path) -> LoadedStory:
    """Read a story file, with its plain data and its folder.

    Raises:
        VideoGenError: like `load_story`.
    """
    document = parse_document(read_story_text(path), path.name)
    read_file = make_file_reader(path)
    story = parse_story(document, path.name, read_file)
    data: dict[str, Any] = {"segments": document} if isinstance(document, list) else dict(document)
    # The title of a story without one is its file's name, which the data alone would not know.
    data["title"] = story.title
    if isinstance(data["segments"], str):
        data["segments"] = parse_document(read_file(data["segments"]), data["segments"])
    if story.style.master_prompt:
        data["style"] = {**data["style"], "master_prompt": story.style.master_prompt}
    data.pop("$schema", None)
    return LoadedStory(story, without_notes(data), path.absolute().parent)


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
    data = {"segments": document} if isinstance(document, list) else dict(document)
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
        return _read_text(path)
    except FileNotFoundError:
        raise VideoGenError(
            "story-unreadable", f"there is no story file {path}", f"Looked in {path.absolute().parent}."
        ) from None
    except ValueError as error:
        raise VideoGenError("story-unreadable", f"{path.name} {error}") from None
    except OSError as error:
        raise VideoGenError("story-unreadable", f"{path} cannot be read: {error.strerror or error}") from None


def make_file_reader(story_path: Path) -> ReadFile:
    """A reader for the files that a story names, which must be in the story's folder or below it."""
    folder = story_path.absolute().parent.resolve()

    def read(name: str) -> str:
        if not name.strip() or "\0" in name:
            raise ValueError(f"found {name!r}, expected the name of a file in the story's folder")
        # resolve() follows links: a link to a path outside the folder counts as outside too.
        path = (folder / name).resolve()
        if not path.is_relative_to(folder):
            raise ValueError(f"{name!r} is outside the story's folder {folder}; copy the file into it")
        try:
            return _read_text(path)
        except FileNotFoundError:
            raise ValueError(f"there is no file {name!r} in the story's folder {folder}") from None
        except OSError as error:
            raise ValueError(f"{name!r} cannot be read: {error.strerror or error}") from None
        except ValueError as error:
            raise ValueError(f"{name!r} {error}") from None

    return read


def _read_text(path: Path) -> str:
    if path.exists() and not path.is_file():
        raise ValueError("is not a file")
    if path.stat().st_size > MAX_BYTES:
        raise ValueError(f"has {path.stat().st_size:,} bytes, at most {MAX_BYTES:,} are allowed in a story")
    data = path.read_bytes()
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ValueError(f"is not UTF-8 text: byte {data[error.start]:#04x} in line {line}; save it as UTF-8") from None
