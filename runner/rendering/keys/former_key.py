"""The key of the releases before 0.2, frozen: run directories hold it, and what was finished or submitted under it is kept.

It saw less of a workflow than the key of today, and more than determines the frames: the model files by their names only, not
the file in an input of ``--bind first_frame``, and nodes that nothing saved depends on. Nothing here may change;
`tests/runner/rendering/keys/test_frozen_keys.py` compares with the keys of earlier releases.
"""

from __future__ import annotations

from custom_nodes.videogen.core.digest import digest
from custom_nodes.videogen.core.graph import (
    CONTINUITY_NODE,
    SAVE_NODE,
    SEGMENT_NODE,
    STORY_NODE,
    STORYBOARD_NODE,
    Graph,
    is_link,
    nodes_of,
)
from custom_nodes.videogen.core.segment.plan import CAPTIONS, SegmentPlan

from ...workflows.story_images import record_with_bytes
from .key_sources import KeySources


def make_former_key(sources: KeySources, graph: Graph, plan: SegmentPlan, begins_from: str = "") -> str:
    """The key that earlier releases gave a segment.

    Args:
        graph: with the segment chosen.
        plan: of the segment, without a variant.
        begins_from: SHA-256 of the file that it continues.
    """
    bare = _strip(sources, graph)
    files = {name: sources.hash_input(name) for name in _input_files(sources, bare)}
    for target in sources.first_frame_inputs if begins_from else ():
        target.remove(bare)
    record = (
        record_with_bytes(plan, sources.image_inputs, sources.hash_image) if sources.image_inputs else plan.to_dict()
    )
    if not nodes_of(graph, STORYBOARD_NODE):
        record = {name: value for name, value in record.items() if name not in CAPTIONS}
    return digest({"graph": bare, "segment": record, "files": files, "begins from": begins_from})


def _strip(sources: KeySources, graph: Graph) -> Graph:
    """The graph without everything that changes no frame of the segment, or that its record tells already."""
    # Without `_meta`: renaming a node changes no image.
    bare = {key: {"class_type": node["class_type"], "inputs": dict(node["inputs"])} for key, node in graph.items()}
    for node_id in nodes_of(bare, SEGMENT_NODE):
        bare[node_id]["inputs"].pop("index", None)
    story_nodes = nodes_of(bare, STORY_NODE)
    feeds_others = any(
        node["class_type"] != SEGMENT_NODE and is_link(value) and value[0] in story_nodes
        for node in graph.values()
        for value in node["inputs"].values()
    )
    for node_id in story_nodes:
        # The segment's own record says what the story means for it, unless another node reads the story too.
        bare[node_id]["inputs"] = {"story": digest(sources.story_data)} if feeds_others else {}
    for node_id in nodes_of(bare, SAVE_NODE):
        bare[node_id]["inputs"].pop("take", None)
    for node_id in nodes_of(bare, CONTINUITY_NODE):
        # Thresholds do not change the frames.
        bare[node_id]["inputs"] = {name: value for name, value in bare[node_id]["inputs"].items() if is_link(value)}
    for binding in sources.bindings:
        binding.target.remove(bare)
    return bare


def _input_files(sources: KeySources, graph: Graph) -> list[str]:
    """Names of the files in the server's input folder that a graph reads."""
    names = set()
    for node in graph.values():
        inputs = sources.object_info.get(node["class_type"], {}).get("input", {})
        for name, spec in [*inputs.get("required", {}).items(), *inputs.get("optional", {}).items()]:
            options = spec[1] if len(spec) > 1 and isinstance(spec[1], dict) else {}
            value = node["inputs"].get(name)
            if isinstance(value, str) and any(key.endswith("_upload") and options[key] for key in options):
                names.add(value)
    return sorted(names)
