"""The images in report.html: how many, how large, kept between reports, and what they cost."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from custom_nodes.videogen.media.images.thumbnails import read_thumbnails
from custom_nodes.videogen.media.probe import hash_file
from runner.reports import page as page_module
from runner.reports import strips
from runner.reports.page import render_html
from runner.reports.report import report_directory
from runner.reports.strips import THUMBNAILS_FILE
from tests.runner.reports.run_page import Page, Run
from tests.runner.reports.test_report import SERVERS, finish, submit
from tests.support.journal_events import run_finished
from tests.support.stories import small_story
from tests.support.videos import write_with_av


def test_nothing_is_written_when_nothing_has_changed(run: Run) -> None:
    run.add_segment(1)
    run.write()
    target = run.path / "report.html"
    before = target.stat()
    run.journal.append(run_finished(kept=1, seconds=0.3))
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
        strips, "read_thumbnails", lambda path, **options: read.append(path.name) or read_thumbnails(path, **options)
    )
    (run.path / "report.html").unlink()
    assert run.write() == first
    run.add_segment(2)
    run.write()
    assert read == ["segment_02.mp4"]


@pytest.mark.parametrize("content", ["", "[]", "{", '{"format": 2, "budget": 52000, "strips": {"a": [[1]]}}'])
def test_images_that_were_kept_badly_are_made_again(run: Run, content: str) -> None:
    run.add_segment(1)
    (run.path / THUMBNAILS_FILE).write_text(content)
    page = Page(run.write())
    assert len(page.all("video")) == 1
    assert len([image for image in page.all("img") if " at " in image["alt"]]) == 4


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
        finish(run.journal, number, server=SERVERS[number % 2], sha256=hash_file(file), bytes=file.stat().st_size)
    html = run.write()
    run.journal.close()
    assert len(html) < 3_000_000
    assert html.count("data:image/jpeg") == 33 * 6


def test_ten_thousand_segments_make_a_page_that_opens(run: Run) -> None:
    run.add_segment(1)
    report = report_directory(run.path)
    segment = report["segments"][1]
    report["segments"] = [{**segment, "number": number} for number in range(1, 10_001)]
    report["count"] = 10_000
    assert len(render_html(report, {})) < 3_000_000


@pytest.mark.parametrize(
    ("size", "player", "frame", "thumb"),
    [((1280, 720), (512, 288), (256, 144), (256, 144)), ((720, 1280), (288, 512), (144, 256), (176, 313))],
)
def test_images_are_sharp_on_a_display_with_three_pixels_to_a_pixel(
    tmp_path: Path, size: tuple[int, int], player: tuple[int, int], frame: tuple[int, int], thumb: tuple[int, int]
) -> None:
    """The style sheet shows thumbnails of the contact sheet at most 86 pixels wide on a phone, portrait ones 58."""
    run = Run(tmp_path / "run", small_story("A Tree", size=size, segments=1))
    file = write_with_av(run.path / "segments" / "segment_01.mp4", [np.zeros((size[1], size[0], 3), np.uint8)] * 5)
    submit(run.journal, 1)
    finish(run.journal, 1, sha256=hash_file(file), bytes=file.stat().st_size)
    page = Page(run.write())
    run.journal.close()
    assert sizes_of(page.all("video")) == [player]
    contact, *frames = sizes_of(page.all("img"))
    assert contact == thumb
    assert frames == [frame] * 4


def sizes_of(tags: list[dict[str, str]]) -> list[tuple[int, int]]:
    return [(int(attributes["width"]), int(attributes["height"])) for attributes in tags]


def test_images_of_a_small_video_are_not_scaled_up(run: Run) -> None:
    run.add_segment(1)
    page = Page(run.write())
    assert set(sizes_of(page.all("video") + page.all("img"))) == {(128, 72)}


def test_a_change_of_the_page_itself_makes_it_again(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A newer version of videogen replaces the page that an older one has written."""
    run.add_segment(1)
    first = run.write()
    copied = shutil.copytree(Path(page_module.__file__).parent, tmp_path / "reports")
    with (copied / "segment_view.py").open("a") as file:
        file.write("# changed\n")
    monkeypatch.setattr(page_module, "__file__", str(copied / "page.py"))
    assert run.write() != first


@pytest.mark.parametrize("sizes", [[(512, 288)] * 6, [(176, 512)] * 6, [(512, 512), *[(256, 256)] * 12]])
def test_images_of_noise_fit_their_budget_too(sizes: list[tuple[int, int]]) -> None:
    draw = np.random.default_rng(1)
    images = [Image.fromarray(draw.integers(0, 255, (height, width, 3), np.uint8)) for width, height in sizes]
    encoded = strips._encode_within(images, 30_000)
    assert len(encoded) == len(images)
    assert sum(map(len, encoded)) <= 30_000
