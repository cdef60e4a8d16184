"""Which part may import which: the arrows of the design, read off the source."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from custom_nodes.videogen.core.errors import ERROR_CODES

PROJECT = Path(__file__).resolve().parents[1]
PACK = PROJECT / "custom_nodes" / "videogen"
LAYERS = ("core", "media", "metrics", "tensor", "comfyui", "nodes", "hardware")

#: What each layer may import of the project.
MAY_IMPORT = {
    "core": {"core"},
    "media": {"core", "media"},
    "metrics": {"core", "metrics"},
    "tensor": {"core", "tensor"},
    "hardware": {"core", "hardware"},
    "comfyui": {"core", "media", "metrics", "tensor", "comfyui", "hardware"},
    "nodes": {"core", "media", "metrics", "tensor", "comfyui", "nodes", "hardware"},
    "runner": {"core", "media", "metrics", "runner", "hardware"},
}
COMFYUI = {
    "comfy",
    "comfy_api",
    "comfy_api_nodes",
    "comfy_execution",
    "comfy_extras",
    "folder_paths",
    "nodes",
    "server",
    "execution",
    "latent_preview",
    "node_helpers",
}
TORCH = {"torch", "torchvision", "torchaudio", "transformers", "diffusers"}
#: Modules of the standard library that reach files, processes or the network.
OUTSIDE_WORLD = {
    "asyncio",
    "builtins",
    "fileinput",
    "glob",
    "http",
    "io",
    "mmap",
    "multiprocessing",
    "os",
    "pathlib",
    "select",
    "shelve",
    "shutil",
    "signal",
    "socket",
    "sqlite3",
    "ssl",
    "subprocess",
    "tempfile",
    "urllib",
    "zipfile",
}
#: What else a layer may not touch, and what it may have beside the standard library (None: anything else).
FORBIDDEN = {
    "core": OUTSIDE_WORLD,
    "media": COMFYUI | TORCH,
    "metrics": COMFYUI | TORCH,
    "tensor": COMFYUI | OUTSIDE_WORLD,
    "hardware": COMFYUI | TORCH,
    "comfyui": set(),
    "nodes": set(),
    "runner": COMFYUI | TORCH,
}
THIRD_PARTY = {
    "core": {"yaml"},
    "media": None,
    "metrics": {"numpy", "cv2", "skimage"},
    "tensor": {"torch"},
    "comfyui": None,
    "nodes": None,
    "runner": None,
    "hardware": {"psutil"},
}


def imports_of(tree: ast.AST, package: tuple[str, ...]) -> Iterator[tuple[int, str, bool]]:
    """(line, dotted name, relative?) of every import, also of those inside functions.

    A relative one is resolved from its `package`, such as ``("custom_nodes", "videogen", "core")``.
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name, False) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield node.lineno, node.module or "", False
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1]
            names = [node.module] if node.module else [alias.name for alias in node.names]
            yield from ((node.lineno, ".".join((*base, name)), True) for name in names)


def wrong_imports(source: str, layer: str, package: tuple[str, ...]) -> list[str]:
    """The imports of a module that its layer must not have, each with its line."""
    wrong = []
    for line, name, relative in imports_of(ast.parse(source), package):
        parts = name.split(".")
        own = parts[0] == "runner" or parts[:2] == ["custom_nodes", "videogen"]
        target = parts[0] if parts[0] == "runner" else parts[2] if own and len(parts) > 2 else ""
        third_party = parts[0] not in sys.stdlib_module_names
        allowed = THIRD_PARTY[layer]
        if own:
            bad = target not in MAY_IMPORT[layer] or (layer != "runner" and not relative)
        else:
            bad = parts[0] in FORBIDDEN[layer] or (third_party and allowed is not None and parts[0] not in allowed)
        if bad:
            wrong.append(f"line {line} imports {name}")
    return wrong


