"""Builds a planned workflow in the real editor, with the editor's own functions."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from runner.workflows.model_catalog import find_published
from tests.browser.graph_plan import NODE_TITLE, GraphPlan, Node, Placement, Size, place_nodes, route_bus
from tests.support.editor import VIEWPORT, Editor

#: Makes the nodes, and says how large each has to be at least for its widgets.
_MAKE = """([nodes, id]) => {
    app.graph.clear();
    app.graph.id = id;
    const made = window.videogenMade = {};
    for (const wanted of nodes) {
        const node = LiteGraph.createNode(wanted.kind);
        if (!node) throw new Error(`there is no node ${wanted.kind}`);
        app.graph.add(node);
        made[wanted.key] = node;
        if (wanted.title) node.title = wanted.title;
        if (wanted.models.length) node.properties.models = wanted.models;
        for (const [name, value] of Object.entries(wanted.widgets)) {
            const widget = name ? node.widgets.find(widget => widget.name === name) : node.widgets[0];
            if (!widget) throw new Error(`${wanted.kind} has no widget ${name}`);
            widget.value = value;
        }
        node.mode = wanted.mode;
    }
    return Object.fromEntries(Object.entries(made).map(([key, node]) => [key, Array.from(node.computeSize(), Math.ceil)]));
}"""

#: Links that share their way share its points: the farthest one gets them all, the others leave it where they turn off.
_PLACE = """([boxes, groups, links, buses]) => {
    const made = window.videogenMade;
    const connect = (source, output, target, input, after) => {
        const outgoing = made[source].findOutputSlot(output), incoming = made[target].findInputSlot(input);
        if (outgoing < 0) throw new Error(`${source} has no output ${output}`);
        if (incoming < 0) throw new Error(`${target} has no input ${input}`);
        const link = made[source].connect(outgoing, made[target], incoming, after);
        if (!link) throw new Error(`${source}.${output} does not go into ${target}.${input}`);
        return link;
    };
    for (const [key, [x, y, width, height]] of Object.entries(boxes)) {
        made[key].pos = [x, y];
        made[key].setSize([width, height]);
    }
    for (const link of links) connect(...link);
    for (const [source, output, ways] of buses) {
        const points = new Map();
        ways.sort((a, b) => b[2].length - a[2].length);
        for (const [target, input, way] of ways) {
            const last = points.get(String(way[way.length - 1]));
            const link = connect(source, output, target, input, last?.id);
            if (last) continue;
            let before = link;
            for (const point of [...way].reverse()) {
                before = app.graph.createReroute(point, before);
                points.set(String(point), before);
            }
        }
    }
    for (const [title, color, [x, y, width, height]] of groups) {
        const group = new LiteGraph.LGraphGroup(title);
        group.pos = [x, y];
        group.size = [width, height];
        group.color = color;
        app.graph.add(group);
    }
    delete window.videogenMade;
    return Object.fromEntries(Object.entries(made).map(([key, node]) => [key, Array.from(node.size)]));
}"""

#: A node that has become wider may become less high, and the other way round.
MAX_BUILDS = 4
#: The bars on the left and at the top of the page cover the canvas; this much of it is to be left free.
_MARGINS = {"left": 80, "top": 100, "right": 20, "bottom": 90}


def build_for_all(
    editor: Editor, others: list[Editor], plan: GraphPlan, placement: Placement | None = None
) -> dict[str, Any]:
    """Build a workflow with the room that its nodes take in each editor, as the same node is not as large in all of them.

    Args:
        editor: the one that builds it, with nodes drawn on its canvas.
        others: those that open it.
        placement: as for `build_graph`.

    Raises:
        ValueError: nodes grow whatever they get, or have no room in `placement`.
    """
    room: dict[str, Size] = {}
    for _ in range(MAX_BUILDS):
        workflow = build_graph(editor, plan, placement, room)
        needed = [measure_room(other, workflow, plan) for other in others]
        grown = {key: _join(size, *(one[key] for one in needed)) for key, size in sizes_of(workflow, plan).items()}
        if grown == sizes_of(workflow, plan):
            return workflow
        if placement:
            places = {key: box[2:] for key, box in placement.nodes.items()}
            raise ValueError(f"larger than its place: {dict(grown.items() - places.items())}")
        room = grown
    raise ValueError(f"still growing after {MAX_BUILDS} times: {room}")


def sizes_of(workflow: dict[str, Any], plan: GraphPlan) -> dict[str, Size]:
    """Width and height of each node without its title, by its key."""
    sizes = {node["id"]: (node["size"][0], node["size"][1]) for node in workflow["nodes"]}
    return {node.key: sizes[number] for number, node in enumerate(plan.nodes(), start=1)}


def measure_room(editor: Editor, workflow: dict[str, Any], plan: GraphPlan) -> dict[str, Size]:
    """Width and height that each node has in an editor that opens the workflow, without its title."""
    editor.load(workflow)
    editor.close_dialogs()
    boxes, sizes = editor.boxes(), sizes_of(workflow, plan)
    keys = {str(number): node.key for number, node in enumerate(plan.nodes(), start=1)}
    # Old editors with Nodes 2.0 enlarge a layout as a whole.
    enlarged = min(boxes[number][2] / sizes[key][0] for number, key in keys.items())
    return {
        key: (round(boxes[number][2] / enlarged), math.ceil(boxes[number][3] / enlarged - NODE_TITLE - 0.5))
        for number, key in keys.items()
    }


def _join(*sizes: Size) -> Size:
    return (max(width for width, _ in sizes), max(height for _, height in sizes))


def build_graph(
    editor: Editor, plan: GraphPlan, placement: Placement | None = None, room: Mapping[str, Size] | None = None
) -> dict[str, Any]:
    """Build a workflow in the editor, fit the view to it, and export it.

    Args:
        placement: the position of everything; without it the groups are side by side.
        room: width and height that nodes get at least, by key.

    Raises:
        ValueError: a node would be larger than its place, or smaller than its widgets.
    """
    nodes = list(plan.nodes())
    least = editor.page.evaluate(_MAKE, [[_describe(node) for node in nodes], plan.id])
    sizes = {key: _join((size[0], size[1]), (room or {}).get(key, (0, 0))) for key, size in least.items()}
    placement = placement or place_nodes(plan, sizes)
    groups = [[group.title, group.color, box] for group, box in zip(plan.groups, placement.groups, strict=True)]
    placed = editor.page.evaluate(
        _PLACE, [placement.nodes, groups, plan.split_links(), _describe_buses(plan, placement)]
    )
    for key, box in placement.nodes.items():
        if placed[key] != list(box[2:]):
            raise ValueError(f"{key} is {placed[key]}, wanted {list(box[2:])}: widgets would be cut")
    editor.wait_for_drawing()
    fit_view(editor, [*editor.boxes().values(), *placement.groups])
    return editor.export()


def fit_view(editor: Editor, boxes: list[Any]) -> None:
    """Move and scale the view so that all boxes (x, y, width, height) are on the screen."""
    left, top = min(box[0] for box in boxes), min(box[1] for box in boxes)
    right, bottom = max(box[0] + box[2] for box in boxes), max(box[1] + box[3] for box in boxes)
    width = VIEWPORT[0] - _MARGINS["left"] - _MARGINS["right"]
    height = VIEWPORT[1] - _MARGINS["top"] - _MARGINS["bottom"]
    scale = round(min(1.0, width / (right - left), height / (bottom - top)), 2)
    # The view's offset counts in the graph's units.
    x = round((_MARGINS["left"] + (width - (right - left) * scale) / 2) / scale - left)
    y = round((_MARGINS["top"] + (height - (bottom - top) * scale) / 2) / scale - top)
    editor.page.evaluate(
        "([scale, x, y]) => { app.canvas.ds.scale = scale; app.canvas.ds.offset = [x, y]; }", [scale, x, y]
    )
    editor.wait_for_drawing()


def _describe_buses(plan: GraphPlan, placement: Placement) -> list[Any]:
    return [
        [*bus.source.split("."), [[*target.split("."), way] for target, way in route_bus(placement, bus).items()]]
        for bus in plan.buses
    ]


def _describe(node: Node) -> dict[str, Any]:
    return {
        "key": node.key,
        "kind": node.kind,
        "title": node.title,
        "mode": node.mode,
        "widgets": dict(node.widgets),
        "models": [_describe_model(name) for name in node.models],
    }


def _describe_model(name: str) -> dict[str, str]:
    """As ComfyUI's own templates have it: from this the editor's dialog of missing models is made."""
    model = find_published(name)
    if model is None:
        raise LookupError(f"{name} is not among the published models")
    return {
        "name": model.name,
        "url": model.url,
        "directory": model.folder,
        "hash": model.sha256,
        "hash_type": "SHA256",
    }
