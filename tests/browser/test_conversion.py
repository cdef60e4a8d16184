"""Conversion beside the editor: the graph that the runner makes of a workflow is the one that the editor would send."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.core.graph import Graph
from runner.workflows.files.locate import find_templates
from runner.workflows.workflow import Workflow, convert_workflow, load_workflow
from tests.browser.conftest import OWN
from tests.support.editor import VIEWPORT, Editor
from tests.support.graphs.conversions import executed, small_workflows
from tests.support.needs import skip_or_fail
from tests.support.servers.comfy import ComfyServer

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = [pytest.mark.server, pytest.mark.browser]

#: `full` compares the templates for partner models too, and all of them in the newer editor as well.
FULL = os.environ.get("VIDEOGEN_BROWSER") == "full"
SMALL = small_workflows()
#: Nodes of packs that exist in the browser only, without their looks: what their scripts tell the editor.
_STAND_INS = """names => {
    for (const name of names) {
        class StandIn extends LiteGraph.LGraphNode {
            constructor(title) { super(title); this.isVirtualNode = true; this.serialize_widgets = true; }
            getInputLink(slot) {
                if (this.type !== 'GetNode') return super.getInputLink(slot);
                const setter = this.graph.nodes.find(node => node.type === 'SetNode'
                    && node.widgets_values[0] === this.widgets_values[0]);
                return setter ? this.graph.getLink(setter.inputs[slot].link) : null;
            }
            // A newer editor asks for what is set outside of a subgraph.
            resolveVirtualOutput(slot) {
                if (this.type !== 'GetNode') return undefined;
                const named = node => node.type === 'SetNode' && node.widgets_values[0] === this.widgets_values[0];
                if (this.graph.nodes.some(named)) return undefined;
                const setter = this.graph.rootGraph.nodes.find(named);
                const link = setter && setter.graph.getLink(setter.inputs[slot].link);
                return link ? {node: setter.graph.getNodeById(link.origin_id), slot: link.origin_slot} : undefined;
            }
        }
        LiteGraph.registerNodeType(name, StandIn);
    }
}"""
_OF_PACKS = (
    "Label (rgthree)",
    "Bookmark (rgthree)",
    "Fast Muter (rgthree)",
    "Fast Bypasser (rgthree)",
    "Fast Groups Bypasser (rgthree)",
    "Reroute (rgthree)",
    "SetNode",
    "GetNode",
)
#: Opens workflows one after the other, and returns the graph of each, or what the editor says instead.
_PROMPTS = """async workflows => {
    const found = {};
    // A list that comes from the server later.
    const waits = () => app.graph.nodes.some(node => node.widgets?.some(widget => widget.value === 'Loading...'));
    for (const [name, workflow] of Object.entries(workflows)) {
        await app.loadGraphData(workflow);
        for (let tries = 0; tries < 50 && waits(); tries++) await new Promise(done => setTimeout(done, 100));
        try {
            found[name] = (await app.graphToPrompt()).output;
        } catch (error) {
            found[name] = String(error);
        }
    }
    return found;
}"""
#: Templates whose graph is not the editor's → why.
OTHERWISE = {
    "video_wan2_2_14B_animate": "it has nodes of packs, and the editor without them sends nodes without a class",
}
#: The same for the newer editor.
OTHERWISE_NEWER = {
    **OTHERWISE,
    "image_netayume_lumina_t2i": "two of its subgraphs have nodes with one id: the editor numbers them anew",
    "video_wan2_2_14B_s2v": "two of its subgraphs have nodes with one id: the editor numbers them anew",
}


@pytest.fixture(scope="module")
def canvas_editor(browser: Browser, comfy_server: ComfyServer) -> Iterator[Editor]:
    """The editor with its nodes on the canvas: how nodes are drawn changes no graph."""
    with browser.new_context(viewport={"width": VIEWPORT[0], "height": VIEWPORT[1]}) as context:
        yield Editor(context.new_page(), comfy_server.url).open()


def convert(workflow: Workflow, server: ComfyServer) -> Graph:
    return executed(convert_workflow(workflow, server.object_info, seed=None), server.object_info)


@pytest.fixture(scope="module")
def version(canvas_editor: Editor) -> str:
    """The editor's."""
    return str(canvas_editor.export()["extra"]["frontendVersion"])


@pytest.fixture(scope="module")
def small_prompts(canvas_editor: Editor) -> dict[str, Any]:
    canvas_editor.page.evaluate(_STAND_INS, list(_OF_PACKS))
    return canvas_editor.page.evaluate(_PROMPTS, {name: small.workflow for name, small in SMALL.items()})


@pytest.mark.parametrize("name", SMALL)
def test_a_small_workflow(name: str, small_prompts: dict[str, Any], comfy_server: ComfyServer, version: str) -> None:
    """What is frozen in tests/data/conversions is what this editor sends, too, or another editor, and why ours is that."""
    editors, info = small_prompts[name], comfy_server.object_info
    ours = convert(Workflow(Path("film.json"), SMALL[name].workflow, None), comfy_server)
    if version in SMALL[name].otherwise:
        assert executed(editors, info) != ours, "it is no longer another one"
    else:
        assert executed(editors, info) == ours == executed(SMALL[name].graph, info)


@pytest.fixture(scope="module")
def template_prompts(frontend: str, canvas_editor: Editor) -> dict[str, Any]:
    if frontend != OWN and not FULL:
        pytest.skip("with VIDEOGEN_BROWSER=full")
    templates = {name: path for name, path in find_templates().items() if FULL or not name.startswith("api_")}
    if not templates:
        skip_or_fail("ComfyUI's templates are not installed")
    workflows = {name: json.loads(path.read_text(encoding="utf-8")) for name, path in templates.items()}
    return canvas_editor.page.evaluate(_PROMPTS, workflows)


def test_every_template_that_ships_with_comfyui(
    template_prompts: dict[str, Any], comfy_server: ComfyServer, frontend: str
) -> None:
    templates = find_templates()
    assert len(template_prompts) > 100
    assert "3d_hunyuan3d_multiview_to_model" in template_prompts
    different = {}
    for name, editors in template_prompts.items():
        try:
            ours = convert(load_workflow(templates[name]), comfy_server)
        except VideoGenError as error:
            different[name] = f"refused: {error}"
            continue
        if isinstance(editors, str) or executed(editors, comfy_server.object_info) != ours:
            different[name] = describe(editors, ours)
    assert different.keys() == (OTHERWISE if frontend == OWN else OTHERWISE_NEWER).keys(), different


def describe(editors: Any, ours: Graph) -> str:
    """The first difference."""
    if isinstance(editors, str):
        return f"the editor says {editors}"
    if editors.keys() != ours.keys():
        return f"nodes {sorted(editors.keys() ^ ours.keys())}"
    for key, node in ours.items():
        for name in node["inputs"].keys() | editors[key]["inputs"].keys():
            one, other = editors[key]["inputs"].get(name, "none"), node["inputs"].get(name, "none")
            if one != other:
                return f"{key} ({node['class_type']}).{name}: the editor has {one!r}, we have {other!r}"
    return "classes"
