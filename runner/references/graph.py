"""The graph that draws one member of a cast: the references workflow with the film's story and model in it."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

from custom_nodes.videogen.core.errors import Problem, VideoGenError
from custom_nodes.videogen.core.graph import RENDER_SIZE_NODE, SAVE_REFERENCE_NODE, STORY_NODE, Graph, is_link, nodes_of
from custom_nodes.videogen.core.redaction import SECRETS, find_graph_secrets
from custom_nodes.videogen.core.segment.cast_prompts import CHARACTER_WORDS, OBJECT_WORDS, CastMember, plan_member
from custom_nodes.videogen.core.story.model import Story

from ..comfyui.installation import PROJECT
from ..workflows.dynamic_prompts import draw_prompts, find_dynamic_texts
from ..workflows.missing_parts import AskSizes, ListModels
from ..workflows.validate import check_graph
from ..workflows.workflow import Workflow, convert_workflow

MEMBER_NODE = "VideoGenCastMember"
DEFAULT_REFERENCES = PROJECT / "workflows" / "character_references.json"
#: Inputs that are copied from the film's workflow, where it has one value for them: then only one model is loaded, and it gets
#: the steps, the strength of the prompt and the size that it needs. Input → the only class that counts, or "" for any: others
#: mean something else by megapixels.
ADOPTED = {
    "ckpt_name": "",
    "unet_name": "",
    "vae_name": "",
    "steps": "",
    "cfg": "",
    "sampler_name": "",
    "scheduler": "",
    "megapixels": RENDER_SIZE_NODE,
}


class ReferencesGraph:
    """The references workflow, converted for one server.

    Args:
        workflow: with one VideoGenCastMember and one VideoGenSaveReference.
        film: the graph of the film's workflow, for `ADOPTED`.

    Raises:
        VideoGenError: `workflow-invalid`.
    """

    def __init__(self, workflow: Workflow, object_info: dict[str, Any], film: Graph) -> None:
        self.workflow = workflow
        self.graph = convert_workflow(workflow, object_info, seed=None)
        self.dynamic_texts = find_dynamic_texts(self.graph, object_info) if workflow.ui is not None else {}
        self.adopted = adopt_model(self.graph, film)
        for secret in find_graph_secrets(self.graph):
            SECRETS.add(secret)
        self.member_node = _only(self.graph, MEMBER_NODE, workflow.path)
        self.save_node = _only(self.graph, SAVE_REFERENCE_NODE, workflow.path)
        inputs = self.graph[self.member_node]["inputs"]
        self.words = tuple(
            str(inputs.get(name, default)) if not is_link(inputs.get(name)) else default
            for name, default in (("character_words", CHARACTER_WORDS), ("object_words", OBJECT_WORDS))
        )

    def plan(self, story: Story, index: int) -> CastMember:
        """Prompt, seed and file of one member of the cast; see `plan_member`."""
        return plan_member(story, index, *self.words)

    def check(
        self, object_info: dict[str, Any], list_models: ListModels | None = None, ask_sizes: AskSizes | None = None
    ) -> list[Problem]:
        """Problems of the graph on the server, in words that tell it from the film's workflow."""
        found = check_graph(self.make({}, 1, "member.png", ""), object_info, self.workflow, list_models, ask_sizes)
        name = self.workflow.path.name
        return [Problem(f"{name}, {one.where}" if one.where else name, one.message) for one in found]

    def make(self, story_data: dict[str, Any], index: int, file: str, text: str) -> Graph:
        """The graph to submit for one member.

        Args:
            file: where its image goes in the server's input folder.
            text: goes into the image.
        """
        graph = copy.deepcopy(self.graph)
        draw_prompts(graph, self.dynamic_texts, index)
        for node_id in nodes_of(graph, STORY_NODE):
            graph[node_id]["inputs"] = {"file": "text below", "text": json.dumps(story_data, ensure_ascii=False)}
        graph[self.member_node]["inputs"]["index"] = index
        graph[self.save_node]["inputs"] |= {"file": file, "existing": "replace rendered", "prompt": text}
        return graph


def adopt_model(graph: Graph, film: Graph) -> dict[str, Any]:
    """Copy the inputs of `ADOPTED` for which the film's graph has exactly one value into the references' graph.

    Returns:
        What was copied.
    """
    copied: dict[str, Any] = {}
    for name, kind in ADOPTED.items():
        found = {json.dumps(inputs[name]) for inputs in _users(film, name, kind)}
        users = _users(graph, name, kind)
        if len(found) == 1 and users:
            copied[name] = json.loads(found.pop())
            for inputs in users:
                inputs[name] = copied[name]
    return copied


def _users(graph: Graph, name: str, kind: str) -> list[dict[str, Any]]:
    """The inputs of all nodes, or of all nodes of a class, that have a value under this name."""
    return [
        node["inputs"]
        for node in graph.values()
        if node["class_type"] == (kind or node["class_type"])
        and node["inputs"].get(name) is not None
        and not is_link(node["inputs"][name])
    ]


def _only(graph: Graph, kind: str, path: Path) -> str:
    found = nodes_of(graph, kind)
    if len(found) != 1:
        raise VideoGenError(
            "workflow-invalid",
            f"{path.name} has {len(found)} {kind} nodes, expected one: it has to draw reference pictures",
            "Use workflows/character_references.json, or a workflow based on it; --references none does without.",
        )
    return found[0]
