"""YAML as people write it: numbers by the rules of YAML 1.2, parsed by libyaml where PyYAML has it.

YAML 1.1, which PyYAML implements, reads ``024`` as 20 (octal), ``1:30`` as 90 (in sixties) and ``no`` as false, without a word.
Here ``024`` is 24, and ``1:30``, ``no`` and ``2025-01-13`` are text.
"""

from __future__ import annotations

import functools
import math
import re
from typing import Any

import yaml

from .validation import found
from .yaml_limits import MAX_NUMBER, MERGE, NodeCounter, check_keys, limit_aliases, limit_merging, yaml_error

#: Kinds of YAML values that are computed from their characters.
_MEASURED = ("int", "float", "timestamp", "bool", "null")
#: Tag, pattern, and the characters that such a value can begin with: the core schema of YAML 1.2, and of 1.1 what has one
#: meaning: separated thousands (``1_000``), binary numbers, merge keys.
_RESOLVED = (
    ("tag:yaml.org,2002:bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("tag:yaml.org,2002:null", r"~|null|Null|NULL|", ("~", "n", "N", "")),
    (
        "tag:yaml.org,2002:int",
        r"[-+]?(?:[0-9]+|[0-9]{1,3}(?:_[0-9]{3})+|0o[0-7]+|0x[0-9a-fA-F]+|0b[01]+)",
        "-+0123456789",
    ),
    (
        "tag:yaml.org,2002:float",
        r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
        "-+.0123456789",
    ),
    (MERGE, r"<<", "<"),
)


class _Resolver(yaml.resolver.BaseResolver):
    """What plain words and numbers are."""


for _tag, _pattern, _first in _RESOLVED:
    _Resolver.add_implicit_resolver(_tag, re.compile(rf"(?:{_pattern})\Z"), list(_first))


class _PlainData(yaml.composer.Composer, yaml.constructor.SafeConstructor, _Resolver):
    """Composes and constructs plain data: no tags that build objects, no repeated keys, within the limits of yaml_limits.py.

    Whoever mixes it in provides the events.
    """

    peek_event: Any

    def _begin(self) -> None:
        yaml.composer.Composer.__init__(self)
        yaml.constructor.SafeConstructor.__init__(self)
        _Resolver.__init__(self)
        self._counter = NodeCounter()

    def compose_node(self, parent: Any, index: Any) -> yaml.Node | None:
        self._counter.count(self.peek_event().start_mark)
        return super().compose_node(parent, index)

    def compose_scalar_node(self, anchor: Any) -> yaml.ScalarNode:
        event = self.peek_event()
        # Nothing after a lone `!`: libyaml calls it empty text, PyYAML's own parser nothing, as without the mark.
        if event.tag == "!" and not event.value and not any(event.implicit):
            event.implicit = (True, False)
        return super().compose_scalar_node(anchor)

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        check_keys(node)
        return node

    def get_single_node(self) -> yaml.Node | None:
        # Counted on the composed nodes, before any of them is merged: how often a mapping is copied while it is merged
        # differs from one release of PyYAML to the next.
        node: yaml.Node | None = super().get_single_node()
        if node is not None:
            limit_merging(node)
            limit_aliases(node)
        return node

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        kind = node.tag.rpartition(":")[2]
        try:
            if kind in _MEASURED and len(node.value) > MAX_NUMBER:
                raise ValueError
            return super().construct_object(node, deep)
        except (ValueError, LookupError, AttributeError, ArithmeticError):  # `!!bool perhaps`, `!!int ""`
            raise yaml_error(
                f"a value that cannot be read as {kind} (text needs quotes), {found(node.value)}", node
            ) from None

    def construct_yaml_int(self, node: Any) -> int:
        digits = self.construct_scalar(node).replace("_", "")
        has_base = re.match(r"[-+]?0[oxb]", digits)
        return int(digits, 0 if has_base else 10)

    def construct_yaml_float(self, node: Any) -> Any:
        written = str(self.construct_scalar(node))
        digits = written.replace("_", "").lower()
        number = float(digits.replace(".inf", "inf").replace(".nan", "nan"))
        # Digits that are beyond every number are a name, such as that of a commit: `695e0514`.
        return written if math.isinf(number) and "inf" not in digits else number


for _name, _construct in {"int": _PlainData.construct_yaml_int, "float": _PlainData.construct_yaml_float}.items():
    _PlainData.add_constructor(f"tag:yaml.org,2002:{_name}", _construct)  # type: ignore[type-var]


class _PythonLoader(_PlainData, yaml.reader.Reader, yaml.scanner.Scanner, yaml.parser.Parser):
    def __init__(self, text: str) -> None:
        yaml.reader.Reader.__init__(self, text)
        yaml.scanner.Scanner.__init__(self)
        yaml.parser.Parser.__init__(self)
        self._begin()


def load_yaml(text: str) -> Any:
    """The plain data of a YAML document.

    Raises:
        yaml.YAMLError: with a place.
        ValueError, TypeError: for what YAML cannot have.
        RecursionError: when it is nested too deeply.
    """
    if yaml.__with_libyaml__:
        try:
            return _load(_make_fast_loader()(text))
        except (yaml.YAMLError, ValueError, TypeError):
            pass  # in the words of the other parser, which are the same on every machine
    return _load(_PythonLoader(text))


def _load(loader: Any) -> Any:
    try:
        return loader.get_single_data()
    finally:
        loader.dispose()


@functools.cache
def _make_fast_loader() -> Any:
    """A loader with libyaml's parser, which takes a fifth of the time of PyYAML's own."""

    parser: Any = yaml.CSafeLoader.__mro__[1]  # CParser; its module is not there without libyaml

    class FastLoader(_PlainData, parser):
        def __init__(self, text: str) -> None:
            parser.__init__(self, text)
            self._begin()

    return FastLoader
