"""Which room may import which: the table of docs/architecture.md, held against the source."""

from __future__ import annotations

import ast
import functools
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from tests.modules_of_others import COMFYUI
from tests.rooms import FORBIDDEN, IN_COMFYUI, ROOMS, THIRD_PARTY

PROJECT = Path(__file__).resolve().parents[1]
PACK = PROJECT / "custom_nodes" / "videogen"


# ------------------------------------------------------------------ reading the source


def room_of(folder: Path) -> str:
    """The name of a folder's room."""
    if folder.is_relative_to(PACK):
        return "" if folder == PACK else folder.relative_to(PACK).as_posix()
    return folder.relative_to(PROJECT).as_posix()


def modules() -> dict[str, Path]:
    """Dotted name → file, of everything in the pack and the runner."""
    found = {}
    for path in [*sorted(PACK.rglob("*.py")), *sorted((PROJECT / "runner").rglob("*.py"))]:
        parts = path.relative_to(PROJECT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


MODULES = modules()
ALL_ROOMS = sorted({room_of(path.parent) for path in MODULES.values()})


def imports_of(tree: ast.AST, package: tuple[str, ...]) -> Iterator[tuple[int, str, bool]]:
    """(line, dotted name, relative?) of every import, also of those inside functions and for types only.

    A relative one is resolved from its `package`, such as ``("custom_nodes", "videogen", "core")``. A name that is imported
    from a package is a module where there is one of that name.
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name, False) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            source = ".".join((*base, *(node.module.split(".") if node.module else ())))
            inner = [f"{source}.{alias.name}" for alias in node.names]
            names = {name if name in MODULES else source for name in inner} if node.module else set(inner)
            yield from ((node.lineno, name, bool(node.level)) for name in sorted(names))


@functools.cache
def imports_in(path: Path) -> list[tuple[int, str, bool]]:
    """The imports of one of our files."""
    return list(imports_of(ast.parse(path.read_text(encoding="utf-8")), package_of(path)))


def package_of(path: Path) -> tuple[str, ...]:
    return path.relative_to(PROJECT).parent.parts


def room_of_module(name: str) -> str | None:
    """The room of one of our modules; None for a module of others."""
    parts = name.split(".")
    while parts:
        path = MODULES.get(".".join(parts))
        if path is not None:
            return room_of(path.parent)
        parts.pop()
    if name.startswith(("runner.", "custom_nodes.videogen.")):  # a room that does not exist
        return name.removeprefix("custom_nodes.videogen.").rpartition(".")[0].replace(".", "/") or name
    return None


def allows(room: str, target: str) -> bool:
    allowed = ROOMS.get(room, set())
    parents = [target.rsplit("/", count)[0] for count in range(target.count("/") + 1)]
    return target == room or target in allowed or any(f"{parent}/*" in allowed for parent in parents)


def wrong_imports(imports: Iterable[tuple[int, str, bool]], room: str) -> list[str]:
    """The imports of a module that its room must not have, each with its line."""
    wrong = []
    floor = room.split("/")[0]
    for line, name, relative in imports:
        top = name.split(".")[0]
        target = room_of_module(name)
        if target is not None:
            in_pack = floor != "runner"
            bad = room not in IN_COMFYUI and (not allows(room, target) or (in_pack and not relative))
        else:
            known = THIRD_PARTY.get(floor)
            foreign = top not in sys.stdlib_module_names
            forbidden = FORBIDDEN.get(floor, set()) if room not in IN_COMFYUI else set()
            bad = top in forbidden or top == "tests" or (foreign and known is not None and top not in known)
        if bad:
            wrong.append(f"line {line} imports {name}")
    return wrong


# ------------------------------------------------------------------ arrows


@pytest.mark.parametrize("room", ALL_ROOMS)
def test_a_room_imports_only_what_the_table_allows(room: str) -> None:
    assert room in ROOMS or room in IN_COMFYUI, "it has no row in the table"
    wrong = {
        str(path.relative_to(PROJECT)): found
        for path in MODULES.values()
        if room_of(path.parent) == room and (found := wrong_imports(imports_in(path), room))
    }
    assert wrong == {}


def test_the_table_has_no_room_that_does_not_exist_and_no_arrow_that_no_one_takes() -> None:
    assert set(ROOMS) - set(ALL_ROOMS) == set()
    taken: dict[str, set[str]] = {room: set() for room in ROOMS}
    for path in MODULES.values():
        room = room_of(path.parent)
        for _, name, _ in imports_in(path):
            target = room_of_module(name)
            if room in taken and target is not None:
                taken[room].add(target)
    unused = {
        room: sorted(
            allowed
            for allowed in targets
            if not any(
                target == allowed or f"{target}/".startswith(allowed.removesuffix("*")) for target in taken[room]
            )
        )
        for room, targets in ROOMS.items()
    }
    assert {room: targets for room, targets in unused.items() if targets} == {}


def test_the_table_in_the_architecture_is_this_one() -> None:
    text = (PROJECT / "docs" / "architecture.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([^`]*)` \| [^|]+ \| ([^|]*) \|$", text, re.MULTILINE)
    written = {name: set(re.findall(r"`([^`]+)`", allowed)) for name, allowed in rows}
    expected = {room or "extension.py": allowed for room, allowed in ROOMS.items()}
    assert written == expected | {room: {"everything"} for room in IN_COMFYUI}


def test_no_two_files_import_each_other() -> None:
    arrows = {
        module: {name for _, name, _ in imports_in(path) if name in MODULES and name != module}
        for module, path in MODULES.items()
    }
    # A package's own names come from its modules: those import their package only to reach its other modules.
    assert find_circles(arrows) == []


def find_circles(arrows: dict[str, set[str]]) -> list[list[str]]:
    """Groups of modules that reach each other (Tarjan's strongly connected components), largest first."""
    index: dict[str, int] = {}
    lowest: dict[str, int] = {}
    stack: list[str] = []
    circles: list[list[str]] = []

    def visit(module: str) -> None:
        index[module] = lowest[module] = len(index)
        stack.append(module)
        for target in sorted(arrows.get(module, ())):
            if target not in index:
                visit(target)
                lowest[module] = min(lowest[module], lowest[target])
            elif target in stack:
                lowest[module] = min(lowest[module], index[target])
        if lowest[module] == index[module]:
            circle = stack[stack.index(module) :]
            del stack[stack.index(module) :]
            if len(circle) > 1:
                circles.append(sorted(circle))

    for module in sorted(arrows):
        if module not in index:
            visit(module)
    return sorted(circles, key=len, reverse=True)


def test_circles_are_found() -> None:
    assert find_circles({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}) == [["a", "b", "c"]]
    assert find_circles({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == []


@pytest.mark.parametrize(
    ("room", "source"),
    [
        ("core", "from ..media.probe import probe_video"),
        ("core", "import numpy"),
        ("core", "def late():\n    from pathlib import Path"),
        ("core", "from .story.model import Story"),
        ("core/story", "from ..segment.plan import plan_segment"),
        ("media", "import torch"),
        ("media", "from ..tensor import frame_noise"),
        ("media", "from custom_nodes.videogen.core.timing import Fraction"),
        ("tensor", "import comfy.model_management"),
        ("nodes/story", "from runner.comfyui.client import ComfyClient"),
        ("runner/state", "from ..rendering.worker import Worker"),
        ("runner/workflows", "from custom_nodes.videogen.nodes.story.story import NODES"),
        ("runner", "import torch.nn"),
        ("runner/bench", "from .programs import thermal"),
        ("runner/bench/models", "from tests.support import stories"),
        ("metrics", "import torch"),
        ("metrics", "from ..media import probe"),
        ("hardware", "import torch"),
        ("hardware", "from ..nodes.story import story"),
        ("hardware", "import numpy"),
        ("comfyui", "from ..nodes.characters import characters"),
    ],
)
def test_an_arrow_that_runs_the_other_way_is_found(room: str, source: str) -> None:
    package = tuple(room.split("/")) if room.startswith("runner") else ("custom_nodes", "videogen", *room.split("/"))
    assert len(wrong_imports(imports_of(ast.parse(source), package), room)) == 1


# ------------------------------------------------------------------ what follows from it


def test_core_opens_no_file() -> None:
    for path in sorted((PACK / "core").rglob("*.py")):
        calls = [node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)]
        opened = [call.lineno for call in calls if isinstance(call.func, ast.Name) and call.func.id == "open"]
        assert not opened, f"{path.name} opens a file in line {opened}"


def test_the_pack_imports_itself_relatively_only() -> None:
    """ComfyUI names the module after its path: ``import custom_nodes.videogen`` or ``import core`` finds nothing there."""
    own_names = {path.stem for path in PACK.iterdir()} | {"custom_nodes", "runner"}
    for path in sorted(PACK.rglob("*.py")):
        for line, name, relative in imports_in(path):
            # `nodes` and `server` are ComfyUI's own modules, which a node may well need.
            own = name.split(".")[0] in own_names - COMFYUI
            assert relative or not own, f"{path.relative_to(PROJECT)}, line {line}: {name}"


def test_the_pack_is_loaded_without_importing_anything() -> None:
    """The runner imports `custom_nodes.videogen.core`, and with it this file, where there is no ComfyUI."""
    tree = ast.parse((PACK / "__init__.py").read_text(encoding="utf-8"))
    assert [node for node in tree.body if isinstance(node, (ast.Import, ast.ImportFrom))] == []


def test_the_command_line_starts_without_torch_and_without_the_converter() -> None:
    script = "import sys, runner.cli; print(sorted({'torch', 'comfy', 'comfy_cli'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], cwd=PROJECT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
