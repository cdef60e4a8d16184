"""Whether a workflow fits a server: everything that does not is named before anything is submitted."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

from custom_nodes.videogen.core.errors import ProblemList
from runner.workflows.validate import check_graph, require_fit, types_fit
from runner.workflows.workflow import Workflow, load_workflow
from tests.support.graphs.checks import find_problems, with_input
from tests.support.graphs.plain import Graph, image_graph
from tests.support.graphs.templates import convert_template, find_template_files, kinds_in
from tests.support.graphs.video_models import node, read_schemas, wan
from tests.support.stories import segment_graph, small_story


def test_workflows_that_fit_have_no_problems(object_info: dict[str, Any]) -> None:
    assert find_problems(image_graph(), object_info) == []
    assert find_problems(segment_graph(small_story("Tiny")), object_info) == []


def test_a_workflow_that_saves_nothing_is_refused(object_info: dict[str, Any]) -> None:
    graph = image_graph()
    del graph["9"]
    assert find_problems(graph, object_info) == ["no node of the workflow saves anything: add an output node"]


# ------------------------------------------------------------------ nodes of ComfyUI 0.33


def test_what_only_the_editor_can_check_is_no_problem() -> None:
    graph = wan(
        on=node("PrimitiveBoolean", value=True),
        frames=node("PrimitiveInt", value=81),
        length=node("ComfySwitchNode", switch=["on", 0], on_false=["frames", 0], on_true=["frames", 0]),
        latent=node("EmptyHunyuanLatentVideo", width=640, height=480, length=["length", 0], batch_size=1),
        style=node("CustomCombo", choice="calm"),
        compare=node("ImageCompare", compare_view=None, image_a=["decode", 0]),
    )
    found = [str(problem) for problem in check_graph(graph, read_schemas(), Workflow(Path("film.json"), None, graph))]
    assert [
        problem for problem in found if any(f"node {name} " in problem for name in ("latent", "style", "compare"))
    ] == []


@pytest.mark.parametrize(
    "name", ["video_wan2_2_14B_t2v", "video_minimax_h3_r2v", "video_ltx2_5_i2v", "api_kling_v3_video"]
)
def test_of_official_templates_nothing_lacks_but_files(name: str) -> None:
    schemas, path = read_schemas(), find_template_files()[name]
    graph = convert_template(path, schemas)
    found = [str(problem) for problem in check_graph(graph, schemas, Workflow(path, None, graph))]
    assert [problem for problem in found if "is not in the server's input folder" not in problem] == [
        problem for problem in found if problem.startswith("model ")
    ]


# ------------------------------------------------------------------ links


@pytest.mark.parametrize(
    ("graph", "problem"),
    [
        (
            with_input("8", "samples", ["4", 0]),
            "node 8 (VAEDecode): 'samples' expects LATENT, found MODEL from node 4 (CheckpointLoaderSimple)",
        ),
        (
            with_input("8", "samples", ["77", 0]),
            "node 8 (VAEDecode): 'samples' is linked to node 77, which is not in the graph (muted or bypassed?)",
        ),
        (
            with_input("8", "vae", ["4", 3]),
            "node 8 (VAEDecode): 'vae' is linked to output 3 of node 4, which has 3",
        ),
        (
            with_input("8", "vae", ["4", -1]),
            "node 8 (VAEDecode): 'vae' is linked to output -1 of node 4, which has 3",
        ),
        (with_input("8", "vae", None), "node 8 (VAEDecode): 'vae' expects a link of type VAE"),
        (
            with_input("3", "seed", ["6", 0]),
            "node 3 (KSampler): 'seed' expects INT, found CONDITIONING from node 6 (CLIPTextEncode)",
        ),
    ],
    ids=["another type", "dangling", "output too high", "output below 0", "no link", "widget"],
)
def test_a_link_that_does_not_fit(object_info: dict[str, Any], graph: Graph, problem: str) -> None:
    assert find_problems(graph, object_info) == [problem]


def test_a_required_input_that_is_missing(object_info: dict[str, Any]) -> None:
    graph = image_graph()
    del graph["6"]["inputs"]["clip"]
    assert find_problems(graph, object_info) == [
        "node 6 (CLIPTextEncode): the required input 'clip' is not connected and has no value"
    ]


def test_what_no_output_depends_on_is_left_to_the_server(object_info: dict[str, Any]) -> None:
    """It is in no prompt that is executed, so that the server does not look at it either; but it knows all classes."""
    graph = image_graph()
    graph["20"] = {"class_type": "VAEDecode", "inputs": {"samples": ["77", 0]}}
    graph["21"] = {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "elsewhere.safetensors"}}
    graph["22"] = {"class_type": "CLIPTextEncode", "inputs": {"text": "", "clip": ["21", 1]}}
    assert find_problems(graph, object_info) == []
    graph["6"]["inputs"]["clip"] = ["21", 1]
    (problem,) = find_problems(graph, object_info)
    assert "elsewhere.safetensors" in problem, "now it is used"
    graph["6"]["inputs"]["clip"] = ["4", 1]
    graph["23"] = {"class_type": "NowhereToBeFound", "inputs": {"samples": ["20", 0]}}
    problems = find_problems(graph, object_info)
    assert any("NowhereToBeFound" in one for one in problems)
    assert any("node 20 (VAEDecode)" in one for one in problems), "which may save what it gets"


def test_inputs_that_grow_are_left_to_the_server(object_info: dict[str, Any]) -> None:
    growing = {
        "input": {"required": {"images": ["COMFY_AUTOGROW_V3", {}]}},
        "output": ["IMAGE"],
        "output_node": True,
    }
    graph = {"1": {"class_type": "Grow", "inputs": {"images.image0": ["1", 0]}}}
    assert find_problems(graph, object_info | {"Grow": growing}) == []


@pytest.mark.parametrize(
    ("given", "wanted", "fits"),
    [
        ("IMAGE", "IMAGE", True),
        ("IMAGE", "MASK", False),
        ("IMAGE", "MASK,IMAGE", True),
        ("INT,FLOAT", "FLOAT", True),
        ("*", "LATENT", True),
        ("LATENT", "*", True),
    ],
)
def test_types_fit_by_comfyui_s_rule(given: str, wanted: str, fits: bool) -> None:
    assert types_fit(given, wanted) is fits


# ------------------------------------------------------------------ values


@pytest.mark.parametrize(
    ("graph", "problem"),
    [
        (with_input("3", "steps", 0), "'steps' is 0, expected 1 to 10000"),
        (with_input("3", "steps", 10**400), f"'steps' is {10**400}, expected 1 to 10000"),
        (with_input("3", "cfg", 100.5), "'cfg' is 100.5, expected 0.0 to 100.0"),
        (with_input("3", "steps", 2.5), "'steps' is 2.5, expected a whole number"),
        (with_input("3", "steps", "twenty"), "'steps' is 'twenty', expected a whole number"),
        (with_input("3", "steps", True), "'steps' is True, expected a whole number"),
        (with_input("3", "cfg", "NaN"), "'cfg' is 'NaN', expected a number"),
        (with_input("3", "cfg", float("nan")), "'cfg' is nan, expected a number"),
        (with_input("3", "cfg", float("inf")), "'cfg' is inf, expected a number"),
        (
            with_input("3", "sampler_name", "eulr"),
            "'sampler_name' is 'eulr', expected one of 'euler', 'euler_cfg_pp', 'euler_ancestral', 'euler_ancestral_cfg_pp',"
            " 'heun', 'heunpp2' (did you mean 'euler'?)",
        ),
        (
            with_input("3", "scheduler", "none"),
            "'scheduler' is 'none', expected one of 'simple', 'sgm_uniform', 'karras', 'exponential', 'ddim_uniform', 'beta',"
            " 'normal', 'linear_quadratic' and 1 more",
        ),
    ],
)
def test_a_value_that_does_not_fit(object_info: dict[str, Any], graph: Graph, problem: str) -> None:
    assert find_problems(graph, object_info) == [f"node 3 (KSampler): {problem}"]


@pytest.mark.parametrize("value", [["draft"], {"quality": "draft"}, None, 5])
def test_a_choice_of_another_kind_is_named(object_info: dict[str, Any], value: Any) -> None:
    graph = segment_graph(small_story("Tiny"), quality=value)
    problems = find_problems(graph, object_info)
    assert len(problems) == 1
    assert f"'quality' is {value!r}, expected one of 'story', 'draft'" in problems[0]


def graph_with_image(name: str) -> Graph:
    """It saves an image of the input folder, too."""
    return image_graph() | {
        "20": {"class_type": "LoadImage", "inputs": {"image": name}},
        "21": {"class_type": "SaveImage", "inputs": {"images": ["20", 0], "filename_prefix": "copy"}},
    }


def test_a_missing_image_is_named(object_info: dict[str, Any]) -> None:
    graph = graph_with_image("man.png")
    assert find_problems(graph, object_info) == [
        "node 20 (LoadImage): the file 'man.png' is not in the server's input folder"
    ]


@pytest.mark.parametrize(
    ("value", "there", "said"),
    [
        ("sub\\man.png", [], " (a server on Linux or macOS separates folders by /)"),
        ("sub\\man.png", ["sub/man.png"], ", but there is 'sub/man.png': choose that in the node"),
        ("sub/man.png", ["sub\\man.png"], ", but there is 'sub\\\\man.png': choose that in the node"),
        ("sub/man.png", ["man.png"], ""),
    ],
)
def test_an_image_of_a_workflow_from_another_system(
    object_info: dict[str, Any], value: str, there: list[str], said: str
) -> None:
    info = copy.deepcopy(object_info)
    info["LoadImage"]["input"]["required"]["image"] = [there, {"image_upload": True}]
    graph = graph_with_image(value)
    assert find_problems(graph, info) == [
        f"node 20 (LoadImage): the file {value!r} is not in the server's input folder{said}"
    ]


@pytest.mark.parametrize("name", ["cast/man.png", "man.png [output]", "cast/man.png [temp]", "man.png [input]"])
def test_the_server_is_asked_for_a_file_that_no_list_can_contain(object_info: dict[str, Any], name: str) -> None:
    """They were called missing, and the server would have rendered them: lists have the input folder's own files only."""
    graph = graph_with_image(name)
    asked: list[str] = []

    def has_file(there: bool) -> list[str]:
        def ask(wanted: str) -> bool:
            asked.append(wanted)
            return there

        found = check_graph(graph, object_info, Workflow(Path("film.json"), None, graph), has_file=ask)
        return [str(problem) for problem in found]

    folder = name.partition("[")[2].rstrip("]") or "input"
    assert has_file(True) == []
    assert has_file(False) == [f"node 20 (LoadImage): the file {name!r} is not in the server's {folder} folder"]
    assert asked == [name, name]


