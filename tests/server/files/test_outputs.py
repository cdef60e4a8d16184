"""Which node's files become the segment, and files that the server has lost: on a real ComfyUI."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest

from custom_nodes.videogen.media.probe import verify_video
from tests.support.runs import Ended, read_journal, videogen, write_json
from tests.support.servers.comfy import ComfyServer
from tests.support.stories import Graph, segment_graph, small_story

pytestmark = pytest.mark.server

_seeds = itertools.count(7000, 10)

PICTURES: Graph = {"7": {"class_type": "SaveImage", "inputs": {"images": ["3", 0], "filename_prefix": "pictures"}}}
#: Of the frames upside down, so that a mixture would show.
OTHER_PICTURES: Graph = {
    "5": {"class_type": "ImageInvert", "inputs": {"image": ["3", 0]}},
    "6": {"class_type": "SaveImage", "inputs": {"images": ["5", 0], "filename_prefix": "inverted"}},
}
SECOND_VIDEO: Graph = {
    "1000": {"class_type": "CreateVideo", "inputs": {"images": ["3", 0], "fps": 8.0}},
    "1001": {
        "class_type": "SaveVideo",
        "inputs": {"video": ["1000", 0], "filename_prefix": "video/second", "format": "mp4", "codec": "h264"},
    },
}
PREVIEW: Graph = {"8": {"class_type": "PreviewImage", "inputs": {"images": ["3", 0]}}}


def own_graph(*more: Graph) -> Graph:
    """The preview workflow, with Save Segment as the last node."""
    graph = segment_graph("[]")
    graph["1"]["inputs"] = {"file": "text below", "text": ""}
    for nodes in more:
        graph |= nodes
    graph["2000"] = graph.pop("4")
    return graph


def foreign_graph(*more: Graph) -> Graph:
    """The same without Save Segment."""
    graph = own_graph(*more)
    del graph["2000"]
    return graph


class Film:
    """A story of one segment, whose seed no other test has, and runs of it."""

    def __init__(self, folder: Path, server: ComfyServer, graph: Graph) -> None:
        self.folder, self.server = folder, server
        story = small_story(f"Outputs {folder.name}", segments=1)
        story["segments"][0]["seed"] = next(_seeds)
        write_json(folder / "story.json", story)
        write_json(folder / "workflow.json", graph)

    def run(self, *more: Any, out: str = "run") -> Ended:
        return videogen(
            "run",
            self.folder / "story.json",
            "--workflow",
            self.folder / "workflow.json",
            "--server",
            self.server.url,
            "--out",
            self.folder / out,
            "--no-film",
            *more,
        )

    def failures(self, out: str = "run") -> list[str]:
        return [event["failure"] for event in read_journal(self.folder / out) if event["event"] == "attempt-failed"]

    def segment(self, out: str = "run") -> Path:
        return self.folder / out / "segments" / "segment_01.mp4"


def test_another_video_saver_earlier_in_the_outputs(comfy_server: ComfyServer, tmp_path: Path) -> None:
    film = Film(tmp_path, comfy_server, own_graph(SECOND_VIDEO, PICTURES))
    ended = film.run()
    assert (ended.status, film.failures()) == (0, []), ended.err
    verify_video(film.segment(), frames=12, fps=24)  # ours; the other has 4 frames, 8 a second


def test_the_node_that_is_bound_instead_of_ours(comfy_server: ComfyServer, tmp_path: Path) -> None:
    film = Film(tmp_path, comfy_server, own_graph(SECOND_VIDEO))
    ended = film.run("--bind", "output=SaveVideo")
    assert ended.status == 0, ended.err
    verify_video(film.segment(), frames=4, fps=8)


def test_two_picture_savers_are_refused_before_anything_is_rendered(comfy_server: ComfyServer, tmp_path: Path) -> None:
    film = Film(tmp_path, comfy_server, foreign_graph(PICTURES, OTHER_PICTURES))
    ended = film.run()
    assert ended.status == 2
    assert "nodes 7 (SaveImage), 6 (SaveImage)" in ended.err
    assert "--bind output=6" in ended.err
    assert "segment-submitted" not in [event["event"] for event in read_journal(tmp_path / "run")]
    checked = videogen(
        "check", tmp_path / "story.json", "--workflow", tmp_path / "workflow.json", "--server", comfy_server.url
    )
    assert (checked.status, "--bind output=6" in checked.out) == (2, True)
    ended = film.run("--bind", "output=7")
    assert ended.status == 0, ended.err
    verify_video(film.segment(), frames=12, fps=24)


def test_a_video_saver_wins_over_picture_savers_and_previews(comfy_server: ComfyServer, tmp_path: Path) -> None:
    film = Film(tmp_path, comfy_server, foreign_graph(PICTURES, SECOND_VIDEO, PREVIEW, OTHER_PICTURES))
    ended = film.run()
    assert ended.status == 0, ended.err
    verify_video(film.segment(), frames=4, fps=8)


# ------------------------------------------------------------------ files that the server has lost


def lose(path: Path) -> None:
    path.unlink()


def damage(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2] + bytes(200) + data[len(data) // 2 + 200 :])


@pytest.mark.parametrize("spoil", [lose, damage])
@pytest.mark.parametrize(
    ("make_graph", "prefix"),
    [(own_graph, "videogen/outputs_*/segment_01_*"), (lambda: foreign_graph(PICTURES), "pictures_*")],
    ids=["Save Segment", "SaveImage"],
)
def test_a_file_that_is_lost_or_damaged_is_made_again(
    comfy_server: ComfyServer, tmp_path: Path, make_graph: Any, prefix: str, spoil: Any
) -> None:
    """The server has the prompt's result in its cache, and would name the same file again."""
    before = set(comfy_server.output().glob(prefix))
    film = Film(tmp_path, comfy_server, make_graph())
    assert film.run().status == 0
    made = sorted(set(comfy_server.output().glob(prefix)) - before)
    assert made
    for path in made:
        spoil(path)
    # Another run directory: what this one submits is the same graph under another id.
    ended = film.run(out="again")
    assert ended.status == 0, ended.err
    assert film.failures("again") == ["output broken"]
    assert film.segment().read_bytes()  # it was never touched
    verify_video(film.segment("again"), frames=12, fps=24)


@pytest.mark.parametrize("spoil", [lose, damage])
def test_a_reference_that_is_lost_or_damaged_is_drawn_again(comfy_server: ComfyServer, spoil: Any) -> None:
    """With the attempt's mark, the node writes the picture although its inputs are those that ComfyUI has in its cache."""
    from runner.workflows.output_node import force_execution

    graph: Graph = {
        "1": {
            "class_type": "EmptyImage",
            "inputs": {"width": 64, "height": 64, "batch_size": 1, "color": next(_seeds)},
        },
        "2": {
            "class_type": "VideoGenSaveReference",
            "inputs": {"images": ["1", 0], "file": f"lost_{spoil.__name__}.png", "existing": "replace rendered"},
        },
    }
    path = comfy_server.folder / "input" / f"lost_{spoil.__name__}.png"
    comfy_server.render(graph)
    whole = path.read_bytes()
    spoil(path)
    comfy_server.render(graph)
    assert not path.exists() or path.read_bytes() != whole  # out of the cache
    path.unlink(missing_ok=True)
    force_execution(graph, comfy_server.object_info, 1)
    comfy_server.render(graph)
    assert path.read_bytes() == whole
