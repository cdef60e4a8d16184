"""``/object_info``: the schemas of a server's nodes, in the one form that everything after this reads.

Packs declare what they like, and ComfyUI passes it on. What is no schema, input or option is left out here, so that the
converter, the checks and the keys of segments need not ask again; what is one stays as it is.
"""

from __future__ import annotations

from typing import Any

from .answers import MalformedAnswerError, read_as, read_number

_GROUPS = ("required", "optional", "hidden")
_TEXTS = ("name", "display_name", "description", "category", "python_module")
_LISTS = ("output_name", "output_is_list", "output_tooltips", "output_matchtypes")


def read_object_info(value: Any) -> dict[str, dict[str, Any]]:
    """The schema of each node, by its class.

    Each has ``input`` with groups (required, optional, hidden) of specifications, which are a word, or a list of a type or
    choices and, at most, options; and ``output``, a list of types.

    Raises:
        MalformedAnswerError: it is no dictionary, or none of its entries is one.
    """
    schemas = read_as(value, dict[str, Any])
    found = {kind: _read_schema(schema) for kind, schema in schemas.items() if isinstance(schema, dict)}
    if schemas and not found:
        raise MalformedAnswerError("none of its nodes has a schema")
    return found


def _read_schema(schema: dict[str, Any]) -> dict[str, Any]:
    groups = schema.get("input")
    inputs = {
        name: _read_inputs(group)
        for name, group in (groups.items() if isinstance(groups, dict) else ())
        if name in _GROUPS and isinstance(group, dict)
    }
    output = schema.get("output")
    kept = {
        name: part
        for name, part in schema.items()
        if (name not in _TEXTS or isinstance(part, str)) and (name not in _LISTS or isinstance(part, list))
    }
    kept["input"] = inputs
    kept["output"] = (
        [kind if isinstance(kind, (str, list)) else "*" for kind in output] if isinstance(output, list) else []
    )
    kept["output_node"] = schema.get("output_node") is True
    order = kept.pop("input_order", None)
    if isinstance(order, dict):
        kept["input_order"] = {
            name: [one for one in names if isinstance(one, str)]
            for name, names in order.items()
            if name in _GROUPS and isinstance(names, list)
        }
    return kept


def _read_inputs(group: dict[str, Any]) -> dict[str, Any]:
    return {name: spec for name, found in group.items() if (spec := _read_spec(found)) is not None}


def _read_spec(spec: Any) -> Any:
    """An input's specification; None for what is none."""
    if isinstance(spec, str):
        return spec  # of a hidden input it is a word
    if not isinstance(spec, list) or not spec or not isinstance(spec[0], (str, list)):
        return None
    if len(spec) == 1:
        return spec
    options = spec[1] if isinstance(spec[1], dict) else {}
    return [spec[0], {name: option for name, option in options.items() if _is_option(name, option)}]


def _is_option(name: str, option: Any) -> bool:
    """Whether an option can be read, of those that anything here compares with values."""
    if name in ("min", "max"):
        return read_number(option) is not None
    return name != "options" or isinstance(option, list)
