"""The tested versions: the files that hold them, how install.py uses them, and the command that writes them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

import install
from runner.setup.constraints import freeze
from runner.setup.errors import SetupError
from runner.setup.requirements import canonical, constraints_path, read_dependencies
from runner.setup.versions import RELEASE_OF, TORCH
from tests.setup.test_install import PROJECT, make_checkout, record, run

FILES = sorted((PROJECT / "runner" / "setup" / "constraints").glob("*.txt"))


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = make_checkout(tmp_path, monkeypatch)
    write_pins(root, "requests==2.34.2\n")
    return root


def pins_path(root: Path, python: str = "3.11") -> Path:
    """The file for the ComfyUI that comes where GitHub cannot be reached."""
    return constraints_path(root, python, "0.3.75")


def write_pins(root: Path, text: str, python: str = "3.11") -> Path:
    path = pins_path(root, python)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


# ------------------------------------------------------------------ the files


@pytest.mark.parametrize("version", RELEASE_OF)
def test_there_is_a_file_for_the_python_of_ci(version: str) -> None:
    assert constraints_path(PROJECT, "3.11", version) in FILES


def split_name(path: Path) -> tuple[str, str]:
    """The versions of ComfyUI and Python that a file is for."""
    found = re.fullmatch(r"comfyui-(\d+\.\d+\.\d+)-python-(3\.\d+)\.txt", path.name)
    assert found, path.name
    assert found[1] in RELEASE_OF, path.name
    return found[1], found[2]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_file_has_one_version_a_line_sorted_and_nothing_of_torch(path: Path) -> None:
    version, python = split_name(path)
    assert path == constraints_path(PROJECT, python, version)
    lines = path.read_text(encoding="utf-8").splitlines()
    assert all(re.fullmatch(r"[a-z0-9-]+==[0-9][a-z0-9.]*", line) for line in lines)
    names = [line.partition("==")[0] for line in lines]
    assert names == sorted(set(names))
    assert not set(names) & {*TORCH, "triton", "videogen", "pip", "setuptools"}
    assert [name for name in names if name.startswith(("nvidia", "cuda"))] == ["nvidia-ml-py"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_everything_that_is_asked_for_has_a_version_in_its_range(path: Path) -> None:
    pins = dict(line.split("==") for line in path.read_text(encoding="utf-8").splitlines())
    pyproject = (PROJECT / "pyproject.toml").read_text(encoding="utf-8")
    version, python = split_name(path)
    release = RELEASE_OF[version]
    pack = (PROJECT / "custom_nodes/videogen/requirements.txt").read_text(encoding="utf-8")
    wanted = [
        *release.needs,
        *release.limits,
        *read_dependencies(pyproject, "dependencies"),
        *read_dependencies(pyproject, "test"),
        *read_dependencies(pyproject, "diffusers"),
    ]
    wanted += [line for line in pack.splitlines() if line and not line.startswith("#")]
    for requirement in map(Requirement, wanted):
        if requirement.marker is None or requirement.marker.evaluate({"python_version": python}):
            pinned = pins[canonical(requirement.name)]
            assert requirement.specifier.contains(Version(pinned)), f"{requirement}: {pinned}"


# ------------------------------------------------------------------ install.py


def pip_lines(commands: list[str]) -> dict[str, str]:
    """The installing commands by what they install."""
    lines = [line for line in commands if "-m pip" in line and " install " in line]
    return {line.partition(" install ")[2].split()[-1]: line for line in lines}


def test_the_runners_and_comfyuis_packages_get_the_tested_versions_and_torch_does_not(root: Path) -> None:
    status, setup = run(root)
    assert status == 0
    lines = pip_lines(setup.commands)
    pins = f"-c {pins_path(root)}"
    assert pins in lines["."]
    assert pins in lines[".videogen/requirements.txt"]
    assert pins not in lines["torchaudio==2.11.0"], "its own index may have another version of what it needs"
    assert all("-c .videogen/constraints.txt" in line for line in lines.values()), "the ranges stay"
    assert "newest" not in setup.printed
    assert not [line for line in lines.values() if "--upgrade" in line]


def test_the_tests_packages_too(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(install, "hand_over", lambda _: 0)
    _, setup = run(root, "--test")
    assert f"-c {pins_path(root)}" in pip_lines(setup.commands)[".[test]"]


def test_newest_ignores_them_until_pinned(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(root)
    _, setup = run(root, "--newest")
    lines = pip_lines(setup.commands)
    assert set(lines) == {".", ".videogen/requirements.txt"}, "both again, and torch not"
    assert all("--upgrade" in line and str(pins_path(root)) not in line for line in lines.values())
    assert setup.printed.count("newest versions") == 1
    assert record(root)["packages"] == "newest"
    capsys.readouterr()
    assert run(root)[1].commands == []
    assert "Using the newest packages, as last time (--pinned: the tested versions)." in capsys.readouterr().err
    _, setup = run(root, "--pinned")
    lines = pip_lines(setup.commands)
    assert set(lines) == {".", ".videogen/requirements.txt"}
    assert all(str(pins_path(root)) in line and "--upgrade" not in line for line in lines.values())
    assert run(root)[1].commands == []
    assert capsys.readouterr().err == ""


def test_newest_and_pinned_exclude_each_other() -> None:
    with pytest.raises(SystemExit) as caught:
        install.parse(["--newest", "--pinned"])
    assert caught.value.code == 2


def test_new_versions_are_installed(root: Path) -> None:
    run(root)
    write_pins(root, "requests==2.35.0\n")
    assert set(pip_lines(run(root)[1].commands)) == {".", ".videogen/requirements.txt"}


def test_a_python_that_nothing_was_tested_with_gets_the_newest_and_is_told_so_once(root: Path) -> None:
    pins_path(root).rename(pins_path(root, "3.10"))
    status, setup = run(root)
    assert status == 0
    assert "-python-3" not in " ".join(setup.commands)
    assert (
        setup.printed.count("newest versions in range, because none were tested with Python 3.11 and ComfyUI 0.3.75")
        == 1
    )
    assert run(root)[1].commands == []


def test_a_version_that_is_gone_leads_to_newest(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    gone = "ERROR: Could not find a version that satisfies the requirement requests==2.34.2"
    assert run(root, **{"-e .": gone})[0] == 1
    said = capsys.readouterr().err
    assert gone in said
    assert (
        "comfyui-0.3.75-python-3.11.txt is no longer available: --newest installs the newest versions in range." in said
    )


def test_without_a_network_the_hint_is_the_network(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(root, **{"-e .": "WARNING: Retrying after NewConnectionError\nERROR: No matching distribution for requests"})
    said = capsys.readouterr().err
    assert "HTTPS_PROXY" in said
    assert "--newest" not in said


# ------------------------------------------------------------------ the command


INSTALLED = {
    "requests": "2.34.2",
    "pyyaml": "6.0.4",
    "pytest": "9.2.0",
    "aiohttp": "3.14.5",
    "diffusers": "0.39.0",
    "peft": "0.21.2",
    "nvidia-ml-py": "13.615.71",
    **dict.fromkeys(("torch", "torchvision", "torchaudio"), "2.11.0+cpu"),
    **dict.fromkeys(("pip", "setuptools", "videogen", "triton", "cuda-toolkit", "nvidia-cublas"), "1.0"),
}


@pytest.fixture
def checkout(root: Path) -> Path:
    (root / ".videogen" / "comfyui").mkdir(parents=True)
    (root / ".videogen" / "comfyui" / "requirements.txt").write_text("torch\naiohttp>=3.11.8\n", encoding="utf-8")
    (root / ".videogen" / "comfyui" / "comfyui_version.py").write_text('__version__ = "0.3.75"', encoding="utf-8")
    return root


def test_the_command_writes_what_is_installed_but_torch(checkout: Path) -> None:
    path = freeze.freeze(checkout, INSTALLED, "3.12")
    assert path == pins_path(checkout, "3.12")
    assert path.read_text(encoding="utf-8").split() == [
        "aiohttp==3.14.5",
        "diffusers==0.39.0",
        "nvidia-ml-py==13.615.71",
        "peft==0.21.2",
        "pytest==9.2.0",
        "pyyaml==6.0.4",
        "requests==2.34.2",
    ]


@pytest.mark.parametrize("name", ["requests", "pytest", "aiohttp"])
def test_an_environment_that_is_not_complete_is_not_written_down(checkout: Path, name: str) -> None:
    installed = {key: version for key, version in INSTALLED.items() if key != name}
    with pytest.raises(SetupError, match=f"has no {name}") as caught:
        freeze.freeze(checkout, installed, "3.12")
    assert "--newest --test" in caught.value.hint
    assert not pins_path(checkout, "3.12").exists()


def test_without_a_comfyui_nothing_is_written_down(root: Path) -> None:
    with pytest.raises(SetupError, match="no ComfyUI"):
        freeze.freeze(root, INSTALLED, "3.12")
