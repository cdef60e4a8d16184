"""Changed and changed back: what was rendered for a text comes back with it, and nothing is rendered twice."""

from __future__ import annotations

import copy
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.media.probe import hash_file
from runner.comfyui.outcome import Outcome
from runner.rendering.film import update_film
from runner.rendering.kept_results import list_results
from runner.reports.report import report_directory, write_report
from runner.state.progress import LineDisplay
from runner.state.run_directory import RunDirectory
from tests.runner.rendering.takes.scripted_run import STORY, Run, ScriptedServer, tone

PASSES = 0.95


def seeded(*seeds: int, continues: bool = False) -> dict[str, Any]:
    """The story with other seeds, each of which has frames of its own."""
    story = copy.deepcopy(STORY)
    for segment, seed in zip(story["segments"], seeds, strict=True):
        segment["seed"] = seed
    if continues:
        story["segments"][1]["continues"] = True
    return story


OLD, NEW = seeded(101, 102), seeded(201, 102)


@pytest.fixture
def unmeasured(run: Callable[..., Run]) -> Run:
    """A run whose segments have one take each, as many as there are."""
    made = run({1: [PASSES] * 9, 2: [PASSES] * 9})
    made.server.measured = False
    return made


def results(run: Run) -> list[str]:
    return sorted(hash_file(path) for path in list_results(run.folder))


def test_going_back_to_the_old_text_renders_nothing(unmeasured: Run, capsys: pytest.CaptureFixture[str]) -> None:
    made = unmeasured
    made.tell(OLD).go()
    made.tell(NEW).go()
    assert made.is_take_of(1, 201)
    rendered = list(made.server.seeds)
    made.tell(OLD).go()
    assert made.is_take_of(1, 101)
    made.tell(NEW).go()
    assert made.is_take_of(1, 201)
    assert made.server.seeds == rendered
    assert len(results(made)) == 1
    assert not (made.folder / "segments" / "previous").exists()
    assert [event["event"] for event in made.events].count("segment-verified") == 3


def test_stopped_before_anything_was_rendered_the_file_is_still_that_of_the_old_text(run: Callable[..., Run]) -> None:
    stop = Outcome("interrupted", "somebody pressed Cancel")
    made = run({1: [PASSES, stop], 2: [PASSES]})
    made.server.measured = False
    made.tell(OLD).go()
    with pytest.raises(VideoGenError):
        made.tell(NEW).go()
    made.tell(OLD).go()
    assert [seed for number, seed in made.server.seeds if number == 1] == [101, 201]
    assert made.is_take_of(1, 101)


@pytest.mark.parametrize("measured", [False, True])
def test_killed_at_any_step_nothing_is_lost_and_nothing_rendered_twice(
    run: Callable[..., Run], tmp_path: Path, measured: bool
) -> None:
    """While the new text is rendered in place of the old one, and while the old one comes back."""
    for step in range(40):
        shutil.rmtree(tmp_path / "run", ignore_errors=True)
        made = run({1: [PASSES] * 9, 2: [PASSES] * 9})
        made.server.measured = measured
        made.tell(OLD).go()
        came_through = made.tell(NEW).go_until(step)
        came_through = made.tell(OLD).go_until(step) and came_through
        made.tell(OLD).go()
        assert made.is_take_of(1, 101)
        made.tell(NEW).go()
        assert made.is_take_of(1, 201)
        made.tell(OLD).go()
        assert made.is_take_of(1, 101)
        assert sorted(made.server.seeds) == [(1, 101), (1, 201), (2, 102)], f"killed before step {step}"
        if came_through:
            return
    raise AssertionError("it takes more steps than that")


def is_sound_of(run: Run, seed: int) -> bool:
    return (run.folder / "segments" / "segment_01_audio_1.wav").read_bytes() == tone(seed)


def test_sound_beside_the_images_comes_back_with_them(unmeasured: Run) -> None:
    unmeasured.server.sounds = True
    for story, seed in ((OLD, 101), (NEW, 201), (OLD, 101), (NEW, 201)):
        unmeasured.tell(story).go()
        assert unmeasured.is_take_of(1, seed)
        assert is_sound_of(unmeasured, seed)
    assert len(unmeasured.server.seeds) == 3


