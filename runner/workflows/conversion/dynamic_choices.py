"""Choices that bring inputs of their own: one that the server does not have must not move the values after it."""

from __future__ import annotations

from typing import Any

from .sockets import input_specs, is_dynamic_combo, is_widget, spec_options

_CONTROLS = ("fixed", "increment", "decrement", "randomize")
_SHOWN = 8


def align_values(values: list[Any], schema: Any) -> tuple[list[Any], list[str]]:
    """The widget values of a node without those that belong to a choice which its class does not have.

    How many these are is known from what follows: every other widget has as many values as always.

    Args:
        values: as the file has them.

    Returns:
        the values for the converter, and which choices are unknown, as sentences.
    """
    widgets = [(name, spec) for name, spec in input_specs(schema) if is_widget(spec)]
    if not any(is_dynamic_combo(spec) for _, spec in widgets):
        return values, []
    place = 0
    for number, (name, spec) in enumerate(widgets):
        if place >= len(values):
            break
        length = _length(name, spec, values, place)
        if length is None:
            after = _count_at_end(widgets[number + 1 :], values)
            note = f"{values[place]!r} is none of the choices of {name!r} ({_list_choices(spec)}); what belongs to it is left out"
            return [*values[: place + 1], *values[max(place + 1, len(values) - after) :]], [note]
        place += length
    return values, []


def _length(name: str, spec: Any, values: list[Any], place: int) -> int | None:
    """How many values a widget has, with those of its choice; None when the choice is unknown."""
    if not is_dynamic_combo(spec):
        return 1 + _has_control(name, spec, values, place)
    inner = next((one.get("inputs") for one in _options(spec) if one.get("key") == values[place]), None)
    if inner is None:
        return None
    length = 1
    for inner_name, inner_spec in input_specs({"input": inner}):
        if not is_widget(inner_spec) or place + length >= len(values):
            continue
        more = _length(f"{name}.{inner_name}", inner_spec, values, place + length)
        if more is None:
            return None
        length += more
    return length


def _count_at_end(widgets: list[tuple[str, Any]], values: list[Any]) -> int:
    count = 0
    for name, spec in reversed(widgets):
        last = len(values) - count - 1
        with_control = last > 0 and _has_control(name, spec, values, last - 1)
        count += 2 if with_control else 1
    return min(count, len(values))


def _has_control(name: str, spec: Any, values: list[Any], place: int) -> bool:
    """Whether what follows a seed is how it changes after each run, which is no input."""
    following = values[place + 1] if place + 1 < len(values) else None
    flagged = spec_options(spec).get("control_after_generate")
    is_seed = name in ("seed", "noise_seed") and spec[0] == "INT" if flagged is None else bool(flagged)
    return is_seed and following in _CONTROLS


def _options(spec: Any) -> list[dict[str, Any]]:
    options = spec_options(spec).get("options")
    return [one for one in options if isinstance(one, dict)] if isinstance(options, list) else []


def _list_choices(spec: Any) -> str:
    names = [repr(one.get("key")) for one in _options(spec)]
    return ", ".join(names[:_SHOWN]) + (" …" if len(names) > _SHOWN else "")
