"""Names of others, judged as text on every system alike."""

from __future__ import annotations

import pytest

from custom_nodes.videogen.core.file_names import explain_bad_name, explain_bad_path
from custom_nodes.videogen.core.story.file_names import is_inside

ELSEWHERE = {
    r"\\host\share\x": "another machine",
    "//host/share/x": "another machine",
    r"\/host/share": "another machine",
    r"\\?\C:\x": "another machine or a device",
    r"\\.\PhysicalDrive0": "another machine or a device",
    r"\??\UNC\host\x": "another machine or a device",
    "/etc/passwd": "begins at the root",
    r"\windows": "begins at the root",
    "C:x": "a drive",
    "c:/x": "a drive",
    "CON": "a device on Windows",
    "nul": "a device on Windows",
    "aux.txt": "a device on Windows",
    "pictures/Com1.png": "a device on Windows",
    "LPT¹": "a device on Windows",
    "con .png": "a device on Windows",
    "NUL:stream": "a device on Windows",
    "CONIN$": "a device on Windows",
    "a/.. /x": "a dot or a blank",
    "a.../x": "a dot or a blank",
    "x.png ": "a dot or a blank",
    "a\0": "a control character",
    "a\x1b": "a control character",
}
FINE = [
    "anna.png",
    "people/anna 2.png",
    "Übung/東京.png",
    ".hidden",
    "console.png",
    "com10.png",
    "aux_1.png",
    "a..b.png",
]


@pytest.mark.parametrize(("path", "reason"), ELSEWHERE.items(), ids=[repr(path[:20]) for path in ELSEWHERE])
def test_a_path_that_means_something_else_somewhere_is_refused(path: str, reason: str) -> None:
    assert reason in explain_bad_path(path)
    assert explain_bad_name(path)
    assert not is_inside(path)


@pytest.mark.parametrize("path", [*FINE, "../up.png", "a/./b"])
def test_other_paths_are_fine(path: str) -> None:
    assert explain_bad_path(path) == ""


@pytest.mark.parametrize("name", [*FINE, *ELSEWHERE, "", ".", "..", "a/b", r"a\b", "a:b", None, 5])
def test_a_plain_name_is_one_part_of_a_path(name: object) -> None:
    assert (explain_bad_name(name) == "") == (name in FINE and "/" not in str(name))


def test_a_name_that_no_file_system_takes_is_refused() -> None:
    assert explain_bad_name("ü" * 128) == "it has more than 255 bytes"
    assert explain_bad_name("ü" * 127) == ""
