"""Workflows that are adopted in tests, with the schemas of our own nodes as a server shows them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from custom_nodes.videogen.core.adoption.adopt import AdoptedWorkflow, Wishes, adopt
from custom_nodes.videogen.core.graph import FIT_NODE, SEGMENT_NODE, STORY_NODE, Graph
from custom_nodes.videogen.core.model_values.fit import UNKNOWN
from custom_nodes.videogen.media.profiles.library import shipped_profiles
from runner.workflows.workflow import Workflow, convert_workflow

_TEXT = ["STRING", {"multiline": True}]
#: Input names, types and order; tests/nodes/story/test_fit_model.py holds them against the nodes.
OUR_NODES: dict[str, Any] = {
    STORY_NODE: {
        "input": {"required": {"file": ["COMBO", {"options": ["text below"]}], "text": _TEXT}},
        "input_order": {"required": ["file", "text"]},
        "output": ["STORY"],
    },
    SEGMENT_NODE: {
        "input": {
            "required": {
                "story": ["STORY", {}],
                "index": ["INT", {"default": 1, "min": 1, "max": 1000, "control_after_generate": True}],
            },
            "optional": {"prompt_override": _TEXT, "with_master_prompt": ["BOOLEAN", {"default": False}]},
        },
        "input_order": {"required": ["story", "index"], "optional": ["prompt_override", "with_master_prompt"]},
        "output": ["SEGMENT", "STRING", "STRING", "INT", "INT", "FLOAT", "INT", "INT"],
    },
    FIT_NODE: {
        "input": {
            "required": {
                "story": ["STORY", {}],
                "segment": ["SEGMENT", {}],
                "model": ["COMBO", {"options": [UNKNOWN, *(profile.name for profile in shipped_profiles())]}],
                "own_width": ["INT", {}],
                "own_height": ["INT", {}],
            },
            "optional": {
                "own_negative": _TEXT,
                "references": ["INT", {}],
                "first_frame": ["BOOLEAN", {}],
                "takes": _TEXT,
                "profile": _TEXT,
            },
        },
        "input_order": {
            "required": ["story", "segment", "model", "own_width", "own_height"],
            "optional": ["own_negative", "references", "first_frame", "takes", "profile"],
        },
        "output": ["STRING", "STRING", *["*"] * 8],
    },
}


def adopt_in_full(
    ui: Mapping[str, Any], graph: Graph, schemas: Mapping[str, Any], wishes: Wishes | None = None
) -> tuple[AdoptedWorkflow, Graph]:
    """An adopted workflow, and the graph that the editor would send for it."""
    known = {**schemas, **OUR_NODES}
    adopted = adopt(ui, graph, known, shipped_profiles(), wishes)
    return adopted, convert_workflow(Workflow(Path("adopted.json"), adopted.ui, None), known)
