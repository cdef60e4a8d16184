"""Which model a graph renders with."""

from typing import Any

import pytest

from custom_nodes.videogen.core.model_profiles.model import Profile, Sign
from custom_nodes.videogen.core.model_profiles.recognition import find_flow, recognize

OBJECT_INFO: dict[str, Any] = {
    "Save": {"output_node": True, "output": []},
    "UNETLoader": {"input": {"required": {"unet_name": [[], {}]}}, "output": ["MODEL"]},
    "Lora": {"input": {"required": {"model": ["MODEL"], "name": [[], {}]}}, "output": ["MODEL"]},
    "CLIPLoader": {"input": {"required": {}}, "output": ["CLIP"]},
    "Encode": {"input": {"required": {"clip": ["CLIP"]}}, "output": ["CONDITIONING"]},
    "Write": {"input": {"required": {"clip": ["CLIP"]}}, "output": ["STRING"]},
    "ToVideo": {"output": ["CONDITIONING", "LATENT"]},
    "Empty": {"output": ["LATENT"]},
    "Sample": {"output": ["LATENT"]},
    "Partner": {"output": ["VIDEO"], "api_node": True},
    "Draw": {"output": ["IMAGE"]},
}
FIRST = Profile("first", "one", "First", signs=(Sign(nodes=("ToVideo",)),))
GENERAL = Profile("general", "one", "General", signs=(Sign(loaders=("one",)),))
OTHER = Profile("other", "two", "Other", signs=(Sign(nodes=("Empty",), loaders=("two",)), Sign(loaders=("two",))))
BY_FILE = Profile("by-file", "three", "By file", signs=(Sign(files=("*three*",)),))
PARTNER = Profile("partner", "partners", "Partner", signs=(Sign(partner="VIDEO"),))
IMAGE = Profile("image", "images", "Image", video=False, signs=(Sign(nodes=("Draw",)),))
ALL = (FIRST, GENERAL, OTHER, BY_FILE, PARTNER, IMAGE)


def graph_of(**nodes: tuple[str, dict[str, Any]]) -> dict[str, Any]:
    return {
        name: {"class_type": kind, "inputs": inputs, "_meta": {"title": "ToVideo"}}
        for name, (kind, inputs) in nodes.items()
    }


def name_of(graph: dict[str, Any], profiles: tuple[Profile, ...] = ALL, info: Any = OBJECT_INFO) -> str | None:
    found = recognize(graph, info, profiles)
    return found.profile.name if found else None


def sampled(unet: str = "any.safetensors", clip: str = "one", latent: str = "Empty") -> dict[str, Any]:
    return graph_of(
        save=("Save", {"images": ["sample", 0]}),
        sample=("Sample", {"model": ["unet", 0], "positive": ["text", 0], "latent": ["latent", 0]}),
        latent=(latent, {}),
        text=("Encode", {"clip": ["clip", 0], "text": "two"}),
        clip=("CLIPLoader", {"clip_name": "three.safetensors", "type": clip}),
        unet=("UNETLoader", {"unet_name": unet}),
    )


def test_a_node_says_more_than_a_loader_and_that_more_than_a_file() -> None:
    assert name_of(sampled(latent="ToVideo", clip="two", unet="three.safetensors")) == "first"
    assert name_of(sampled(clip="one", unet="three.safetensors")) == "general"
    assert name_of(sampled(clip="x", unet="folder\\Three_v2.safetensors")) == "by-file"
    assert name_of(sampled(clip="x")) is None


def test_all_parts_of_a_sign_are_needed() -> None:
    only_both = Profile("both", "two", "Both", signs=(Sign(nodes=("ToVideo",), also=("Empty",), loaders=("two",)),))
    assert name_of(sampled(clip="two", latent="ToVideo"), (only_both,)) is None
    graph = sampled(clip="two", latent="ToVideo")
    graph["latent"]["inputs"]["from"] = ["empty", 0]
    graph["empty"] = {"class_type": "Empty", "inputs": {}}
    found = recognize(graph, OBJECT_INFO, (only_both,))
    assert found is not None
    assert (found.node, found.how) == ("latent", "node ToVideo, node Empty, text encoder of type two")


