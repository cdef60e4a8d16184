"""Files that somebody has put in the place of rendered ones: named, rendered again, or taken on purpose; never taken for ours."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from custom_nodes.videogen.media.probe import hash_file
from runner.reports.strips import load_strips
from tests.runner.property.oracle import check_film
from tests.runner.property.world import World
from tests.support.runs import videogen
from tests.support.servers.model.tiny_segments import read_content
from tests.support.videos import read_codes

MakeWorld = Callable[..., World]


@pytest.fixture
def rendered(make_world: MakeWorld) -> World:
    """A film of three segments."""
    world = make_world()
    finish(world)
    return world


def finish(world: World, **options: Any) -> str:
    """A run that succeeds, and what it said."""
    run = world.run("A", film=True, **options)
    said = (world.folder / f"run_{run.number}.log").read_text(encoding="utf-8")
    assert run.ended.status == 0, said
    return said


def segment(world: World, number: int) -> Path:
    return world.directory / "segments" / f"segment_{number:02d}.mp4"


def rendered_again(world: World) -> list[int]:
    last = world.events("run-started")[-1] if len(world.events("run-started")) == world.chronicle.run else {"todo": []}
    return last["todo"]


# ------------------------------------------------------------------ how a file comes to be another one


def overwrite(world: World) -> None:
    shutil.copyfile(segment(world, 3), segment(world, 2))


def truncate(world: World) -> None:
    os.truncate(segment(world, 2), segment(world, 2).stat().st_size // 2)


def link(world: World) -> None:
    segment(world, 2).unlink()
    segment(world, 2).symlink_to("segment_03.mp4")


def replace_in_secret(world: World) -> None:
    """Another clip of the same size, with the time that the file had."""
    path = segment(world, 2)
    before = path.stat()
    data = bytearray(path.read_bytes())
    data[-2] ^= 1
    path.with_suffix(".tmp").write_bytes(data)
    path.with_suffix(".tmp").replace(path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (before.st_size, before.st_mtime_ns)


WAYS = [overwrite, truncate, link, replace_in_secret]


@pytest.mark.parametrize("way", WAYS)
def test_the_film_is_not_made_of_another_file(rendered: World, way: Callable[[World], None]) -> None:
    film = hash_file(rendered.directory / "film.mp4")
    way(rendered)
    ended = videogen("film", rendered.directory)
    assert ended.status == 1
    assert "segments/segment_02.mp4 is not the file that was rendered and verified" in ended.err
    assert "--adopt" in ended.err
    assert hash_file(rendered.directory / "film.mp4") == film
    assert len(rendered.events("film-done")) == 1
    said = finish(rendered)
    assert "Segment 2: segments/segment_02.mp4 is not the file that was rendered" in said
    assert rendered_again(rendered) == [2]
    check_film(rendered)
    assert rendered.content_of(2)["number"] == 2
    assert not segment(rendered, 2).is_symlink()


def test_what_was_in_its_place_is_kept(rendered: World) -> None:
    overwrite(rendered)
    finish(rendered)
    kept = rendered.directory / "segments" / "previous" / "segment_02_001.mp4"
    assert read_content(kept.read_bytes())["number"] == 3


def test_several_are_named_at_once(rendered: World) -> None:
    for number in (1, 2):
        shutil.copyfile(segment(rendered, 3), segment(rendered, number))
    assert (
        "segments/segment_01.mp4, segments/segment_02.mp4 are not the files" in videogen("film", rendered.directory).err
    )


def test_a_run_that_does_not_render_it_makes_no_film_of_it(rendered: World) -> None:
    overwrite(rendered)
    rendered.edit(1, prompt="a river")
    said = finish(rendered, selection=[1])
    assert "No film: segments/segment_02.mp4 is not the file that was rendered" in said
    assert len(rendered.events("film-done")) == 1


# ------------------------------------------------------------------ taken on purpose


@pytest.mark.parametrize("way", [overwrite, link, replace_in_secret])
def test_a_file_is_taken_on_purpose(rendered: World, way: Callable[[World], None]) -> None:
    way(rendered)
    ended = videogen("film", rendered.directory, "--adopt")
    assert ended.status == 0, ended.err
    assert "Segment 2: segments/segment_02.mp4 is taken as it is" in ended.err
    assert read_codes(rendered.directory / "film.mp4")[12:24] == [2 if way is replace_in_secret else 3] * 12
    event = rendered.events("segment-adopted")[0]
    assert (event["segment"], event["sha256"]) == (2, hash_file(segment(rendered, 2)))
    assert event["former"] == rendered.events("segment-done")[1]["sha256"] != event["sha256"]
    # From now on it is the segment's file: nothing is rendered, and the film is that of this file.
    before = len(rendered.chronicle.executions)
    assert "up to date" in finish(rendered)
    assert len(rendered.chronicle.executions) == before
    assert videogen("report", rendered.directory).status == 0
    page = (rendered.directory / "report.html").read_text(encoding="utf-8")
    assert "file of another origin" in page


def test_a_run_takes_it_on_purpose_too(rendered: World) -> None:
    overwrite(rendered)
    rendered.adopt = True
    assert "segments/segment_02.mp4 is taken as it is" in finish(rendered)
    assert read_codes(rendered.directory / "film.mp4")[12:24] == [3] * 12
    assert rendered_again(rendered) == []


def test_another_text_renders_it_again_and_going_back_brings_it_back(rendered: World) -> None:
    overwrite(rendered)
    videogen("film", rendered.directory, "--adopt")
    rendered.edit(2, prompt="a river")
    finish(rendered)
    check_film(rendered)
    rendered.edit(2, prompt="a tree")
    before = len(rendered.chronicle.executions)
    finish(rendered)
    assert len(rendered.chronicle.executions) == before
    assert rendered.content_of(2)["number"] == 3


def test_what_does_not_decode_is_not_taken(rendered: World) -> None:
    overwrite(rendered)
    segment(rendered, 1).write_bytes(b"no video")
    ended = videogen("film", rendered.directory, "--adopt")
    assert ended.status == 1
    assert "segment_01.mp4" in ended.err
    assert rendered.events("segment-adopted") == []


def test_a_clip_of_another_length_says_so(rendered: World) -> None:
    from custom_nodes.videogen.core.video.quality import QUALITIES
    from tests.support.videos import X264, draw_code, write_video

    images = (draw_code(7, (640, 360)) for _ in range(30))
    segment(rendered, 2).unlink()
    write_video(segment(rendered, 2), images, count=30, size=(640, 360), quality=QUALITIES["draft"], encoder=X264)
    ended = videogen("film", rendered.directory, "--adopt")
    assert "it lasts 1.25 s, the film cuts it or holds its last frame" in ended.err


def test_without_anything_to_take_the_option_changes_nothing(rendered: World) -> None:
    rendered.adopt = True
    assert "up to date" in finish(rendered)
    assert rendered.events("segment-adopted") == []


# ------------------------------------------------------------------ what is handed over


def test_a_segment_does_not_continue_another_file(make_world: MakeWorld) -> None:
    world = make_world(continues=(3,))
    finish(world)
    uploaded = len(world.servers["A"].front.asked("POST /upload/image"))
    overwrite(world)
    world.edit(3, prompt="a river")
    run = world.run("A", selection=[3])
    assert run.ended.status == 1
    assert "segments/segment_02.mp4 is not the file that was rendered" in run.ended.failed[3]
    assert len(world.servers["A"].front.asked("POST /upload/image")) == uploaded
    finish(world)
    check_film(world)


def test_what_continues_a_file_that_was_taken_is_rendered_again(make_world: MakeWorld) -> None:
    world = make_world(continues=(3,))
    finish(world)
    overwrite(world)
    world.adopt = True
    finish(world)
    assert rendered_again(world) == [3]
    assert hash_file(segment(world, 2))[:24] in world.content_of(3)["begins from"]


def test_images_of_another_file_are_not_kept_as_those_of_the_segment(rendered: World) -> None:
    (rendered.directory / "thumbnails.json").unlink(missing_ok=True)
    done = rendered.events("segment-done")
    segments = [{"number": event["segment"], "file": event["file"], "sha256": event["sha256"]} for event in done]
    overwrite(rendered)
    strips = load_strips(rendered.directory, segments)
    assert [bool(strips[number].images) for number in (1, 2, 3)] == [True, False, True]
    assert "replaced" in strips[2].badge
    finish(rendered)
    assert load_strips(rendered.directory, segments)[2].images


def test_scores_of_another_file_do_not_count(make_world: MakeWorld) -> None:
    from runner.rendering.takes.records import load_score

    world = make_world(shortfalls=(0, 0, 0))
    finish(world)
    scores = sorted((world.directory / "scores").iterdir())
    assert load_score(world.directory, world.journal().segment(2)) is not None
    scores[1].write_text(scores[1].read_text(encoding="utf-8").replace("0.95", "0.15"), encoding="utf-8")
    assert load_score(world.directory, world.journal().segment(2)) is None
    assert load_score(world.directory, world.journal().segment(1)) is not None


def test_another_film_is_made_again(rendered: World) -> None:
    film = rendered.directory / "film.mp4"
    before = hash_file(film)
    data = bytearray(film.read_bytes())
    data[-2] ^= 1
    film.write_bytes(data)
    assert "up to date" not in finish(rendered)
    assert hash_file(film) == before
