"""The registry of error codes, held against the codes that are raised."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from custom_nodes.videogen.core.errors import ERROR_CODES, FORMER_CODES

PROJECT = Path(__file__).resolve().parents[2]
PACK = PROJECT / "custom_nodes" / "videogen"


def codes_of_types() -> dict[str, str]:
    """Error classes with a code of their own → that code."""
    module = ast.parse((PACK / "core" / "errors.py").read_text(encoding="utf-8"))
    return {
        kind.name: call.args[0].value
        for kind in module.body
        if isinstance(kind, ast.ClassDef)
        for call in ast.walk(kind)
        if isinstance(call, ast.Call) and getattr(call.func, "attr", "") == "__init__" and call.args
        if isinstance(call.args[0], ast.Constant) and isinstance(call.args[0].value, str)
    }


def codes_passed_on(node: ast.AST) -> list[str]:
    """The codes in a call's argument `code`, and in the default of a parameter of that name."""
    values: list[ast.expr | None] = []
    if isinstance(node, ast.Call):
        values = [keyword.value for keyword in node.keywords if keyword.arg == "code"]
    elif isinstance(node, ast.FunctionDef):
        pairs = zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True)
        values = [default for argument, default in pairs if argument.arg == "code"]
    return [value.value for value in values if isinstance(value, ast.Constant) and isinstance(value.value, str)]


def raised_codes() -> dict[str, str]:
    """Every code that is given to VideoGenError or ProblemList, or that a raised class has, and one place where."""
    codes: dict[str, str] = {}
    by_type = codes_of_types()
    for path in [*PACK.rglob("*.py"), *(PROJECT / "runner").rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            name = getattr(node.func, "id", getattr(node.func, "attr", "")) if isinstance(node, ast.Call) else ""
            if name in by_type:
                codes[by_type[name]] = f"{path.relative_to(PROJECT)}:{node.lineno}"
            where = f"{path.relative_to(PROJECT)}:{getattr(node, 'lineno', 0)}"
            codes.update(dict.fromkeys(codes_passed_on(node), where))
            if name not in ("VideoGenError", "ProblemList"):
                continue
            if getattr(node.args[0], "attr", getattr(node.args[0], "id", "")) == "code":
                continue  # the code of another error, which was raised elsewhere, or one that is passed on
            words = [part.value for part in ast.walk(node.args[0]) if isinstance(part, ast.Constant)]
            assert words, f"{where} raises a code that is not written out there"
            codes.update(dict.fromkeys(words, where))
    return codes


def test_every_code_that_is_raised_is_registered() -> None:
    assert {code: where for code, where in raised_codes().items() if code not in ERROR_CODES} == {}


def test_every_registered_code_is_raised_somewhere() -> None:
    assert set(ERROR_CODES) - set(raised_codes()) == set()


def test_every_code_has_a_meaning_and_an_exit_status() -> None:
    for code, entry in ERROR_CODES.items():
        assert re.fullmatch(r"[a-z]+(-[a-z]+)+", code)
        assert entry.meaning
        assert entry.exit_status in (1, 2, 3, 4)


def test_a_former_code_is_not_in_use_and_leads_to_one_that_is() -> None:
    for former, code in FORMER_CODES.items():
        assert former not in ERROR_CODES
        assert code in ERROR_CODES
