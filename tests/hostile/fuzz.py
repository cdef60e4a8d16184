"""Random changes to good files, and what reads them: every input is read, or refused with a sentence.

``python -m tests.hostile.fuzz --minutes 60`` runs all targets in turn until the time is over, and prints the seed of each input
that ends in anything but a `VideoGenError`, or in a file outside its folder. The tests run some hundreds of each.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import random
import resource
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import comfy_cli.workflow_to_api  # noqa: F401 - makes a folder of its own in the user's when it is imported
import numpy as np
import psutil
from PIL import Image

from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.core.segment.plan import plan_segment
from custom_nodes.videogen.core.story.parser import parse_story, parse_story_text
from custom_nodes.videogen.media.film.clips import VideoClip
from custom_nodes.videogen.media.images.frame_reader import open_source, read_frames
from custom_nodes.videogen.media.images.image_files import read_mask, read_reference_image
from custom_nodes.videogen.media.images.last_frame import read_last_frame
from custom_nodes.videogen.media.images.reference_file import is_rendered
from custom_nodes.videogen.media.images.thumbnails import read_thumbnails
from custom_nodes.videogen.media.probe import probe_video, verify_sound
from custom_nodes.videogen.media.story_file import load_story_data
from runner.workflows.image_inputs import find_image_inputs, find_unknown_references
from runner.workflows.story_files import list_story_files
from runner.workflows.validate import check_graph
from runner.workflows.workflow import convert_workflow, load_workflow
from tests.hostile.model_targets import MODEL_TARGETS
from tests.hostile.server_targets import SERVER_TARGETS
from tests.support.hostile.fence import fenced_in
from tests.support.hostile.mutation import change_bytes, change_data, change_text
from tests.support.videos import draw_code, write_video

PROJECT = Path(__file__).resolve().parents[2]
#: MB that a run may take more at its end than when everything was imported.
MAX_GROWTH = 100
SECRET = "the words of a file that no story may read"
#: A story with a field of every kind.
STORY: dict[str, Any] = {
    "title": "Night Shift",
    "fps": "24000/1001",
    "size": [640, 360],
    "quality": "draft",
    "style": {"prefix": "film", "kelvin": [5500, 6000], "master_prompt": "look.md", "lighting": "warm 3000 K"},
    "characters": {
        "baker": {
            "description": "a woman",
            "segments": "1,2",
            "reference": ["baker.png", "p/side.png"],
            "region": "m.png",
        },
        "boy": {"region": [0, 0, 0.5, 1], "weight": "1/2", "color": "#123456", "seed": 5, "segments": [1, "2"]},
    },
    "locations": {"bakery": {"description": "small", "segments": "1-2"}},
    "transitions": [{"after": 1, "seconds": 0.5}],
    "audio": {"music": "song.mp3", "narration": True, "language": "de"},
    "segments": [
        {
            "prompt": "Her hands",
            "timespan": "00:00 - 00:06",
            "technical": "Close-up, slow pan to the left",
            "x-note": 1,
        },
        {
            "prompt": "Loaves, wide shot",
            "timespan": "00:06 - 00:10.5",
            "continues": True,
            "id": "two",
            "frames": 4,
            "narration": "It snows.",
        },
    ],
}
YAML = """
x-street: &street {negative: cars, technical: "Totale, statisch"}
title: Film
fps: 12
size: [640, 360]
characters:
  anna: {description: &d a woman, segments: "1,2"}
  ben: {description: *d, region: left, x-born: 2001-01-01}
segments:
  - {<<: *street, prompt: one, timespan: 00:00 - 00:08}
  - {<<: [*street], prompt: |
      two lines
      of text, seed: 0x10}
