"""The benchmark that tells strangers in the same place apart, on drawn figures: it needs no clips."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from runner.bench.footage.character_clips import MOVED, PEOPLE, REPLACED, SHOTS, are_alike, clip_files, read_samples
from runner.bench.footage.footage import film
from runner.bench.programs import strangers, verdicts
from runner.bench.programs.strangers import (
    area_under_curve,
    compare_decisions,
    fails,
    format_decisions,
    pair_clips,
    pair_figures,
)
from tests.support.models.mask_networks import need_mask_network


@pytest.fixture
def few_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """No clips, and two drawn figures in two drawn places."""
    monkeypatch.setattr("runner.bench.footage.character_clips.find_clips", lambda: iter(()))
    whole = strangers.draw_figures

    def draw(places: object) -> object:
        clips, shown = whole(places)  # type: ignore[arg-type]
        kept = [name for name in clips if name.split()[0] in ("tom", "ole") and name.split()[-1] in ("field", "room")]
        return {name: clips[name] for name in kept}, {name: shown[name] for name in kept}

    monkeypatch.setattr(strangers, "draw_figures", draw)


@pytest.mark.usefixtures("few_figures")
def test_the_network_and_the_relative_rule_fail_strangers_in_the_same_place() -> None:
    result = compare_decisions(need_mask_network(), None)
    assert list(result["sets"]) == ["drawn figures"]
    rows = {(row["where"], row["decision"], row["half"]): row for row in result["sets"]["drawn figures"]}
    for (where, decision, _), row in rows.items():
        if (where, decision) == ("MediaPipe selfie", "u − 0.75 w"):
            assert row["true"]["frames_pass"] == 1
            assert row["true"]["segments_fail"] == 0
            assert row["same_place"]["frames_pass"] == 0
            assert row["same_place"]["segments_fail"] == 1
            assert row["auc_same_place"] == 1
        if where == "ratio mask":
            assert row["same_place"]["segments_fail"] == 0, "what is guessed only warns"
            assert row["same_place"]["guessed"] == 1
    table = format_decisions(result)
    assert "| stranger, same place |" in table
    assert table.count("| MediaPipe selfie | u − 0.75 w |") == 2 * len({half for *_, half in rows})


@pytest.mark.usefixtures("few_figures")
def test_without_a_network_there_are_the_rows_that_need_none() -> None:
    result = compare_decisions(None, None)
    assert {row["where"] for row in result["sets"]["drawn figures"]} == {"ratio mask"}


def test_every_pair_of_figures_is_of_one_kind() -> None:
    pairs = pair_figures({"a in x": ("a", "x"), "a in y": ("a", "y"), "b in x": ("b", "x")})
    assert {kind: len(found) for kind, found in pairs.items()} == {
        "true": 3,
        "same_place": 2,
        "other_place": 2,
        "shots": 0,
        "moved": 2,
    }


def test_exchanged_characters_and_clips_of_one_character_are_no_strangers_in_other_places() -> None:
    clips = dict.fromkeys((*PEOPLE, *SHOTS, *(name for pair in (*REPLACED, *MOVED) for name in pair)), ())
    pairs = pair_clips(clips)  # type: ignore[arg-type]
    assert len(pairs["same_place"]) == 2 * len(REPLACED)
    assert not any(are_alike(pair.reference, pair.judged) for pair in pairs["other_place"])
    assert len(set(PEOPLE)) == len(PEOPLE)
    assert not set(PEOPLE) & set(SHOTS)


def test_clips_are_found_in_wheels_and_in_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runner.bench.footage.character_clips.find_clips", lambda: iter(()))
    drawn = [Image.fromarray(np.full((24, 32, 3), 12 * number, np.uint8)) for number in range(20)]
    drawn[0].save(tmp_path / f"{PEOPLE[0]}.webp", save_all=True, append_images=drawn[1:])
    with zipfile.ZipFile(tmp_path / "media-1-py3-none-any.whl", "w") as wheel:
        wheel.write(tmp_path / f"{PEOPLE[0]}.webp", f"media/templates/{PEOPLE[1]}.webp")
        wheel.writestr("media/templates/of_no_interest.webp", b"")
    with clip_files(tmp_path) as files:
        clips = read_samples(files, PEOPLE)
    assert set(clips) == {PEOPLE[0], PEOPLE[1]}
    assert [len(frames) for frames in clips.values()] == [10, 10]
    assert clips[PEOPLE[1]][0].shape == (24, 32, 3)


def test_a_segment_fails_by_its_mean_or_by_one_frame() -> None:
    assert not fails([0.9, 0.9])
    assert not fails([0.84, 0.82])  # too close to tell
    assert fails([0.75, 0.75])
    assert fails([1.0, 1.0, 1.0, 0.6])
    assert area_under_curve([1, 2], [0, 1]) == pytest.approx(0.875)


def test_whole_verdicts_on_good_and_spoiled_footage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runner.bench.footage.character_clips.find_clips", lambda: iter(()))
    for name, who in ((PEOPLE[0], "tom"), (PEOPLE[1], "ole")):
        drawn = [Image.fromarray(frame) for frame in film(who, "field", frames=30, size=(320, 180)).frames]
        drawn[0].save(tmp_path / f"{name}.webp", save_all=True, append_images=drawn[1:], quality=95)
    monkeypatch.setattr(verdicts, "PEOPLE", PEOPLE[:2])
    monkeypatch.setattr(verdicts, "REPLACED", ((PEOPLE[0], PEOPLE[1]),))
    found = verdicts.judge_clips(need_mask_network(), tmp_path)
    levels = {kind: [each["level"] for each in found if each["kind"] == kind] for kind in ("good", *verdicts.TEMPORAL)}
    assert "fail" not in levels.pop("good")
    assert {kind: set(each) for kind, each in levels.items()} == {key: {"fail"} for key in verdicts.TEMPORAL}
    assert {each["level"] for each in found if each["kind"] == "stranger"} == {"fail"}
    summary = verdicts.sum_up([*found, *({**each, "half": half} for each in found for half in verdicts.HALVES)])
    assert summary["good_that_fail"] == {}
    assert summary["halves"]["test"]["noise"]["failed"] == 1
    assert "| stranger | test |" in verdicts.format_verdicts(summary)
