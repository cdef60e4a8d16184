"""The widgets that a subgraph shows on its outside, and their values."""

from __future__ import annotations

from typing import Any

from .levels import Definition, Level, PlacedNode


class Promotion:
    """Knows which inputs of subgraphs lead to a widget inside; each definition is looked through once."""

    def __init__(self) -> None:
        self._shown: dict[int, set[int]] = {}
        self._places: dict[int, dict[str, int]] = {}
        self._values: dict[int, dict[int, Any]] = {}

    def values(self, host: PlacedNode) -> dict[int, Any]:
        """The values of the widgets that a subgraph shows for its inputs: place of the input → value.

        The file has them one after the other, for those inputs alone that lead to a widget inside.
        """
        if id(host) not in self._values:
            values = host.data.get("widgets_values")
            shown = self._shown_inputs(host.inner) if host.inner is not None and isinstance(values, list) else set()
            self._values[id(host)] = dict(zip(sorted(shown), values or (), strict=False))
        return self._values[id(host)]

    def place_of(self, definition: Definition, name: Any) -> int | None:
        """The place of a subgraph's input, by its name."""
        if id(definition) not in self._places:
            names = [str(border.get("name")) for border in definition.inputs]
            self._places[id(definition)] = {name: place for place, name in reversed(list(enumerate(names)))}
        return self._places[id(definition)].get(str(name))

    def _shown_inputs(self, level: Level) -> set[int]:
        definition = level.definition
        if id(definition) not in self._shown:
            widgets = self._find_widgets(level)
            self._shown[id(definition)] = {
                place
                for place, border in enumerate(definition.inputs)
                if isinstance(numbers := border.get("linkIds"), list) and not widgets.isdisjoint(map(str, numbers))
            }
        return self._shown[id(definition)]

    def _find_widgets(self, level: Level) -> set[str]:
        """The links inside a subgraph that go into a widget, or into what an inner subgraph shows."""
        return {
            str(socket.get("link"))
            for node in level.nodes.values()
            for socket in node.inputs
            if socket.get("link") is not None and self._has_widget(node, socket)
        }

    def _has_widget(self, node: PlacedNode, socket: dict[str, Any]) -> bool:
        if node.inner is None:
            return bool(socket.get("widget"))
        return self.place_of(node.inner.definition, socket.get("name")) in self._shown_inputs(node.inner)
