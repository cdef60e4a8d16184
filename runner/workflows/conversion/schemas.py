"""The schemas of a server's nodes as the converter has to see them, to read a workflow as the editor does."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from .sockets import input_specs, spec_options

#: Types with a widget that the converter takes for links: their value is a text.
_TEXT_WIDGETS = frozenset({"AUDIO_RECORD", "WEBCAM"})
#: A class that the converter takes for one of the editor alone, and the name that it gets while it is converted.
ALIASES = {"LoadImageOutput": "LoadImageOutput of the server"}


def adapt_schemas(object_info: Mapping[str, Any], kinds: Iterable[str]) -> dict[str, Any]:
    """The schemas of these classes, changed where the converter reads something else in them than the editor.

    Args:
        object_info: the schemas of the server's nodes; they are not changed.
    """
    found = {kind: _adapt(object_info[kind]) for kind in set(kinds) if kind in object_info}
    return found | {alias: found[kind] for kind, alias in ALIASES.items() if kind in found}


def _adapt(schema: Any) -> Any:
    changed = {name: new for name, spec in input_specs(schema) if (new := _adapt_spec(spec)) is not spec}
    if not changed:
        return schema
    groups = {
        group: {name: changed.get(name, spec) for name, spec in inputs.items()} if isinstance(inputs, dict) else inputs
        for group, inputs in schema["input"].items()
    }
    return {**schema, "input": groups}


def _adapt_spec(spec: Any) -> Any:
    options = spec_options(spec)
    if "default" in options and (options.get("forceInput") or options.get("defaultInput")):
        # An input without a widget has no value unless something is linked to it: the node's own default counts then.
        return [spec[0], {name: value for name, value in options.items() if name != "default"}]
    if isinstance(spec, (list, tuple)) and spec and isinstance(spec[0], str) and spec[0] in _TEXT_WIDGETS:
        return ["STRING", options]
    return spec
