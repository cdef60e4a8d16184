"""Runs of official templates on the room's server, and what they have submitted and rendered."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

from PIL import Image

from runner.comfyui.transport import read_json
from tests.support.runs import Ended, read_journal, segments_with, videogen, write_json
from tests.support.servers.comfy import ComfyServer
from tests.support.videos import read_frames, read_sound

#: Of which a file's length of sound is a multiple.
MILLISECOND = 0.001


def run_workflow(
    server: ComfyServer, folder: Path, workflow: Path, story: dict[str, Any], settings: Iterable[str], *options: object
) -> Ended:
    """`videogen run` into ``folder/run``, with pictures of Ben and Ann next to the story."""
    Image.new("RGB", (64, 96), "blue").save(folder / "ben.png")
    Image.new("RGB", (96, 64), "green").save(folder / "ann.png")
    return videogen(
        "run",
        write_json(folder / "story.json", story),
        "--workflow",
        workflow,
        "--server",
        server.url,
        "--out",
        folder / "run",
        *(part for setting in settings for part in ("--set", setting)),
        *options,
    )


def submitted(server: ComfyServer, folder: Path) -> dict[int, dict[str, Any]]:
    """Segment → the graph that was submitted for it last, as the server has it."""
    found = {}
    for event in read_journal(folder / "run"):
        if event["event"] == "segment-submitted":
            prompt_id = event["prompt_id"]
            entry = read_json(server.client.http.request("GET", f"/history/{prompt_id}"))[prompt_id]
            found[event["segment"]] = entry["prompt"][2]
    return found


def value(graph: dict[str, Any], place: str) -> Any:
    """The value of an input, ``104.first_frame``; of a link to a node that loads a picture, its file's name."""
    node, _, name = place.partition(".")
    found = graph[node]["inputs"].get(name)
    return graph[found[0]]["inputs"].get("image") if isinstance(found, list) else found


def check_segments(
    folder: Path, frames: int, size: tuple[int, int], sound: tuple[int, float], continuing: Collection[int] = ()
) -> None:
    """Each of three segments is done, with as many frames at 24 a second, and stereo sound.

    Args:
        frames: that are rendered.
        sound: samples a second, and seconds that are made.
        continuing: numbers of those whose first frame, and its sound, the segment before has shown.
    """
    events = {event["segment"]: event for event in read_journal(folder / "run") if event["event"] == "segment-done"}
    assert sorted(events) == [1, 2, 3]
    clips = []
    for number, event in events.items():
        rate, made = sound
        shared = 1 if number in continuing else 0
        seconds = min(made - shared / 24, (frames - shared) / 24) if shared else made
        assert (event["frames"], event["fps"], event["size"]) == (frames - shared, "24", [*size])
        path = folder / "run" / event["file"]
        clips.append(read_frames(path))
        assert len(clips[-1]) == frames - shared
        heard = read_sound(path)
        assert heard.rate == rate
        assert abs(heard.seconds - seconds) < MILLISECOND
        left, right = heard.samples
        assert len(left) >= rate * (seconds - MILLISECOND)
        assert left.std() > 0.01
        assert right.std() > 0.01
        assert abs(left - right).max() > 0.01, "two channels, not one twice"
    assert all((one[0] != other[0]).any() for one, other in itertools.pairwise(clips)), "other seeds"


def check_nothing_again(ended: Ended, folder: Path) -> None:
    """The same command again rendered nothing."""
    assert ended.status == 0, ended.err
    assert sorted(segments_with(folder / "run", "segment-submitted")) == [1, 2, 3]
    assert sorted(segments_with(folder / "run", "segment-done")) == [1, 2, 3]
