"""Where a story's runs go by default: every story has a folder of its own, and finds the one that it had."""

from __future__ import annotations

from pathlib import Path

import pytest

from runner.state.default_directory import find_default_directory
from runner.state.run_directory import RunDirectory


def begin_run(path: Path, title: str) -> None:
    with RunDirectory(path, title) as directory:
        directory.write_json("run.json", {"title": title, "story": {}, "run_id": "1"})


@pytest.mark.parametrize(("one", "other"), [("苹果树", "櫻の木"), ("Garden", "Garden!"), ("Uber", "Über")])
def test_every_story_has_a_folder_of_its_own_and_comes_back_to_it(one: str, other: str, tmp_path: Path) -> None:
    first = find_default_directory(tmp_path, one)
    begin_run(first, one)
    second = find_default_directory(tmp_path, other)
    begin_run(second, other)
    assert first != second
    assert [find_default_directory(tmp_path, title) for title in (one, other)] == [first, second]


@pytest.mark.parametrize(
    ("title", "former"), [("苹果树", "story"), ("Łódź", "odz"), ("Con", "con"), ("a" * 70, "a" * 60)]
)
def test_a_run_of_an_earlier_release_is_carried_on(title: str, former: str, tmp_path: Path) -> None:
    begin_run(tmp_path / former, title)
    assert find_default_directory(tmp_path, title) == tmp_path / former
    assert find_default_directory(tmp_path, f"{title} 2") != tmp_path / former


def test_a_folder_whose_run_cannot_be_read_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "garden").mkdir()
    (tmp_path / "garden" / "run.json").write_text("{")
    assert find_default_directory(tmp_path, "Garden").name.startswith("garden_")
