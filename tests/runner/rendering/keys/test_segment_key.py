"""The key that decides whether a segment has to be rendered again."""

from __future__ import annotations

from typing import Any

import pytest

from runner.rendering.retries import Variant
from tests.runner.rendering.job_makers import STORY, MakeJobs, changed
from tests.support.graphs.plain import image_graph
from tests.support.stories import Graph, segment_graph


def shown_with(graph: Graph, node: dict[str, Any]) -> Graph:
    """The preview with another node's output in its frames."""
    both = {"class_type": "ImageBlend", "inputs": {"image1": ["3", 0], "image2": ["9", 0], "blend_factor": 0.5}}
    return changed(graph | {"8": both, "9": node}, "4", "inputs", "images", to=["8", 0])


@pytest.mark.parametrize(
    "story",
    [
        changed(STORY, "segments", 0, "prompt", to="another"),
        changed(STORY, "segments", 2, "seed", to=99),
        changed(STORY, "transitions", to=[{"after": 1, "seconds": 0.5}]),
        changed(STORY, "audio", to={"music": "song.mp3"}),
        changed(STORY, "characters", "dog", to={"description": "a dog", "segments": "3"}),
        changed(STORY, "characters", "man", "segments", to="1,2,3"),
    ],
    ids=["another's prompt", "another's seed", "transition", "music", "somebody elsewhere", "the man elsewhere"],
)
def test_what_does_not_touch_a_segment_does_not_change_its_key(make_jobs: MakeJobs, story: dict[str, Any]) -> None:
    assert make_jobs(story=story).key(2) == make_jobs().key(2)


@pytest.mark.parametrize(
    "story",
    [
        changed(STORY, "segments", 1, "prompt", to="another"),
        changed(STORY, "segments", 1, "seed", to=99),
        changed(STORY, "segments", 1, "frames", to=5),
        changed(STORY, "segments", 1, "technical", to="Close-up"),
        changed(STORY, "size", to=[640, 360]),
        changed(STORY, "fps", to=8),
        changed(STORY, "quality", to="high"),
        changed(STORY, "style", "negative", to="blurry"),
        changed(STORY, "style", "master_prompt", to="Daylight throughout."),
        changed(STORY, "characters", "man", "description", to="a man in a red shirt"),
        changed(STORY, "characters", "man", "segments", to="1"),
        changed(STORY, "characters", "man", "reference", to="man.png"),
    ],
    ids=[
        "prompt",
        "seed",
        "frames",
        "shot",
        "size",
        "rate",
        "quality",
        "negative",
        "master prompt",
        "looks",
        "cast",
        "face",
    ],
)
def test_what_touches_a_segment_changes_its_key(make_jobs: MakeJobs, story: dict[str, Any]) -> None:
    assert make_jobs(story=story).key(2) != make_jobs().key(2)


@pytest.mark.parametrize(
    ("options", "same"),
    [
        ({"graph": segment_graph(STORY, take="mine")}, True),
        ({"graph": segment_graph(STORY, index=3)}, True),
        ({"graph": segment_graph(changed(STORY, "title", to="in the widget"))}, True),
        ({"graph": changed(segment_graph(STORY), "3", "_meta", to={"title": "My Frames"})}, True),
        ({"ui_workflow": {"nodes": []}}, True),
        ({"graph": segment_graph(STORY, codec="hevc")}, False),
        ({"settings": ["2.with_master_prompt=true"]}, False),
        ({"quality": "premium"}, False),
    ],
    ids=["take", "saved index", "story in the widget", "a node's name", "layout", "codec", "--set", "--quality"],
)
def test_the_workflow_s_inputs_are_part_of_the_key(make_jobs: MakeJobs, options: dict[str, Any], same: bool) -> None:
    assert (make_jobs(**options).key(2) == make_jobs().key(2)) is same


def test_every_attempt_has_the_segment_s_key(make_jobs: MakeJobs) -> None:
    maker = make_jobs()
    variants = [Variant(), Variant(seed_offset=1), Variant(size=(160, 90)), Variant(2, (160, 90))]
    assert {maker.make(2, variant=variant).key for variant in variants} == {maker.key(2)}


def test_every_segment_has_a_key_of_its_own(make_jobs: MakeJobs) -> None:
    maker = make_jobs()
    assert len({maker.key(number) for number in (1, 2, 3)}) == 3


def test_the_bytes_of_the_input_files_are_part_of_the_key(make_jobs: MakeJobs) -> None:
    graph = shown_with(segment_graph(STORY), {"class_type": "LoadImage", "inputs": {"image": "example.png"}})
    asked: list[str] = []

    def hash_file(name: str) -> str:
        asked.append(name)
        return "old"

    before = make_jobs(graph, hash_input=hash_file).key(2)
    assert asked == ["example.png"]
    assert before == make_jobs(graph, hash_input=lambda name: "old").key(2)
    assert before != make_jobs(graph, hash_input=lambda name: "new").key(2)


def test_the_bytes_of_embeddings_are_part_of_the_key(make_jobs: MakeJobs, object_info: dict[str, Any]) -> None:
    """Load Embeds declares its file as `from_input_folder` does; ComfyUI itself knows no upload of this kind."""
    file = ["COMBO", {"videogen_upload": True}]
    object_info["VideoGenLoadEmbeds"] = {"input": {"optional": {"file": file}}, "output": ["EMBEDS"]}
    graph = shown_with(
        segment_graph(STORY), {"class_type": "VideoGenLoadEmbeds", "inputs": {"file": "embeds/anna.ipadpt"}}
    )
    keys = [
        make_jobs(graph, hash_input=lambda name, found=found: f"{found} {name}").key(2)
        for found in ("old", "old", "new")
    ]
    assert keys[0] == keys[1] != keys[2]