def test_a_file_of_the_input_folder_itself_is_in_the_list_or_missing(object_info: dict[str, Any]) -> None:
    graph = graph_with_image("man.png")
    workflow = Workflow(Path("film.json"), None, graph)
    assert len(check_graph(graph, object_info, workflow, has_file=lambda name: pytest.fail("asked"))) == 1


# ------------------------------------------------------------------ all at once


def test_all_problems_come_at_once_and_nothing_is_submitted(object_info: dict[str, Any]) -> None:
    graph = with_input("4", "ckpt_name", "wan.safetensors")
    graph["3"]["inputs"]["steps"] = 0
    graph["9"]["class_type"] = "SaveSomewhere"
    with pytest.raises(
        ProblemList, match=r"film\.json does not fit the ComfyUI at http://host:1: 3 problems"
    ) as caught:
        require_fit(graph, object_info, Workflow(Path("film.json"), None, graph), "http://host:1")
    assert (caught.value.code, caught.value.hint) == ("workflow-invalid", "Nothing was submitted.")


# ------------------------------------------------------------------ official templates


#: Template → what is wrong with it on 0.33.
OTHERS = {
    "video_ltx2_i2v_lora": "the required input 'video' is not connected",  # inside its subgraph nothing is
    **dict.fromkeys(
        ("video_ltx2_3_ia2v", "video_ltx2_3_ic_lora", "video_ltx2_3_t2v", "video_minimax_h3_multiframe_reference"),
        "'bit_depth' is 'auto', expected a whole number",  # they are for a later CreateVideo
    ),
}


def test_what_a_video_template_lacks_are_models_and_pictures() -> None:
    """Also where nodes are left over in it, as in video_minimax_h3_i2v: ComfyUI executes it."""
    schemas, checked, found = read_schemas(), [], {}
    for name, path in find_template_files().items():
        if not name.startswith("video_"):
            continue
        workflow = load_workflow(path)
        graph = convert_template(path, schemas)
        problems = check_graph(graph, schemas, workflow)
        if any(problem.where.split(" ")[0] in {*kinds_in(workflow)} for problem in problems):
            continue  # a node of a later ComfyUI, or of another pack
        checked.append(name)
        for problem in problems:
            if not problem.where.startswith("model ") and "is not in the server's input folder" not in problem.message:
                found[name] = problem.message
    assert len(checked) > 50
    assert {"video_minimax_h3_i2v", "video_minimax_h3_r2v", "video_ltx2_5_i2v", "video_wan2_2_14B_i2v"} < {*checked}
    assert sorted(found) == sorted(OTHERS)
    for name, message in found.items():
        assert OTHERS[name] in message, name
