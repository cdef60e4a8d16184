"""What the soak test renders and does to outputs, and how it compares them: a second saver, a linked disk, lost files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from custom_nodes.videogen.media.story_file import load_story_data
from tests.faults.harness import Stage, make_stage

if TYPE_CHECKING:
    from tests.faults.soak import Plan

import hashlib
import random
from pathlib import Path

import av

from tests.support.stories import Graph


def add_second_saver(graph: Graph) -> None:
    """Save the same frames with a node of ComfyUI's own, too: its videos have another rate and length than the segments."""
    source = graph["4"]["inputs"]["images"]
    graph["90"] = {"class_type": "CreateVideo", "inputs": {"images": source, "fps": 5.0}}
    graph["91"] = {
        "class_type": "SaveVideo",
        "inputs": {"video": ["90", 0], "filename_prefix": "second/saver", "format": "auto", "codec": "auto"},
    }


def link_output(server_folder: Path, disk: Path) -> None:
    """Put the folder of a server's segments on another disk, by a link."""
    (server_folder / "output").mkdir(parents=True)
    disk.mkdir()
    (server_folder / "output" / "videogen").symlink_to(disk, target_is_directory=True)


def lose_a_file(server_folder: Path, chance: random.Random) -> bool:
    """Remove the newest segment from a server's output folder, or cut it off; its cache names it still.

    Returns:
        Whether there was one.
    """
    folders = [path for path in (server_folder / "output" / "videogen").glob("*") if path.is_dir()]
    files = sorted((path for folder in folders for path in folder.glob("*.mp4")), key=lambda path: path.stat().st_mtime)
    if not files:
        return False
    if chance.random() < 0.5:
        files[-1].unlink()
    else:
        files[-1].write_bytes(files[-1].read_bytes()[:2000])
    return True


def hash_frames(path: Path) -> str:
    """What the video shows: its encoded packets and their times, without the file around them."""
    hasher = hashlib.sha256()
    with av.open(str(path)) as container:
        for packet in container.demux(video=0):
            if packet.size:
                hasher.update(f"{packet.pts} {packet.size}\n".encode())
                hasher.update(bytes(packet))
    return hasher.hexdigest()


def make_soak_stage(plan: Plan, folder: Path) -> Stage:
    """The story and its workflow in a folder, written."""
    # Most of the time a segment waits: so there is something to disturb, on a machine of any size.
    faults = ("FaultSleep", {"seconds": plan.sleep}), ("FaultServer", {})
    stage = make_stage(folder, *faults, segments=plan.segments)
    stage.story["title"] = "Soak"
    for number, segment in enumerate(stage.story["segments"], 1):
        segment["seed"] = plan.seed * 10_000 + number
    if plan.story:
        stage.story = load_story_data(Path(plan.story)).data
        stage.story = {
            "title": stage.story["title"],
            "fps": 3,
            "frames": 24,
            "size": stage.story["size"],
            **stage.story,
        }
        stage.story.update(quality="draft", segments=stage.story["segments"][: plan.segments])
    add_second_saver(stage.graph)
    for node in ("10", "11"):
        stage.graph[node]["inputs"]["record"] = ""  # part of the key: the same in both runs
    stage.write()
    return stage