"""


@dataclass(frozen=True)
class Target:
    """What is fuzzed: `feed` changes a good input with this random generator, and reads it in a folder of its own."""

    feed: Callable[[random.Random, Path], None]


# ------------------------------------------------------------------ stories


def _read_all(text: str, name: str) -> None:
    story = parse_story_text(text, name, lambda file: "soft light")
    for segment in story.segments[:20]:
        plan_segment(story, segment.number).digest()


def story_json(draw: random.Random, folder: Path) -> None:
    data = change_data(draw, STORY)
    text = json.dumps(data)
    _read_all(change_text(draw, text) if draw.random() < 0.3 else text, "a.json")
    parse_story(data, "a")


def story_yaml(draw: random.Random, folder: Path) -> None:
    _read_all(change_text(draw, YAML), draw.choice(("a.yaml", "a")))


def story_beside_files(draw: random.Random, folder: Path) -> None:
    """In a folder with links and hidden files; no story says the secret, or would have it uploaded."""
    if not (folder / "story").exists():
        _fill(folder)
    names = [
        "look.md",
        "baker.png",
        ".ssh/id_rsa",
        "link.md",
        "link.png",
        "out/secret.md",
        "../secret.md",
        "key.png",
        "p",
    ]
    name = change_text(draw, draw.choice(names)) if draw.random() < 0.4 else draw.choice(names)
    data = {
        "style": {"master_prompt": name},
        "characters": {"baker": {"reference": [draw.choice(names), name], "region": draw.choice(names)}},
        "segments": draw.choice((name, [{"prompt": "x"}])),
    }
    path = folder / "story" / "story.json"
    path.write_text(json.dumps(data))
    loaded = load_story_data(path)
    assert SECRET not in json.dumps(loaded.data)
    lines, _ = list_story_files(loaded, (), folder / "runs")
    assert [line for line in lines if line.startswith("Uploads") and "baker.png (" not in line] == []


def _fill(folder: Path) -> None:
    story = folder / "story"
    (story / ".ssh").mkdir(parents=True)
    for path in (folder / "secret.md", story / ".ssh" / "id_rsa", story / "key.png"):
        path.write_text(SECRET)
    (story / "link.md").symlink_to(folder / "secret.md")
    (story / "link.png").symlink_to(story / "baker.png")
    (story / "out").symlink_to(folder)
    (story / "look.md").write_text("soft light")
    Image.new("RGB", (8, 8)).save(story / "baker.png")


# ------------------------------------------------------------------ workflows


def _workflows() -> Iterator[dict[str, Any]]:
    for path in sorted((PROJECT / "workflows").glob("*.json")):
        yield json.loads(path.read_text("utf-8"))


INFO: dict[str, Any] = json.loads((PROJECT / "tests" / "runner" / "object_info.json").read_text("utf-8"))
WORKFLOWS = list(_workflows())


def workflow(draw: random.Random, folder: Path) -> None:
    data = change_data(draw, draw.choice(WORKFLOWS))
    path = folder / "workflow.json"
    text = json.dumps(data)
    path.write_text(change_text(draw, text) if draw.random() < 0.2 else text, encoding="utf-8", errors="surrogatepass")
    loaded = load_workflow(path)
    loaded.story_text()
    graph = convert_workflow(loaded, INFO)
    check_graph(graph, INFO, loaded, lambda name: [])
    find_image_inputs(graph)
    find_unknown_references(graph, parse_story([{"prompt": "x"}]))


def graph(draw: random.Random, folder: Path) -> None:
    good = {
        str(number): {
            "class_type": kind,
            "inputs": {"text": "a", "segment": ["0", 0], "references": ["1", 0], "name": "anna"},
        }
        for number, kind in enumerate([*list(INFO)[:12], "VideoGenReference", "VideoGenLocation", "Unknown"])
    }
    path = folder / "graph.json"
    path.write_text(json.dumps(change_data(draw, good)))
    loaded = load_workflow(path)
    converted = convert_workflow(loaded, INFO)
    check_graph(converted, INFO, loaded, lambda name: [])
    find_image_inputs(converted)


# ------------------------------------------------------------------ pictures and videos


def _good_pictures() -> dict[str, bytes]:
    pixels = np.arange(16 * 9 * 3, dtype=np.uint8).reshape(9, 16, 3)
    pictures = {}
    for form in ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF"):
        file = io.BytesIO()
        more = (
            {"save_all": True, "append_images": [Image.new("RGB", (16, 9))]} if form in ("GIF", "WEBP", "PNG") else {}
        )
        exif = Image.Exif()
        exif[0x0112], exif[0x010E] = 6, "videogen-reference: x"
        Image.fromarray(pixels).save(file, form, **more, **({"exif": exif} if form in ("JPEG", "PNG", "WEBP") else {}))
        pictures[form] = file.getvalue()
    return pictures


PICTURES = _good_pictures()


def picture(draw: random.Random, folder: Path) -> None:
    path = folder / draw.choice(("a.png", "a.jpg", "a.gif", "a.webp", "a.tif"))
    path.write_bytes(change_bytes(draw, PICTURES[draw.choice(list(PICTURES))]))
    is_rendered(path)
    for read in (
        lambda: read_reference_image(path, path.name),
        lambda: read_mask(path, path.name, (16, 9)),
        lambda: [None for _ in read_frames(open_source(path))],
    ):
        with contextlib.suppress(VideoGenError):
            read()


def _good_videos() -> list[bytes]:
    with tempfile.TemporaryDirectory() as name:
        film = write_video(Path(name) / "film.mp4", [draw_code(number) for number in range(8)], count=8)
        sound = Path(name) / "sound.flac"
        with av.open(str(sound), "w") as container:
            stream = container.add_stream("flac", rate=8_000, layout="mono")
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 4_000), np.int16), format="s16", layout="mono")
            frame.rate = 8_000
            container.mux(stream.encode(frame))
            container.mux(stream.encode())
        return [film.read_bytes(), sound.read_bytes()]


VIDEOS: list[bytes] = []


def video(draw: random.Random, folder: Path) -> None:
    VIDEOS[:] = VIDEOS or _good_videos()
    path = folder / draw.choice(("a.mp4", "a.mkv", "a.flac"))
    path.write_bytes(change_bytes(draw, draw.choice(VIDEOS)))
    probe_video(path)
    for read in (
        lambda: probe_video(path, decode=True),
        lambda: verify_sound(path),
        lambda: read_thumbnails(path),
        lambda: read_last_frame(path),
        lambda: VideoClip(path, 8, _film()),
    ):
        with contextlib.suppress(VideoGenError):
            read()


def _film() -> Any:
    from custom_nodes.videogen.core.video.quality import VideoFormat

    return VideoFormat((128, 72), 4, 600_000)


TARGETS: dict[str, Target] = {
    "story-json": Target(story_json),
    "story-yaml": Target(story_yaml),
    "story-beside-files": Target(story_beside_files),
    "workflow": Target(workflow),
    "graph": Target(graph),
    "picture": Target(picture),
    "video": Target(video),
    **{name: Target(feed_one) for name, feed_one in (MODEL_TARGETS | SERVER_TARGETS).items()},
}


def feed(name: str, seed: int, folder: Path) -> None:
    """One input of a target.

    Raises:
        Exception: anything but a `VideoGenError`, which is how an input is refused; an AssertionError where something outside the
            folder was written, or an address was called.
    """
    with fenced_in(folder), contextlib.suppress(VideoGenError):
        TARGETS[name].feed(random.Random(f"{name} {seed}"), folder)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("targets", nargs="*", default=list(TARGETS), help=f"of {', '.join(TARGETS)}")
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--seed", type=int, default=0, help="the first seed")
    arguments = parser.parse_args()
    begins, seed, failures = time.monotonic(), arguments.seed, 0
    ends = begins + 60 * arguments.minutes
    slowest = dict.fromkeys(arguments.targets, (0.0, 0))
    settled = 0
    # Of broken pictures Pillow warns, each time with other words.
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as name:
        for target in arguments.targets:
            (Path(name) / target).mkdir()
        while time.monotonic() < ends:
            for target in arguments.targets:
                began = time.monotonic()
                try:
                    feed(target, seed, Path(name) / target)
                except Exception:
                    failures += 1
                    print(f"{target}, seed {seed}:\n{traceback.format_exc()}", flush=True)
                slowest[target] = max(slowest[target], (time.monotonic() - began, seed))
            seed += 1
            # By then the modules are imported and the caches are full.
            if not settled and time.monotonic() > begins + 0.2 * (ends - begins):
                settled = _memory()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    grown = _memory() - settled if settled else 0
    print(f"{seed - arguments.seed:,} inputs of each of {len(arguments.targets)} targets, {failures} failures")
    print(f"at most {peak} MB; {grown:+} MB from a fifth of the time to its end")
    for target, (seconds, slow) in slowest.items():
        print(f"  {target}: the slowest took {seconds:.1f} s, seed {slow}")
    return 1 if failures or grown > MAX_GROWTH else 0


def _memory() -> int:
    """What this process has now, in MB."""
    return int(psutil.Process().memory_info().rss // 2**20)


if __name__ == "__main__":
    sys.exit(main())