def test_titles_and_prompts_show_nothing() -> None:
    graph = sampled(clip="x")
    graph["text"]["inputs"]["text"] = "three.safetensors"
    graph["text"]["_meta"]["title"] = "two"
    assert name_of(graph) is None


def test_a_loras_file_shows_nothing() -> None:
    graph = sampled(clip="x")
    graph["sample"]["inputs"]["model"] = ["lora", 0]
    graph["lora"] = {"class_type": "Lora", "inputs": {"model": ["unet", 0], "name": "three.safetensors"}}
    assert name_of(graph) is None


def test_what_no_output_depends_on_shows_nothing() -> None:
    graph = sampled(clip="one")
    graph["alone"] = {"class_type": "ToVideo", "inputs": {}}
    assert name_of(graph) == "general"


def test_a_language_model_that_writes_the_prompt_is_not_the_model() -> None:
    graph = sampled(clip="x")
    graph["text"]["inputs"]["text"] = ["write", 0]
    graph["write"] = {"class_type": "Write", "inputs": {"clip": ["writer", 0]}}
    graph["writer"] = {"class_type": "CLIPLoader", "inputs": {"type": "two"}}
    assert name_of(graph) is None
    graph["clip"]["inputs"]["type"] = "one"
    assert name_of(graph) == "general"


def test_a_model_of_videos_comes_before_the_one_that_draws_its_first_frame() -> None:
    graph = sampled(clip="one")
    graph["latent"]["inputs"]["image"] = ["draw", 0]
    graph["draw"] = {"class_type": "Draw", "inputs": {}}
    assert name_of(graph) == "general"
    assert name_of(graph_of(save=("Save", {"images": ["draw", 0]}), draw=("Draw", {}))) == "image"


def test_of_two_families_the_one_nearer_to_the_output_counts() -> None:
    near = Profile("near", "near", "Near", signs=(Sign(nodes=("Sample",)),))
    far = Profile("far", "far", "Far", signs=(Sign(nodes=("Empty",)),))
    assert name_of(sampled(), (far, near)) == "near"


def test_of_one_familys_models_the_first_counts() -> None:
    near = Profile("near", "one", "Near", signs=(Sign(nodes=("Sample",)),))
    far = Profile("far", "one", "Far", signs=(Sign(nodes=("Empty",)),))
    assert name_of(sampled(), (far, near)) == "far"


def test_a_partners_node_is_known_by_its_schema() -> None:
    assert name_of(graph_of(save=("Save", {"video": ["p", 0]}), p=("Partner", {"prompt": "x"}))) == "partner"


def test_a_server_without_the_nodes_still_recognizes_them_by_class_and_file() -> None:
    assert name_of(sampled(latent="ToVideo"), info={}) == "first"
    assert name_of(sampled(clip="x", unet="three.safetensors"), info={}) == "by-file"


@pytest.mark.parametrize(
    "inputs",
    [{"a": ["gone", 0]}, {"a": [1, 0]}, {"a": None}, {"type": 5}, {"a": ["save", 0]}, {"a": "x" * 5000 + ".pt"}],
)
def test_odd_inputs_do_no_harm(inputs: dict[str, Any]) -> None:
    graph = sampled()
    graph["save"]["inputs"].update(inputs)
    assert name_of(graph) == "general"


def test_the_flow_begins_at_the_outputs() -> None:
    assert find_flow(sampled(), OBJECT_INFO)[:2] == ["save", "sample"]
    assert recognize(sampled(latent="ToVideo"), OBJECT_INFO, ALL, flow=["sample", "text", "clip"]).profile is GENERAL  # type: ignore[union-attr]
