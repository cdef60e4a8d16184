"""Inputs and outputs as the editor has them once a workflow is open: those of the node's class, with the links of the file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from .levels import PlacedNode

#: Types whose inputs have a widget.
_WIDGET_TYPES = frozenset({"INT", "FLOAT", "STRING", "BOOLEAN", "COMBO"})
_ANY = ("*", "", 0, None)


def open_inputs(node: PlacedNode, schema: Any) -> list[dict[str, Any]]:
    """The inputs of an open node in the editor's order: first those without a widget, then those with one, then any others.

    A saved workflow has no entry for a widget that nothing is linked to, and may have types of an older release.
    """
    saved = node.inputs
    specs = [(name, spec) for name, spec in input_specs(schema) if not _is_socketless(spec)]
    if not specs or node.inner is not None:
        return saved
    by_name = {socket.get("name"): socket for socket in saved}
    ordered = [one for one in specs if not is_widget(one[1])] + [one for one in specs if is_widget(one[1])]
    known = {name for name, _ in ordered}
    return [
        *({**by_name.get(name, {}), "name": name, "type": _type_of(spec)} for name, spec in ordered),
        *(socket for socket in saved if socket.get("name") not in known),
    ]


def output_type(node: PlacedNode, slot: int, schema: Any) -> Any:
    """The type of an output: that of the node's class, else as the file has it."""
    declared = schema.get("output") if isinstance(schema, dict) and node.inner is None else None
    if isinstance(declared, list) and slot < len(declared):
        return "COMBO" if isinstance(declared[slot], list) else declared[slot]
    outputs = node.outputs
    return outputs[slot].get("type") if slot < len(outputs) else None


def find_bypass(inputs: list[dict[str, Any]], slot: int, out: Any, wanted: Any) -> int | None:
    """Which input a bypassed node passes on to an output, by the editor's rules, or None.

    Args:
        slot: the output.
        out, wanted: its type, and that of the input that it goes to.
    """
    if wanted in ("*", ""):
        return (slot if slot < len(inputs) else 0) if inputs else None

    def fits(socket: Mapping[str, Any]) -> bool:
        return can_connect(socket.get("type"), out) and can_connect(socket.get("type"), wanted)

    if slot < len(inputs) and fits(inputs[slot]):
        return slot
    exact = next((index for index, socket in enumerate(inputs) if socket.get("type") == wanted), None)
    return exact if exact is not None else next((index for index, one in enumerate(inputs) if fits(one)), None)


def can_connect(one: Any, other: Any) -> bool:
    """Whether the editor links an output of one type with an input of the other; a type may be several, with commas."""
    if one in _ANY or other in _ANY or one == other:
        return True
    ones, others = (str(kind).lower().split(",") for kind in (one, other))
    return any(
        first.strip() == second.strip() or "*" in (first.strip(), second.strip()) for first in ones for second in others
    )


def input_specs(schema: Any) -> Iterator[tuple[str, Any]]:
    """Name and specification of each input of a class, in the editor's order."""
    groups = schema.get("input") if isinstance(schema, dict) else None
    order = schema.get("input_order") if isinstance(schema, dict) else None
    for group in ("required", "optional"):
        inputs = groups.get(group) if isinstance(groups, dict) else None
        if not isinstance(inputs, dict):
            continue
        listed = order.get(group) if isinstance(order, dict) else None
        names = [name for name in listed if name in inputs] if isinstance(listed, list) else []
        for name in dict.fromkeys([*names, *inputs]):
            yield name, inputs[name]


def is_widget(spec: Any) -> bool:
    """Whether an input has a widget: a value that can be typed or chosen."""
    if not isinstance(spec, (list, tuple)) or not spec:
        return False
    options = spec_options(spec)
    if options.get("forceInput") or options.get("defaultInput"):
        return False
    kind = options.get("widgetType") or spec[0]
    return isinstance(kind, (list, tuple)) or kind in _WIDGET_TYPES or is_dynamic_combo(spec)


def is_dynamic_combo(spec: Any) -> bool:
    """Whether an input is a choice that has inputs of its own for each option."""
    return (
        isinstance(spec, (list, tuple)) and bool(spec) and str(spec[0]).startswith("COMFY_") and "COMBO" in str(spec[0])
    )


def spec_options(spec: Any) -> dict[str, Any]:
    """The options of an input's specification."""
    return spec[1] if isinstance(spec, (list, tuple)) and len(spec) > 1 and isinstance(spec[1], dict) else {}


def _is_socketless(spec: Any) -> bool:
    return bool(spec_options(spec).get("socketless"))


def _type_of(spec: Any) -> Any:
    kind = spec[0] if isinstance(spec, (list, tuple)) and spec else None
    return "COMBO" if isinstance(kind, (list, tuple)) else kind
