"""report.html: one file that needs no other, shows what went wrong, and trusts no text that comes from outside."""

from __future__ import annotations

import base64
import io
import json
import re
import time
from collections.abc import Iterator
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.core.story.parser import parse_story
from custom_nodes.videogen.media.images.thumbnails import nearest_keys, pick_evenly, read_thumbnails
from runner.rendering.film import film_inputs
from runner.reports import page as report_html
from runner.reports.charts import MAX_BARS, draw_charts
from runner.reports.page import THUMBNAILS_FILE, format_duration, relative_link, render_html
from runner.reports.report import report_directory, write_report
from runner.state.journal import Journal
from tests.runner.reports.test_report import SERVERS, fail, finish, give_up, submit
from tests.support.stories import small_story
from tests.support.videos import draw_code, read_code, write_segment, write_with_av

EVIL = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'&"
VOID = {"meta", "img", "br", "link", "input", "hr", "wbr"}


class Page(HTMLParser):
    """Tags with their attributes, and what a reader sees; asserts that all of them are closed in order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
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
        finish(self.journal, number, bytes=file.stat().st_size, **more)

    def add_film(self, **more: Any) -> None:
        (self.path / "film.mp4").write_bytes(b"film")
        about = {"bytes": 4, "seconds": 2.0, "frames": 48, "fps": 24, "size": [320, 180], "copied": 40, "encoded": 8}
        inputs = film_inputs(self.story, self.journal.segments)
        about |= {"file": "film.mp4", "encoder": "libx264", "missing": [], "inputs": inputs}
        self.journal.append("film-done", **{**about, **more})

    def write(self) -> str:
        return write_report(self.path, report_directory(self.path)).read_text(encoding="utf-8")


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    made = Run(tmp_path / "run", small_story("A Tree", segments=4), command="videogen run story.json --out run")
    yield made
    made.journal.close()


# ------------------------------------------------------------------ one file, no trust


def test_text_from_outside_is_text(tmp_path: Path) -> None:
    story = small_story(f"Title {EVIL}", segments=2)
    story["segments"][0] |= {"prompt": f"Prompt {EVIL}", "description": EVIL, "technical": EVIL}
    run = Run(
        tmp_path / "run", story, command=f"videogen run '{EVIL}'", versions={"device": EVIL}, settings={"set": [EVIL]}
    )
    submit(run.journal, 1, server=f"http://{EVIL}")
    fail(run.journal, 1, EVIL, EVIL, EVIL)
    submit(run.journal, 1, 1)
    finish(run.journal, 1, server=f"http://{EVIL}", encoder=EVIL, file=EVIL, scores={EVIL: 0.5})
    submit(run.journal, 2)
    finish(run.journal, 2, server="http://other")
    give_up(run.journal, 2, EVIL)
    run.journal.append("server-left", server=EVIL, message=EVIL)
    page = Page(run.write())
    run.journal.close()
    assert page.all("script") == []
    assert [attributes for _, attributes in page.tags if any(name.startswith("on") for name in attributes)] == []
    assert not [image for image in page.all("img") if not image["src"].startswith("data:")]
    assert f"Prompt {EVIL}" in page.text
    assert f"Title {EVIL}" in page.text


def test_nothing_is_fetched(run: Run) -> None:
    for number in (1, 2, 3, 4):
        run.add_segment(number, server=SERVERS[number % 2])
    run.add_film()
    html = run.write()
    page = Page(html)
    addresses = [v for _, attributes in page.tags for k, v in attributes.items() if k.split(":")[-1] in ("src", "href")]
    assert len(addresses) > 10
    assert not [address for address in addresses if re.match(r"(?i)\s*(https?:|//|javascript:|file:)", address)]
    assert not page.all("link")
    assert "url(" not in html
    assert "@import" not in html
    assert "default-src 'none'" in html


def test_links_stay_in_the_run_directory() -> None:
    assert relative_link("segments/segment 01.mp4") == "segments/segment%2001.mp4"
    for file in ("/etc/passwd", "../other/film.mp4", "javascript:alert(1)", "http://x/y", "a\\..\\b", "", None):
        assert relative_link(file) is None


def test_headers_are_not_in_the_page(tmp_path: Path) -> None:
    command = "videogen run --header 'Authorization: Bearer s3cret' --set 5.api_key=s3cret"
    run = Run(tmp_path / "run", small_story("A Tree"), command=command, settings={"set": ["5.api_key=s3cret"]})
    html = run.write()
    run.journal.close()
    assert "s3cret" not in html + (tmp_path / "run" / "report.json").read_text()
    assert "Authorization: ***" in Page(html).text


# ------------------------------------------------------------------ what is shown


def test_a_segment_shows_its_frames_from_the_first_to_the_last(run: Run) -> None:
    run.add_segment(1, frames=9)
    images = [image for image in Page(run.write()).all("img") if " at " in image["alt"]]
    assert len(images) == 5
    assert images[0]["alt"].startswith("Segment 1 at 0.0")
    assert all(base64.b64decode(image["src"].partition(",")[2])[:3] == b"\xff\xd8\xff" for image in images)


def test_a_failed_segment_shows_class_message_and_all_that_was_tried(run: Run) -> None:
    submit(run.journal, 2)
    fail(run.journal, 2, "out of memory", "one step down in resolution", "CUDA is full")
    submit(run.journal, 2, 1, size=[160, 88], seed_offset=1)
    fail(run.journal, 2, "node error", "given up", "shapes differ", attempt=1)
    give_up(run.journal, 2, "shapes differ")
    words = Page(run.write()).words
    assert "1 segment failed" in words
    assert "Node error (render-failed) shapes differ Look." in words
    assert "Out of memory · seed 102 · 320×180 · one:8188 CUDA is full one step down in resolution" in words
    assert "Node error · seed 103 · 160×88 · one:8188 given up" in words


def test_compromises_are_marked(run: Run) -> None:
    run.add_segment(1, degraded=True, rendered_size=[160, 88])
    run.add_segment(2, seed=777)
    words = Page(run.write()).words
    assert "rendered at 160×88, scaled up to 320×180" in words
    assert "777 instead of 102" in words


def test_segments_that_are_not_there_are_shown_as_such(run: Run) -> None:
    run.add_segment(1)
    run.add_segment(2)
    (run.path / "segments" / "segment_01.mp4").unlink()
    (run.path / "segments" / "segment_02.mp4").write_bytes(b"not a video")
    run.journal.append("run-started", todo=[1, 2, 3, 4])
    run.journal.append("run-interrupted")
    words = Page(run.write()).words
    assert "The file segments/segment_01.mp4 is not there any more." in words
    assert "file does not decode" in words
    assert "Segments 3, 4" in words
    assert "Interrupted" in words


def test_the_film_is_summed_up_with_a_link(run: Run) -> None:
    run.add_segment(1)
    run.add_film(missing=[2, 3, 4])
    page = Page(run.write())
    assert {"href": "film.mp4"} in page.all("a")
    assert "48 frames: 40 copied as they are, 8 encoded with libx264." in page.words
    assert "A slate stands for segments 2–4." in page.words
    run.add_film(inputs=[])
    (run.path / "film.mp4").unlink()
    page = Page(run.write())
    assert {"href": "film.mp4"} not in page.all("a")
    assert "file is missing" in page.words
    assert "Segments or transitions have changed since" in page.words


def test_scores_and_telemetry_only_where_there_are_any(run: Run) -> None:
    run.add_segment(1)
    assert "Telemetry" not in Page(run.write()).words
    run.add_segment(2, vram={"peak": 7.5e9}, temperature=71.0, scores={"subject": {"mean": 0.912}})
    words = Page(run.write()).words
    assert "Telemetry Graphics memory Highest value of each segment, in GB; 7.5 GB at most." in words
    assert "71.0 °C at most" in words
    assert "Subject mean 0.912" in words


def test_versions_settings_and_the_command_are_there(tmp_path: Path) -> None:
    run = Run(
        tmp_path / "run",
        small_story("A Tree"),
        command="videogen run a.json --set 3.steps=4",
        folder="films",
        versions={"comfyui": "0.3.75"},
        settings={"quality": "draft", "set": ["3.steps=4"], "bind": [], "retries": 2},
        workflow={"path": "w.json"},
    )
    words = Page(run.write()).words
    run.journal.close()
    for expected in ("videogen run a.json --set 3.steps=4", "In films.", "comfyui 0.3.75", "Set 3.steps=4", "w.json"):
        assert expected in " ".join(words.split())


def test_a_run_that_has_not_begun_has_a_report(run: Run) -> None:
    words = Page(run.write()).words
    assert "0 of 4" in words
    assert "No film yet." in words


def test_headings_have_no_gaps_and_images_have_descriptions(run: Run) -> None:
    run.add_segment(1)
    submit(run.journal, 2)
    give_up(run.journal, 2)
    page = Page(run.write())
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert all(image.get("alt") for image in page.all("img"))
    assert all(svg.get("aria-label") and svg.get("role") == "img" for svg in page.all("svg"))


# ------------------------------------------------------------------ charts


def numbered_report(count: int, servers: int = 1) -> dict[str, Any]:
    seconds = {"queued": 1.0, "executed": 9.0, "transferred": 0.5, "verified": 0.1}
    segments = [{"number": n, "seconds": seconds, "finished": -n} for n in range(1, count + 1)]
    return {"segments": segments, "servers": [{"name": f"http://s{n}", "executed": 9.0} for n in range(servers)]}


def test_charts_are_drawn_for_what_there_is() -> None:
    assert draw_charts(numbered_report(0)) == []
    assert [chart.name for chart in draw_charts(numbered_report(1))] == ["work", "timeline"]
    assert [chart.name for chart in draw_charts(numbered_report(3, 2))] == ["work", "pace", "timeline", "servers"]


def test_a_bar_says_what_it_is() -> None:
    work = draw_charts(numbered_report(2))[0]
    assert "<title>2: 9 executed</title>" in work.wide
    assert "<title>1: 0.5 transferred</title>" in work.narrow


def test_thousands_of_segments_are_grouped() -> None:
    work = draw_charts(numbered_report(1000))[0]
    assert work.wide.count('class="bar"') == 3 * MAX_BARS
    assert "<title>1–10: 9 executed</title>" in work.wide


# ------------------------------------------------------------------ cost


def test_nothing_is_written_when_nothing_has_changed(run: Run) -> None:
    run.add_segment(1)
    run.write()
    target = run.path / "report.html"
    before = target.stat()
    run.journal.append("run-finished", rendered=0, kept=1, failed=[], seconds=0.3, status=0)
    run.write()
    assert target.stat().st_mtime_ns == before.st_mtime_ns
    assert target.stat().st_ino == before.st_ino
    (run.path / "segments" / "segment_01.mp4").unlink()
    run.write()
    assert target.stat().st_ino != before.st_ino


def test_images_of_unchanged_files_are_not_read_again(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    run.add_segment(1)
    first = run.write()
    read: list[str] = []
    monkeypatch.setattr(
        report_html, "read_thumbnails", lambda path, **_: read.append(path.name) or read_thumbnails(path)
    )
    (run.path / "report.html").unlink()
    assert run.write() == first
    run.add_segment(2)
    run.write()
    assert read == ["segment_02.mp4"]


@pytest.mark.parametrize("content", ["", "[]", "{", '{"format": 1, "budget": 52000, "strips": {"a": [[1]]}}'])
def test_images_that_were_kept_badly_are_made_anew(run: Run, content: str) -> None:
    run.add_segment(1)
    (run.path / THUMBNAILS_FILE).write_text(content)
    assert len([image for image in Page(run.write()).all("img") if " at " in image["alt"]]) == 5


def test_an_older_report_that_is_not_text_is_replaced(run: Run) -> None:
    (run.path / "report.html").write_bytes(b"\xff\xfe\x00")
    assert run.write().startswith("<!doctype html>")
    assert not list(run.path.glob(".*.part"))


def test_33_segments_of_noise_stay_below_3_megabytes(tmp_path: Path) -> None:
    """Noise is the worst that a JPEG can be asked for."""
    noise = np.random.default_rng(1).integers(0, 256, (5, 180, 320, 3), np.uint8)
    file = write_with_av(tmp_path / "noise.mp4", list(noise))
    story = small_story("Noise", segments=33)
    story["style"] = {"prefix": "words " * 200}
    run = Run(tmp_path / "run", story)
    for number in range(1, 34):
        (run.path / "segments" / f"segment_{number:02d}.mp4").write_bytes(file.read_bytes())
        submit(run.journal, number)
        finish(run.journal, number, server=SERVERS[number % 2])
    began = time.perf_counter()
    html = run.write()
    run.journal.close()
    assert len(html) < 3_000_000
    assert time.perf_counter() - began < 10
    assert html.count("data:image/jpeg") == 33 * 6


def test_ten_thousand_segments_make_a_page_that_opens(run: Run) -> None:
    run.add_segment(1)
    report = report_directory(run.path)
    segment = report["segments"][1]
    report["segments"] = [{**segment, "number": number} for number in range(1, 10_001)]
    report["count"] = 10_000
    assert len(render_html(report, {})) < 3_000_000


# ------------------------------------------------------------------ thumbnails


def test_thumbnails_are_evenly_spaced(tmp_path: Path) -> None:
    """Of 9 frames the first, third, fifth, seventh and last; four a second."""
    thumbnails = read_thumbnails(write_segment(tmp_path, 1, 9), box=128, budget=200_000)
    assert [image.seconds for image in thumbnails] == [0, 0.5, 1, 1.5, 2]
    assert {(image.width, image.height) for image in thumbnails} == {(128, 72)}


def test_a_clip_of_three_frames_has_three_thumbnails(tmp_path: Path) -> None:
    assert len(read_thumbnails(write_segment(tmp_path, 1, 3))) == 3


def test_keyframes_stand_in_where_they_are_near(tmp_path: Path) -> None:
    """A group of pictures a second, ten seconds: nothing but keyframes is decoded, and they are the right ones."""
    path = write_with_av(
        tmp_path / "a.mp4",
        [draw_code(n) for n in range(40)],
        options={"g": "4", "keyint_min": "4", "sc_threshold": "0"},
    )
    thumbnails = read_thumbnails(path, box=128, budget=200_000)
    assert [image.seconds for image in thumbnails] == [0, 2, 5, 7, 9]
    codes = [read_code(np.asarray(Image.open(io.BytesIO(image.jpeg)))) for image in thumbnails]
    assert codes == [0, 8, 20, 28, 36]


def test_a_portrait_video_is_measured_by_its_height(tmp_path: Path) -> None:
    path = write_with_av(tmp_path / "a.mp4", [np.zeros((640, 360, 3), np.uint8)] * 5)
    assert [(p.width, p.height) for p in read_thumbnails(path, box=320)] == [(180, 320)] * 5


def test_what_is_no_video_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"nothing")
    for path in (tmp_path / "a.mp4", tmp_path / "missing.mp4"):
        with pytest.raises(VideoGenError, match=path.name) as caught:
            read_thumbnails(path)
        assert caught.value.code == "media-broken"


def test_spacing() -> None:
    assert pick_evenly(range(100), 5) == [0, 25, 50, 74, 99]
    assert pick_evenly([3, 4], 5) == [3, 4]
    assert pick_evenly([], 5) == []
    assert nearest_keys([0, 25, 50, 74, 99], range(0, 100, 10)) == [0, 20, 50, 70, 90]
    assert nearest_keys([0, 25, 50, 74, 99], [0]) == []


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0.0 s"),
        (0.034, "0.03 s"),
        (12.34, "12.3 s"),
        (59.97, "1 min 00 s"),
        (245, "4 min 05 s"),
        (11520, "3 h 12 min"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text.replace(" ", "\u00a0")