def test_the_best_take_has_its_own_sound(run: Callable[..., Run]) -> None:
    made = run({1: [0.5, 0.8, 0.6], 2: [PASSES]})
    made.server.sounds = True
    made.tell(OLD).go()
    assert made.is_take_of(1, 102)
    assert is_sound_of(made, 102)


def test_killed_while_it_comes_back_the_sound_is_that_of_the_images(run: Callable[..., Run], tmp_path: Path) -> None:
    for step in range(40):
        shutil.rmtree(tmp_path / "run", ignore_errors=True)
        made = run({1: [PASSES] * 9, 2: [PASSES] * 9})
        made.server.measured, made.server.sounds = False, True
        made.tell(OLD).go()
        made.tell(NEW).go()
        came_through = made.tell(OLD).go_until(step)
        made.tell(OLD).go()
        assert is_sound_of(made, 101), f"killed before step {step}"
        if came_through:
            return
    raise AssertionError("it takes more steps than that")


def test_the_best_take_comes_back_with_what_was_measured(run: Callable[..., Run]) -> None:
    made = run({1: [0.5, 0.8, 0.6, PASSES], 2: [PASSES]})
    made.tell(OLD).go()
    first = made.result(1)
    made.tell(NEW).go()
    made.tell(OLD).go()
    assert made.is_take_of(1, 102)
    again = made.result(1)
    assert {**again, "time": 0} == {**first, "time": 0}
    assert (made.folder / again["continuity"]["file"]).is_file()
    assert [(made.folder / take["file"]).is_file() for take in again["takes"]] == [True] * 3
    assert len(made.server.seeds) == 5


def test_takes_that_were_judged_before_the_text_changed_count_when_it_is_back(run: Callable[..., Run]) -> None:
    stop = Outcome("interrupted", "somebody pressed Cancel")
    made = run({1: [0.5, stop, 0.6, stop, 0.8, 0.7], 2: [PASSES]})
    for story in (OLD, NEW):
        with pytest.raises(VideoGenError):
            made.tell(story).go()
    made.tell(OLD).go()
    seeds = [seed for number, seed in made.server.seeds if number == 1]
    assert seeds == [101, 102, 201, 202, 102, 103]
    takes = made.result(1)["takes"]
    assert [(take["seed"], take["score"], take["kept"]) for take in takes] == [
        (101, 0.5, False),
        (102, 0.8, True),
        (103, 0.7, False),
    ]
    assert made.is_take_of(1, 102)


def test_a_prompt_that_ended_while_another_text_was_wanted_is_fetched(run: Callable[..., Run]) -> None:
    made = run({1: [PASSES, PASSES], 2: [PASSES]})
    made.server.measured = False
    made.tell(OLD).go(kill_after="segment-running")
    made.tell(NEW).go()
    made.tell(OLD).go()
    assert made.is_take_of(1, 101)
    assert [seed for number, seed in made.server.seeds if number == 1] == [101, 201]


def test_a_segment_that_continues_another_comes_back_with_it(unmeasured: Run) -> None:
    made = unmeasured
    old, new = seeded(101, 102, continues=True), seeded(201, 102, continues=True)
    made.tell(old).go()
    made.tell(new).go()
    assert made.server.seeds == [(1, 101), (2, 102), (1, 201), (2, 102)]
    shown = {number: hash_file(made.folder / made.result(number)["file"]) for number in (1, 2)}
    made.tell(old).go()
    made.tell(new).go()
    assert len(made.server.seeds) == 4
    assert {number: hash_file(made.folder / made.result(number)["file"]) for number in (1, 2)} == shown


def test_what_begins_from_the_same_file_again_is_not_rendered_again(unmeasured: Run) -> None:
    """The first segment's file is lost and rendered again, with the same bytes."""
    made = unmeasured.tell(seeded(101, 102, continues=True))
    made.go()
    (made.folder / "segments" / "segment_01.mp4").unlink()
    made.server.known.clear()
    renderer = made.go()
    assert made.server.seeds == [(1, 101), (2, 102), (1, 101)]
    assert renderer is not None
    assert renderer.rendered == [1]


