"""Arithmetic of math nodes, which strangers write."""

from __future__ import annotations

import pytest

from custom_nodes.videogen.core.roles.expressions import evaluate


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("a * b + 1", 121),
        ("min(a * 16 + 1, 81)", 81),
        ("max(5, round(a * 24)) + (5 - (max(5, round(a * 24)) % 17)) % 17", 124),
        ("floor(a / 2) * -2", -4),
        (" a // 2 ", 2),
    ],
)
def test_arithmetic(expression: str, value: float) -> None:
    assert evaluate(expression, {"a": 5, "b": 24}) == value


@pytest.mark.parametrize(
    "expression",
    [
        "9 ** 9 ** 9",
        "a / 0",
        "unknown + 1",
        "a if a else b",
        "__import__('os').system('true')",
        "().__class__",
        "1e308 * 10",
        "nan" * 10,
        "a +",
        "(" * 300 + "a" + ")" * 300,
        "+".join("a" * 2000),
        "1000000 * 1000000",
        "float('nan') + a",
        "min(a=1)",
    ],
)
def test_all_else_has_no_value(expression: str) -> None:
    assert evaluate(expression, {"a": 5, "b": 24}) is None