def modules_of(layer: str) -> list[Path]:
    folder = PROJECT / "runner" if layer == "runner" else PACK / layer
    return sorted(folder.rglob("*.py"))


def package_of(path: Path) -> tuple[str, ...]:
    return path.relative_to(PROJECT).parent.parts


@pytest.mark.parametrize("layer", [*LAYERS, "runner"])
def test_a_layer_imports_only_what_lies_below_it(layer: str) -> None:
    wrong = {
        str(path.relative_to(PROJECT)): found
        for path in modules_of(layer)
        if (found := wrong_imports(path.read_text(encoding="utf-8"), layer, package_of(path)))
    }
    assert wrong == {}


@pytest.mark.parametrize(
    ("layer", "source"),
    [
        ("core", "from ..media.probe import probe_video"),
        ("core", "import numpy"),
        ("core", "def late():\n    from pathlib import Path"),
        ("media", "import torch"),
        ("media", "from ..tensor import noise"),
        ("media", "from custom_nodes.videogen.core import story"),
        ("tensor", "import comfy.model_management"),
        ("nodes", "from runner.comfyui.client import ComfyClient"),
        ("runner", "from custom_nodes.videogen.nodes.story.story import NODES"),
        ("runner", "import torch.nn"),
        ("metrics", "import torch"),
        ("metrics", "from ..media import probe"),
        ("hardware", "import torch"),
        ("hardware", "from ..nodes import telemetry"),
        ("hardware", "import numpy"),
    ],
)
def test_an_arrow_that_runs_the_other_way_is_found(layer: str, source: str) -> None:
    package = ("runner",) if layer == "runner" else ("custom_nodes", "videogen", layer)
    assert len(wrong_imports(source, layer, package)) == 1


def test_core_opens_no_file() -> None:
    for path in modules_of("core"):
        calls = [node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)]
        opened = [call.lineno for call in calls if isinstance(call.func, ast.Name) and call.func.id == "open"]
        assert not opened, f"{path.name} opens a file in line {opened}"


def test_the_pack_imports_itself_relatively_only() -> None:
    """ComfyUI names the module after its path: ``import custom_nodes.videogen`` or ``import core`` finds nothing there."""
    own_names = {path.stem for path in PACK.iterdir()} | {"custom_nodes", "runner"}
    for path in sorted(PACK.rglob("*.py")):
        for line, name, relative in imports_of(ast.parse(path.read_text(encoding="utf-8")), package_of(path)):
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


# ------------------------------------------------------------------ the registry of errors


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


def raised_codes() -> dict[str, str]:
    """Every code that is given to VideoGenError or ProblemList, or that a raised class has, and one place where."""
    codes: dict[str, str] = {}
    by_type = codes_of_types()
    for path in [*PACK.rglob("*.py"), *(PROJECT / "runner").rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            name = getattr(node.func, "id", getattr(node.func, "attr", "")) if isinstance(node, ast.Call) else ""
            if name in by_type:
                codes[by_type[name]] = f"{path.relative_to(PROJECT)}:{node.lineno}"
            if name not in ("VideoGenError", "ProblemList"):
                continue
            if isinstance(node.args[0], ast.Attribute) and node.args[0].attr == "code":
                continue  # the code of another error, which was raised elsewhere
            where = f"{path.relative_to(PROJECT)}:{node.lineno}"
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


# ------------------------------------------------------------------ what is committed


def test_no_file_names_a_path_of_one_machine() -> None:
    git = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        listing = subprocess.run(git, cwd=PROJECT, capture_output=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a git checkout")
    machine_path = re.compile(r"(?<![\w.:/-])/(?:work|root)/\w")
    named = []
    for name in filter(None, listing.decode().split("\0")):
        path = PROJECT / name
        data = path.read_bytes() if path.is_file() else b""
        if b"\0" not in data and machine_path.search(data.decode("utf-8", "replace")):
            named.append(name)
    assert named == []
