"""Expressions of math nodes: whether a number that goes into one is a time in seconds, of which it makes a number of frames."""

from __future__ import annotations

import ast
import contextlib
import math
import operator
from collections.abc import Callable, Mapping
from typing import Any

#: Of more than these parts no expression is evaluated.
_MAX_PARTS = 200
_MAX_LENGTH = 1000
_MAX_NUMBER = 1e9
_OPERATORS: Mapping[type, Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
}
_FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "min": min,
    "max": max,
    "round": round,
    "floor": math.floor,
    "ceil": math.ceil,
    "int": int,
    "float": float,
    "abs": abs,
}


def evaluate(expression: str, values: Mapping[str, float]) -> float | None:
    """The value of an arithmetic expression; None where it has other parts than numbers, names, + - * / // % and rounding.

    Powers are left out: a short one takes hours.

    Args:
        values: of the names in it.
    """
    if len(expression) > _MAX_LENGTH:
        return None
    with contextlib.suppress(
        SyntaxError, ValueError, TypeError, KeyError, ArithmeticError, RecursionError, MemoryError
    ):
        tree = ast.parse(expression.strip(), mode="eval")
        if sum(1 for _ in ast.walk(tree)) <= _MAX_PARTS:
            return _value(tree.body, values)
    return None


def _value(part: ast.expr, values: Mapping[str, float]) -> float:
    """Raises: ValueError and those of the operators."""
    if isinstance(part, ast.Constant) and isinstance(part.value, (int, float)):
        number: float = part.value
    elif isinstance(part, ast.Name):
        number = values[part.id]
    elif isinstance(part, ast.BinOp):
        number = _OPERATORS[type(part.op)](_value(part.left, values), _value(part.right, values))
    elif isinstance(part, ast.UnaryOp) and isinstance(part.op, ast.USub):
        number = -_value(part.operand, values)
    elif isinstance(part, ast.Call) and isinstance(part.func, ast.Name) and not part.keywords:
        number = _FUNCTIONS[part.func.id](*(_value(argument, values) for argument in part.args))
    else:
        raise ValueError(ast.dump(part))
    if not abs(number) <= _MAX_NUMBER:
        raise ValueError("too large")
    return number