def test_what_was_replaced_longest_ago_goes_first(unmeasured: Run) -> None:
    made = unmeasured
    stories = [seeded(seed, 102) for seed in (101, 201, 301, 401)]
    for story in stories[:3]:
        made.tell(story).go()
    size = (made.folder / "segments" / "segment_01.mp4").stat().st_size
    made.keep_results = size * 5 // 2
    made.tell(stories[3]).go()
    assert results(made) == sorted(hash_file(made.server.folder / f"1_{seed}.mp4") for seed in (201, 301))
    rendered = len(made.server.seeds)
    made.server.known.clear()
    made.tell(stories[2]).go()
    assert len(made.server.seeds) == rendered
    made.tell(stories[0]).go()
    assert len(made.server.seeds) == rendered + 1, "it was rendered again: it was not kept"


def test_the_film_of_what_came_back_is_the_film_of_before(unmeasured: Run) -> None:
    """With a dissolve, which is encoded from the frames of both segments."""
    dissolve = {"transitions": [{"after": 1, "type": "dissolve", "seconds": 0.25}]}
    films = []
    for story in (OLD | dissolve, NEW | dissolve, OLD | dissolve):
        made = unmeasured.tell(story)
        made.go()
        with RunDirectory(made.folder, "Field") as directory:
            assert update_film(directory, made.story, LineDisplay()) is not None
            films.append(hash_file(directory.film))
    assert films[0] == films[2] != films[1]


def test_the_report_says_how_much_is_kept(unmeasured: Run) -> None:
    made = unmeasured
    made.tell(OLD).go()
    assert report_directory(made.folder)["kept_results"] == {"files": 0, "bytes": 0}
    made.tell(NEW).go()
    size = (made.server.folder / "1_101.mp4").stat().st_size
    report = report_directory(made.folder)
    assert report["kept_results"] == {"files": 1, "bytes": size}
    assert "of earlier results are kept" in write_report(made.folder, report).read_text("utf-8")


def test_nothing_is_kept_where_the_user_wants_nothing_kept(unmeasured: Run) -> None:
    made = unmeasured
    made.tell(OLD).go()
    made.keep_results = 0
    made.tell(NEW).go()
    assert results(made) == []
    made.server.known.clear()
    made.tell(OLD).go()
    assert [seed for number, seed in made.server.seeds if number == 1] == [101, 201, 101]


@pytest.mark.parametrize("where", ["results", "segments"])
def test_a_file_that_was_changed_is_not_taken_for_the_result(unmeasured: Run, where: str) -> None:
    made = unmeasured
    made.tell(OLD).go()
    if where == "results":
        made.tell(NEW).go()
        (kept,) = list_results(made.folder)
        kept.write_bytes(kept.read_bytes()[:-1] + b"x")
        made.server.known.clear()
        made.tell(OLD).go()
    else:
        file = made.folder / "segments" / "segment_01.mp4"
        file.write_bytes(b"cut by the user")
        made.tell(NEW).go()
        assert results(made) == []
        assert (made.folder / "segments" / "previous" / "segment_01_001.mp4").read_bytes() == b"cut by the user"
        made.server.known.clear()
        made.tell(OLD).go()
    assert [seed for number, seed in made.server.seeds if number == 1] == [101, 201, 101]
    assert made.is_take_of(1, 101)


def test_a_fresh_run_has_all_of_it_in_previous(unmeasured: Run) -> None:
    made = unmeasured
    made.tell(OLD).go()
    made.tell(NEW).go()
    kept = results(made)
    with RunDirectory(made.folder, "Field", fresh=True):
        pass
    assert results(made) == []
    assert [hash_file(path) for path in (made.folder / "results" / "previous").iterdir()] == kept


def test_the_server_does_not_have_to_know_anything_any_more(unmeasured: Run, tmp_path: Path) -> None:
    made = unmeasured
    made.tell(OLD).go()
    made.tell(NEW).go()
    made.server = ScriptedServer(tmp_path / "another", {})
    made.tell(OLD).go()
    assert made.server.seeds == []
