"""A run directory that a test fills, and its page as a reader sees it."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from custom_nodes.videogen.core.story.parser import parse_story
from custom_nodes.videogen.media.probe import hash_file
from runner.rendering.film import film_inputs
from runner.reports.report import report_directory, write_report
from runner.state.journal import Journal
from tests.runner.reports.test_report import finish, submit
from tests.support.journal_events import film_done
from tests.support.videos import write_segment

VOID = {"meta", "img", "br", "link", "input", "hr", "wbr"}


class Page(HTMLParser):
    """Tags with their attributes, and what a reader sees; asserts that all of them are closed in order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self.summaries: list[str] = []
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        if tag == "summary":
            self.summaries.append("")
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self._open:
            self.text = f"{self.text} {data}"
        if "summary" in self._open:
            self.summaries[-1] += data

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.tags if name == tag]

    @property
    def words(self) -> str:
        return " ".join(self.text.split())


class Run:
    """A run directory that a test fills."""

    def __init__(self, path: Path, story: dict[str, Any], **record: Any) -> None:
        self.path = path
        path.mkdir(exist_ok=True)
        record = {"story": story, "title": story["title"], "run_id": "0" * 32, **record}
        (path / "run.json").write_text(json.dumps(record))
        (path / "segments").mkdir(exist_ok=True)
        self.journal = Journal(path / "journal.jsonl")
        self.story = parse_story(story, "test")

    def add_segment(self, number: int, frames: int = 12, **more: Any) -> None:
        file = write_segment(self.path / "segments", number, frames)
        submit(self.journal, number)
        finish(self.journal, number, **{"sha256": hash_file(file), "bytes": file.stat().st_size, **more})

    def add_film(self, **more: Any) -> None:
        (self.path / "film.mp4").write_bytes(b"film")
        inputs = more.pop("inputs", film_inputs(self.story, self.journal.segments))
        self.journal.append(film_done(inputs, **more))

    def write(self) -> str:
        return write_report(self.path, report_directory(self.path)).read_text(encoding="utf-8")
