"""report.html: one page that fetches nothing, shows what went wrong, and trusts no text that comes from outside."""

from __future__ import annotations

import base64
import hashlib
import re
from itertools import pairwise
from pathlib import Path

import pytest

from custom_nodes.videogen.core.errors import VideoGenError
from runner.reports.formatting import format_duration, relative_link
from runner.state.events import RunInterrupted, ServerLeft
from tests.runner.reports.run_page import Page, Run
from tests.runner.reports.test_report import SERVERS, fail, finish, give_up, submit
from tests.support.journal_events import run_started
from tests.support.stories import small_story

EVIL = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'&"


# ------------------------------------------------------------------ one file, no trust


def test_text_from_outside_is_text(tmp_path: Path) -> None:
    story = small_story(f"Title {EVIL}", segments=2)
    story["segments"][0] |= {"prompt": f"Prompt {EVIL}", "description": EVIL, "technical": EVIL}
    run = Run(
        tmp_path / "run", story, command=f"videogen run '{EVIL}'", versions={"device": EVIL}, settings={"set": [EVIL]}
    )
    name = f"segments/{EVIL.replace('/', '')}"
    submit(run.journal, 1, server=f"http://{EVIL}")
    fail(run.journal, 1, EVIL, EVIL, EVIL)
    submit(run.journal, 1, 1)
    finish(run.journal, 1, server=f"http://{EVIL}", encoder=EVIL, file=name, scores={EVIL: 0.5})
    submit(run.journal, 2)
    finish(run.journal, 2, server="http://other")
    give_up(run.journal, 2, EVIL)
    run.journal.append(ServerLeft(server=EVIL, message=EVIL))
    page = Page(run.write())
    run.journal.close()
    assert page.all("script") == []
    assert [attributes for _, attributes in page.tags if any(name.startswith("on") for name in attributes)] == []
    assert not [image for image in page.all("img") if not image["src"].startswith("data:")]
    assert page.all("video") == []
    assert f"Prompt {EVIL}" in page.text
    assert f"Title {EVIL}" in page.text


def test_nothing_is_fetched(run: Run) -> None:
    for number in (1, 2, 3, 4):
        run.add_segment(number, server=SERVERS[number % 2])
    run.add_film()
    html = run.write()
    page = Page(html)
    names = ("src", "href", "poster")
    addresses = [v for _, attributes in page.tags for k, v in attributes.items() if k.split(":")[-1] in names]
    assert len(addresses) > 10
    assert not [address for address in addresses if re.match(r"(?i)\s*(https?:|//|javascript:|file:)", address)]
    assert not page.all("link")
    assert "url(" not in html
    assert "@import" not in html
    assert "default-src 'none'; img-src data:; media-src 'self' file:;" in html
    # Videos are the one thing in files of their own, and none is opened before a reader plays it.
    assert [(v["src"], v["preload"]) for v in page.all("video")] == [
        (f"segments/segment_{number:02d}.mp4", "none") for number in (1, 2, 3, 4)
    ]


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


def test_a_segment_plays_where_its_frames_are(run: Run) -> None:
    run.add_segment(1)
    page = Page(run.write())
    (player,) = page.all("video")
    assert (player["src"], player["preload"]) == ("segments/segment_01.mp4", "none")
    assert "controls" in player
    # Inside the player for browsers without one, and among the facts for readers who want the file.
    assert page.all("a").count({"href": "segments/segment_01.mp4"}) == 2


def test_a_segment_whose_file_is_elsewhere_is_refused(run: Run) -> None:
    run.add_segment(1, file="segments/../segments/segment_01.mp4")
    with pytest.raises(VideoGenError, match=r"line 3 of .*, expected a file in segments/"):
        run.write()


def test_a_segment_shows_its_frames_from_the_first_to_the_last(run: Run) -> None:
    run.add_segment(1, frames=9)
    page = Page(run.write())
    (player,) = page.all("video")
    images = [(player["aria-label"], player["poster"])]
    images += [(image["alt"], image["src"]) for image in page.all("img") if " at " in image["alt"]]
    times = ["0.0 s", "0.50 s", "1.0 s", "1.5 s", "2.0 s"]
    assert [alt for alt, _ in images] == [f"Segment 1 at {time}".replace(" s", "\u00a0s") for time in times]
    assert all(base64.b64decode(uri.partition(",")[2])[:3] == b"\xff\xd8\xff" for _, uri in images)


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
    run.add_segment(3, sha256=hashlib.sha256(b"not a video").hexdigest(), bytes=len(b"not a video"))
    for number in (2, 3):
        (run.path / "segments" / f"segment_{number:02d}.mp4").write_bytes(b"not a video")
    run.journal.append(run_started([1, 2, 3, 4]))
    run.journal.append(RunInterrupted())
    words = Page(run.write()).words
    assert "The file segments/segment_01.mp4 does not exist any more." in words
    assert "file was replaced" in words
    assert "file does not decode" in words
    assert "Segment 4" in words
    assert "Interrupted" in words


def test_the_film_is_summed_up_with_a_link(run: Run) -> None:
    run.add_segment(1)
    run.add_film(missing=[2, 3, 4])
    page = Page(run.write())
    assert {"href": "film.mp4"} in page.all("a")
    assert "48 frames: 40 copied as they are, 8 encoded with libx264." in page.words
    assert "Slates replace segments 2–4." in page.words
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


def test_a_segment_shows_the_workflow_and_the_loras_that_are_its_own(tmp_path: Path) -> None:
    story = small_story("Film", segments=2)
    loras = [{"file": "rain.safetensors", "strength": 0.6}, {"file": f"{EVIL}.pt".replace("/", ""), "model": "High"}]
    story["segments"][1] |= {"workflow": "rain.json", "loras": loras}
    run = Run(tmp_path / "run", story)
    submit(run.journal, 1)
    finish(run.journal, 1)
    submit(run.journal, 2)
    page = Page(run.write())
    run.journal.close()
    assert page.words.count("Workflow rain.json") == 1
    assert page.words.count("LoRA rain.safetensors, strength 0.6") == 1
    assert "strength 1, for high" in page.words
    assert page.all("script") == []
