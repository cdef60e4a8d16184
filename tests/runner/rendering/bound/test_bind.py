"""A story told by a workflow without our nodes: what is found, what the user says of it, and what is submitted."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from custom_nodes.videogen.core.errors import VideoGenError
from runner.rendering.retries import Variant
from runner.workflows.workflow import Workflow, describe_conversion
from tests.runner.rendering.bound.conftest import FILM, MakeBound
from tests.support.graphs.video_models import node, wan


def changed_film(**changes: Any) -> dict[str, Any]:
    return {**copy.deepcopy(FILM), **changes}


def test_a_segment_decides_prompt_seed_frames_and_size(make_bound: MakeBound) -> None:
    maker = make_bound(wan())
    first, second = maker.make(1).graph, maker.make(2).graph
    assert first["positive"]["inputs"]["text"] == "a man in a blue shirt. a field."
    assert second["positive"]["inputs"]["text"] == "a tree."
    assert (first["high"]["inputs"]["noise_seed"], second["high"]["inputs"]["noise_seed"]) == (11, 2**63)
    assert first["low"]["inputs"]["noise_seed"] == 0, "it adds no noise"
    # Wan makes 4n+1 frames at 16 a second, 81 at most; five seconds are 80.
    assert (first["latent"]["inputs"]["length"], second["latent"]["inputs"]["length"]) == (81, 81)
    assert maker.make(3).graph["latent"]["inputs"]["length"] == 49
    assert first["video"]["inputs"]["fps"] == 16.0, "it is the model's rate, and the film takes frames by their times"
    width, height = (first["latent"]["inputs"][side] for side in ("width", "height"))
    assert width % 16 == height % 16 == 0
    assert width / height == pytest.approx(16 / 9, rel=0.03)
    assert width * height == pytest.approx(640 * 480, rel=0.15), "as many pixels as the workflow has"
    assert any("Wan" in note for note in maker.roles.notes)
    assert any(note.startswith("segment 3 cannot begin from the last frame") for note in maker.roles.notes)


def test_an_upright_film_is_rendered_upright(make_bound: MakeBound) -> None:
    graph = make_bound(wan(), changed_film(size=[1080, 1920])).make(1).graph
    assert graph["latent"]["inputs"]["height"] > graph["latent"]["inputs"]["width"]


def test_an_attempt_in_a_smaller_size_is_smaller(make_bound: MakeBound) -> None:
    maker = make_bound(wan())
    whole, half = maker.make(1).graph, maker.make(1, variant=Variant(size=(960, 540))).graph
    assert half["latent"]["inputs"]["width"] == pytest.approx(whole["latent"]["inputs"]["width"] / 2, abs=16)
    assert maker.make(1).key == maker.key(1)


def test_the_workflow_s_own_negative_stays_where_the_story_has_none(make_bound: MakeBound) -> None:
    assert make_bound(wan()).make(1).graph["negative"]["inputs"]["text"] == "ugly"
    style = changed_film(style={"negative": "text, logos"})
    assert make_bound(wan(), style).make(1).graph["negative"]["inputs"]["text"] == "text, logos"


# ------------------------------------------------------------------ what the user says


def two_prompts() -> dict[str, Any]:
    graph = wan(other=node("CLIPTextEncode", text="a river", clip=["clip", 0]))
    graph["low"]["inputs"]["positive"] = ["other", 0]
    return graph


def test_what_is_not_clear_is_asked_for(make_bound: MakeBound) -> None:
    with pytest.raises(VideoGenError) as caught:
        make_bound(two_prompts())
    assert caught.value.code == "binding-invalid"
    message = str(caught.value)
    for said in ("2 inputs may be the prompt", "“a tree”", "“a river”", "--bind prompt=", "--bind prompt=keep"):
        assert said in message


def test_a_named_input_has_its_role_and_the_others_are_found(make_bound: MakeBound) -> None:
    graph = make_bound(two_prompts(), bindings=["prompt=other.text"]).make(2).graph
    assert graph["other"]["inputs"]["text"] == "a tree."
    assert graph["positive"]["inputs"]["text"] == "a tree", "as it was"
    assert graph["high"]["inputs"]["noise_seed"] == 2**63
    assert graph["latent"]["inputs"]["length"] == 81


def test_a_role_is_kept_as_the_workflow_has_it(make_bound: MakeBound) -> None:
    graph = make_bound(two_prompts(), bindings=["prompt=keep", "width=keep"]).make(2).graph
    assert graph["positive"]["inputs"]["text"] == "a tree"
    assert (graph["latent"]["inputs"]["width"], graph["latent"]["inputs"]["height"]) == (640, 480)
    assert graph["high"]["inputs"]["noise_seed"] == 2**63


def test_a_value_that_the_user_sets_is_meant_as_it_is(make_bound: MakeBound) -> None:
    settings = ["latent.length=5", "latent.width=64", "latent.height=32"]
    latent = make_bound(wan(), settings=settings).make(2).graph["latent"]["inputs"]
    assert (latent["length"], latent["width"], latent["height"]) == (5, 64, 32)


def test_nested_inputs_are_named_with_their_dots(make_bound: MakeBound, schemas: dict[str, Any]) -> None:
    kind = next(
        kind
        for kind, schema in schemas.items()
        if any(spec[0] == "COMFY_DYNAMICCOMBO_V3" for spec in (schema["input"].get("required") or {}).values())
    )
    name, spec = next(
        (name, spec)
        for name, spec in schemas[kind]["input"]["required"].items()
        if spec[0] == "COMFY_DYNAMICCOMBO_V3" and spec[1]["options"][0]["inputs"].get("required")
    )
    option = spec[1]["options"][0]
    nested = f"{name}.{next(iter(option['inputs']['required']))}"
    graph = wan(partner=node(kind, **{name: option["key"]}))
    maker = make_bound(graph, settings=[f"partner.{nested}=7"])
    assert maker.graph["partner"]["inputs"][nested] == 7
    with pytest.raises(VideoGenError, match=r"node partner has no input 'nothing\.at\.all'"):
        make_bound(graph, settings=["partner.nothing.at.all=7"])


# ------------------------------------------------------------------ keys


def test_the_key_holds_what_is_found(make_bound: MakeBound) -> None:
    def key(story: dict[str, Any] = FILM, number: int = 2, **changes: Any) -> str:
        return make_bound(wan(**changes), story).key(number)

    assert key() == key()
    assert key() == key(positive=node("CLIPTextEncode", text="typed there last", clip=["clip", 0]))
    for index, field, value in ((1, "seed", 5), (1, "prompt", "a house"), (1, "timespan", "00:08 - 00:12")):
        story = copy.deepcopy(FILM)
        story["segments"][index][field] = value
        if field == "timespan":
            story["segments"][2]["timespan"] = "00:12 - 00:16"
        assert key(story) != key()
    assert key(changed_film(size=[1080, 1920])) != key()


# ------------------------------------------------------------------ pictures


def image_to_video(**inputs: Any) -> dict[str, Any]:
    sockets = {"positive": ["positive", 0], "negative": ["negative", 0], "vae": ["vae", 0]}
    numbers = {"width": 640, "height": 480, "length": 81, "batch_size": 1}
    graph = wan(i2v=node("WanImageToVideo", **sockets, **numbers, **inputs))
    for stage in ("high", "low"):
        graph[stage]["inputs"] |= {"positive": ["i2v", 0], "negative": ["i2v", 1]}
    graph["high"]["inputs"]["latent_image"] = ["i2v", 2]
    del graph["latent"]
    return graph


def test_a_segment_begins_from_the_one_before(make_bound: MakeBound) -> None:
    graph = image_to_video(start_image=["picture", 0])
    graph["picture"] = node("LoadImage", image="mine.png")
    maker = make_bound(graph)
    assert [maker.source(number) for number in (1, 2, 3)] == [None, None, 2]
    assert maker.make(1).graph["picture"]["inputs"]["image"] == "mine.png"
    assert maker.make(3, first_frame="last.png").graph["picture"]["inputs"]["image"] == "last.png"


def test_a_free_socket_gets_a_loader_where_a_picture_is_there(make_bound: MakeBound) -> None:
    maker = make_bound(image_to_video())
    assert maker.source(3) == 2
    assert not any("cannot begin" in note for note in maker.roles.notes)
    assert "start_image" not in maker.make(1).graph["i2v"]["inputs"]
    graph = maker.make(3, first_frame="last.png").graph
    loader, output = graph["i2v"]["inputs"]["start_image"]
    assert (graph[loader]["class_type"], graph[loader]["inputs"], output) == ("LoadImage", {"image": "last.png"}, 0)
    assert maker.key(3, "a" * 64) != maker.key(3, "b" * 64)


def references(count: int = 0) -> dict[str, Any]:
    """MiniMax H3's node for references, with pictures of the workflow's own."""
    pictures = {f"ref_images__ref_image_{number}": [f"own{number}", 0] for number in range(count)}
    node_inputs = {"clip": ["clip", 0], "vae": ["vae", 0], "audio_vae": ["vae", 0], "prompt": "a tree"}
    h3 = node("MiniMaxH3ReferenceToVideo", **node_inputs, width=768, height=448, length=192, **pictures)
    graph = wan(h3=h3, **{f"own{number}": node("LoadImage", image=f"own{number}.png") for number in range(count)})
    for stage in ("high", "low"):
        graph[stage]["inputs"] |= {"positive": ["h3", 0], "negative": ["h3", 0]}
    graph["high"]["inputs"]["latent_image"] = ["h3", 1]
    for unused in ("positive", "negative", "latent"):
        del graph[unused]
    return graph


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, color in (("ben", "blue"), ("field", "green"), ("dog", "brown")):
        Image.new("RGB", (64, 48), color).save(tmp_path / f"{name}.png")
    return tmp_path


PLACE = {"field": {"description": "a field", "reference": "field.png", "segments": "1-3"}}


def test_the_cast_of_a_segment_goes_into_the_free_places(make_bound: MakeBound, folder: Path) -> None:
    maker = make_bound(references(), changed_film(locations=PLACE), folder=folder)
    graph = maker.make(1).graph
    grown = {name: value for name, value in graph["h3"]["inputs"].items() if name.startswith("ref_images.")}
    assert list(grown) == ["ref_images.ref_image_0", "ref_images.ref_image_1"]
    shown = [graph[link[0]]["inputs"]["image"] for link in grown.values()]
    assert [name.split("/")[-1].split("-")[0] for name in shown] == ["ben", "field"]
    assert {image.name for image in maker.images_of(1)} == set(shown) == maker.brought_for(1)
    second = maker.make(2).graph["h3"]["inputs"]
    assert [name for name in second if name.startswith("ref_images.")] == ["ref_images.ref_image_0"]


def test_the_cast_takes_the_places_of_the_workflow_s_own_pictures(make_bound: MakeBound, folder: Path) -> None:
    graph = make_bound(references(2), folder=folder).make(1).graph
    assert graph["own0"]["inputs"]["image"].split("/")[-1][:4] == "ben-"
    assert "own1" not in graph, "nobody else's picture stays in it"
    assert [name for name in graph["h3"]["inputs"] if name.startswith("ref_images.")] == ["ref_images.ref_image_0"]
    alone = make_bound(references(2), folder=folder).make(2).graph
    assert not [name for name in alone["h3"]["inputs"] if name.startswith("ref_images.")], "a segment without a cast"
    for number in (1, 2):
        kept = make_bound(references(2), folder=folder, bindings=["reference=keep"]).make(number).graph
        assert kept["own0"]["inputs"]["image"] == "own0.png"


def test_a_picture_that_is_shown_twice_stays(make_bound: MakeBound, folder: Path) -> None:
    graph = references(1)
    graph["h3"]["inputs"]["ref_images.ref_image_1"] = ["own0", 0]
    made = make_bound(graph, folder=folder).make(1).graph
    shown = {value[0] for name, value in made["h3"]["inputs"].items() if name.startswith("ref_images.")}
    assert shown == {"own0"}
    assert made["own0"]["inputs"]["image"].split("/")[-1][:4] == "ben-"


def test_a_place_that_needs_a_picture_has_the_last_one_again(make_bound: MakeBound, folder: Path) -> None:
    """Here the second picture goes through a node on its way, and then to one that cannot be without."""
    graph = references(2)
    graph["smaller"] = node(
        "ImageScale", image=["own1", 0], upscale_method="area", width=64, height=64, crop="disabled"
    )
    graph["h3"]["inputs"]["ref_images.ref_image_1"] = ["smaller", 0]
    made = make_bound(graph, folder=folder).make(1).graph
    assert [made[name]["inputs"]["image"].split("/")[-1][:4] for name in ("own0", "own1")] == ["ben-", "ben-"]


def test_another_picture_of_the_cast_is_another_key(make_bound: MakeBound, folder: Path) -> None:
    one = make_bound(references(), folder=folder)
    before = [one.key(number) for number in (1, 2)]
    uploaded = {image.name: image.sha256 for image in one.images_of(1)}
    assert [make_bound(references(), folder=folder, files=uploaded).key(n) for n in (1, 2)] == before
    Image.new("RGB", (64, 48), "red").save(folder / "ben.png")
    after = [make_bound(references(), folder=folder).key(number) for number in (1, 2)]
    assert (after[0] != before[0], after[1] == before[1]) == (True, True)


@pytest.mark.parametrize("own", [0, 2])
def test_the_key_is_the_same_with_the_schemas_that_a_run_keeps(
    make_bound: MakeBound, folder: Path, schemas: dict[str, Any], own: int
) -> None:
    """A run that is done looks at them instead of starting a server; its graph has no loader, and the jobs have."""
    graph = references(own)
    kept = describe_conversion(Workflow(Path("w.json"), None, graph), "0.33.0", graph, schemas)["object_info"]
    assert set(kept) < set(schemas)
    one, other = make_bound(graph, folder=folder), make_bound(graph, folder=folder, object_info=kept)
    assert [one.key(number) for number in (1, 2, 3)] == [other.key(number) for number in (1, 2, 3)]


# ------------------------------------------------------------------ models that nobody knows


def test_an_unknown_model_gets_what_its_nodes_take(make_bound: MakeBound, schemas: dict[str, Any]) -> None:
    kind = "SomebodysLatent"
    numbers = {"min": 1, "max": 40, "step": 8}
    schema = {
        "input": {
            "required": {
                "width": ["INT", {"min": 64, "max": 4096, "step": 64}],
                "height": ["INT", {"min": 64, "max": 4096, "step": 64}],
                "length": ["INT", numbers],
            }
        },
        "output": ["LATENT"],
        "output_name": ["LATENT"],
        "output_node": False,
    }
    graph = wan(latent=node(kind, width=640, height=384, length=9), clip=node("CLIPLoader", clip_name="a", type="x"))
    maker = make_bound(graph, object_info={**schemas, kind: schema})
    latent = maker.make(1).graph["latent"]["inputs"]
    assert latent["length"] == 33, "8n+1, of at most 40"
    assert latent["width"] % 64 == latent["height"] % 64 == 0
    assert any("no profile knows the model" in note for note in maker.roles.notes)


def test_a_segment_that_is_longer_than_the_model_can_is_named(make_bound: MakeBound) -> None:
    notes = make_bound(wan()).roles.notes
    held = [note for note in notes if "its last frame is held" in note]
    assert len(held) == 1
    assert held[0].startswith("segment 1: Wan")
    assert "81 frames" in held[0]
    own = make_bound(wan(), settings=["latent.length=33"]).roles.notes
    assert not any("held" in note for note in own), "the user has said how long"
    short = copy.deepcopy(FILM)
    for segment, span in zip(short["segments"], ("0 - 5", "5 - 10", "10 - 15"), strict=True):
        segment["timespan"] = span
    assert not any("held" in note for note in make_bound(wan(), short).roles.notes)


def test_of_several_files_the_clip_is_found(make_bound: MakeBound) -> None:
    graph = wan(
        second=node("VAEDecode", samples=["high", 0], vae=["vae", 0]),
        both=node("BatchImagesNode", images__image0=["decode", 0], images__image1=["second", 0]),
        whole=node("CreateVideo", images=["both", 0], fps=16.0),
        all=node("SaveVideo", filename_prefix="a", format="auto", video=["whole", 0]),
    )
    maker = make_bound(graph)
    assert (maker.output_node, maker.find_output_problems()) == ("all", [])
    assert make_bound(graph, bindings=["output=save"]).output_node == "save"
    assert make_bound(wan()).output_node == ""
