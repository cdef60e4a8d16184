"""The widgets that a subgraph shows on its outside, and their values."""

from __future__ import annotations

from typing import Any

from .levels import Definition, Level, PlacedNode

#: Of a subgraph's node, the property with the widgets that it shows: [id of the node inside, name]; -1 for its own inputs.
_LIST, _OF_BORDER = "proxyWidgets", "-1"


class Promotion:
    """Knows which inputs of subgraphs lead to a widget inside; each definition is looked through once."""

    def __init__(self) -> None:
        self._shown: dict[int, set[int]] = {}
        self._places: dict[int, dict[str, int]] = {}
        self._values: dict[int, dict[int, Any]] = {}

    def values(self, host: PlacedNode) -> dict[int, Any]:
        """The values of the widgets that a subgraph shows for its inputs: place of the input → value.

        The file has them one after the other, for those inputs alone that lead to a widget inside. An editor that lists what it
        shows has them in that order, for those inputs that are in its list.
        """
        if id(host) not in self._values:
            values = host.data.get("widgets_values")
            places: list[int | None] = []
            if host.inner is not None and isinstance(values, list):
                listed = self._find_listed(host, host.inner)
                places = [*sorted(self._shown_inputs(host.inner))] if listed is None else listed
            found = zip(places, values or (), strict=False)
            self._values[id(host)] = {place: value for place, value in found if place is not None}
        return self._values[id(host)]

    def _find_listed(self, host: PlacedNode, inner: Level) -> list[int | None] | None:
        """The inputs in the list of shown widgets, in its order; None where it has widgets from inside only, or is not there."""
        properties = host.data.get("properties")
        listed = properties.get(_LIST) if isinstance(properties, dict) else None
        names = [one[1] for one in listed or () if isinstance(one, list) and len(one) >= 2 and one[0] == _OF_BORDER]
        return [self.place_of(inner.definition, name) for name in names] if names else None

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
