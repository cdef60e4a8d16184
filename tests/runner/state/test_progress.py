"""What a user sees while a run goes on."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest

from runner.state import progress
from runner.state.progress import BarDisplay, Display, JsonDisplay, LineDisplay, choose_display
from runner.terminal.console import PlainConsole


def play(display: Display) -> None:
    """A run of three segments, of which one was there already and one fails."""
    display.say("Starting ComfyUI 0.3.75 …")
    display.begin(total=3, done=1)
    display.event({"event": "segment-submitted", "segment": 2})
    display.step(2, 3, "KSampler", 0.5)
    display.finish_segment(2, 3, 61.0, "")
    display.finish_segment(3, 3, 59.0, "failed: node 3 (KSampler): oh [bold]no[/bold]")
    display.end()


def test_plain_lines_go_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    play(LineDisplay())
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == [
        "Starting ComfyUI 0.3.75 …",
        "Segment 2/3: done in 61.0 s, 1:01 left",
        "Segment 3/3: failed: node 3 (KSampler): oh [bold]no[/bold] in 59.0 s",
    ]


def test_json_is_one_object_a_line_on_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    play(JsonDisplay())
    out, err = capsys.readouterr()
    events = [json.loads(line) for line in out.splitlines()]
    assert err == ""
    assert events == [
        {"event": "message", "text": "Starting ComfyUI 0.3.75 …"},
        {"event": "segment-submitted", "segment": 2},
        {"event": "progress", "segment": 2, "count": 3, "node": "KSampler", "fraction": 0.5},
    ]


def test_a_code_that_had_another_name_is_told_with_it(capsys: pytest.CaptureFixture[str]) -> None:
    display = JsonDisplay()
    display.event({"event": "segment-failed", "segment": 1, "code": "media-broken"})
    display.event({"event": "segment-failed", "segment": 2, "code": "render-failed"})
    assert [json.loads(line) for line in capsys.readouterr().out.splitlines()] == [
        {"event": "segment-failed", "segment": 1, "code": "media-broken", "former_code": "video-broken"},
        {"event": "segment-failed", "segment": 2, "code": "render-failed"},
    ]


def test_json_progress_comes_at_most_twice_a_second(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter(number / 100 for number in range(1000, 100_000))
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    display = JsonDisplay()
    for step in range(1000):
        display.step(1, 1, "KSampler", step / 1000)
    assert 10 <= len(capsys.readouterr().out.splitlines()) <= 45


def test_the_bar_shows_what_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = io.StringIO()
    monkeypatch.setattr(
        progress, "PlainConsole", lambda **options: PlainConsole(file=screen, force_terminal=True, width=120)
    )
    play(BarDisplay())
    text = screen.getvalue()
    assert "Starting ComfyUI 0.3.75 …" in text
    assert "Segment 3/3: failed: node 3 (KSampler): oh [bold]no[/bold]" in text
    assert "3/3" in text


def test_a_run_that_ends_before_it_began_shows_no_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = io.StringIO()
    monkeypatch.setattr(progress, "PlainConsole", lambda **options: PlainConsole(file=screen, force_terminal=True))
    display = BarDisplay()
    display.say("All 3 segments are done already")
    display.end()
    assert "done already" in screen.getvalue()


@pytest.mark.parametrize(
    ("as_json", "terminal", "kind"),
    [(True, True, JsonDisplay), (True, False, JsonDisplay), (False, True, BarDisplay), (False, False, LineDisplay)],
)
def test_the_display_fits_the_place(
    monkeypatch: pytest.MonkeyPatch, as_json: bool, terminal: bool, kind: type[Any]
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: terminal, raising=False)
    assert type(choose_display(as_json)) is kind


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0:00"), (59.6, "1:00"), (61, "1:01"), (3599.9, "1:00:00"), (36_000, "10:00:00")]
)
def test_times_are_shown_as_on_a_clock(seconds: float, text: str) -> None:
    assert progress._clock(seconds) == text


@pytest.mark.parametrize(
    ("selection", "places"),
    [
        ((1, 2), ["1 (1 of 2)", "2 (2 of 2)"]),
        ((7, 12, 14), ["7 (1 of 3)", "12 (2 of 3)", "14 (3 of 3)"]),
        ((33,), ["33 (1 of 1)"]),
        ((), ["1/33", "2/33"]),
    ],
)
def test_a_run_of_some_segments_counts_these(
    selection: tuple[int, ...], places: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    display = LineDisplay()
    display.begin(len(selection) or 33, 0, selection)
    for number in selection or (1, 2):
        display.step(number, 33, "80 °C", None)
        display.finish_segment(number, 33, 1.0, "")
    said = [line.split(":")[0] for line in capsys.readouterr().err.splitlines()]
    assert said == [f"Segment {place}" for place in places for _ in range(2)]