def test_what_a_segment_begins_from_is_part_of_its_key(make_jobs: MakeJobs) -> None:
    maker = make_jobs()
    assert len({maker.key(2), maker.key(2, begins_from="a" * 64), maker.key(2, begins_from="b" * 64)}) == 3


def test_where_another_node_reads_the_story_all_of_it_counts(make_jobs: MakeJobs) -> None:
    graph = shown_with(segment_graph(STORY), {"class_type": "SomebodyElsesNode", "inputs": {"story": ["1", 0]}})
    other = changed(STORY, "segments", 0, "prompt", to="another")
    assert make_jobs(graph).key(2) != make_jobs(graph, other).key(2)


# ------------------------------------------------------------------ the image that a segment begins from

FIRST_FRAME = ["first_frame=9.image", "prompt=6.text"]


def beginning_from(image: str, **loader: Any) -> Graph:
    """A picture is encoded and sampled further, in a workflow of core nodes."""
    graph = image_graph()
    graph["9"] = {"class_type": "LoadImage", "inputs": {"image": image}, **loader}
    graph["10"] = {"class_type": "VAEEncode", "inputs": {"pixels": ["9", 0], "vae": ["4", 2]}}
    graph["3"]["inputs"]["latent_image"] = ["10", 0]
    graph["11"] = {"class_type": "SaveImage", "inputs": {"images": ["8", 0], "filename_prefix": "tree"}}
    return graph


@pytest.mark.parametrize(
    "loader", [{}, {"class_type": "SomebodyElsesLoader"}], ids=["a schema that says so", "a loader that nobody knows"]
)
def test_another_start_picture_is_noticed_where_a_segment_continues_none(
    make_jobs: MakeJobs, loader: dict[str, Any]
) -> None:
    def key(name: str = "a.png", sha256: str = "1", begins_from: str = "") -> str:
        graph = beginning_from(name, **loader)
        return make_jobs(graph, bindings=FIRST_FRAME, hash_input=lambda _: sha256).key(1, begins_from)

    assert key() == key()
    assert key() != key(name="b.png"), "another file"
    assert key() != key(sha256="2"), "other bytes in the same file"
    # What the runner writes itself is told by the file that the segment continues.
    assert key(begins_from="f" * 64) == key("b.png", "2", begins_from="f" * 64)
    assert key(begins_from="f" * 64) != key(begins_from="e" * 64)


def test_the_same_holds_for_a_loader_with_the_title_first_frame(make_jobs: MakeJobs) -> None:
    def key(name: str, begins_from: str = "") -> str:
        graph = beginning_from(name, _meta={"title": "First Frame"})
        return make_jobs(graph, bindings=["prompt=6.text"]).key(1, begins_from)

    assert key("a.png") != key("b.png")
    assert key("a.png", "f" * 64) == key("b.png", "f" * 64)


def test_of_a_workflow_with_bindings_only_what_is_bound_counts(make_jobs: MakeJobs) -> None:
    def key(story: dict[str, Any]) -> str:
        bindings = ["prompt=6.text", "name=9.filename_prefix"]
        return make_jobs(image_graph(), story, bindings=bindings, find_roles=False).key(2)

    assert key(STORY) == key(changed(STORY, "segments", 1, "seed", to=99)), "the seed is not bound"
    assert key(STORY) == key(changed(STORY, "style", "negative", to="blurry"))
    assert key(STORY) != key(changed(STORY, "segments", 1, "prompt", to="another"))
    assert key(STORY) != key(changed(STORY, "segments", 1, "frames", to=8)), "the file has the segment's length"


# ------------------------------------------------------------------ model files

LOADED = {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "sd15.safetensors"}}


def model_key(make_jobs: MakeJobs, models: dict[tuple[str, str], str], graph: Graph | None = None, **more: Any) -> str:
    bindings = ["prompt=6.text", "negative=keep"]
    return make_jobs(
        graph or image_graph(), bindings=bindings, hash_model=lambda *name: models.get(name, ""), **more
    ).key(1)


def test_a_new_model_file_under_an_old_name_is_noticed(make_jobs: MakeJobs) -> None:
    name = ("checkpoints", "dream.safetensors")
    assert model_key(make_jobs, {name: "1"}) != model_key(make_jobs, {name: "2"})
    assert model_key(make_jobs, {name: "1"}) == model_key(make_jobs, {name: "1", ("vae", "other.pt"): "3"})
    assert model_key(make_jobs, {}) != model_key(make_jobs, {name: "1"})


def test_a_model_that_nothing_saved_depends_on_is_not_asked_for(make_jobs: MakeJobs) -> None:
    graph = image_graph() | {"20": LOADED}
    assert model_key(make_jobs, {("checkpoints", "sd15.safetensors"): "1"}, graph) == model_key(make_jobs, {})


@pytest.mark.parametrize("text", ["a tree, embedding:oak", "(embedding:oak:1.2)", "embedding:oak.pt"])
def test_the_learned_words_of_a_prompt_are_files_too(make_jobs: MakeJobs, text: str) -> None:
    graph = changed(image_graph(), "7", "inputs", "text", to=text)
    one, two = ({("embeddings", "oak.pt"): sha256} for sha256 in "12")
    assert model_key(make_jobs, one, graph) != model_key(make_jobs, two, graph)
