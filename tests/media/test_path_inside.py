"""Names inside a folder: none leaves it, and the links that its owner has made are followed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.media.images.image_files import find_file
from custom_nodes.videogen.media.path_inside import name_inside, path_inside, walk_files

LEAVING = [
    "..",
    "../x",
    "a/../../x",
    "..\\x",
    "/etc/passwd",
    "\\\\host\\share",
    "C:x",
    "c:\\x",
    "./C:x",
    "a/../C:",
    "a\0b",
    "//host/share",
]


@pytest.mark.parametrize("name", LEAVING)
def test_a_name_that_leaves_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(VideoGenError, match=r"expected a name inside") as caught:
        path_inside(tmp_path, name, "`folder`")
    assert caught.value.code == "path-invalid"
    with pytest.raises(VideoGenError):
        find_file(tmp_path, name, links_may_leave=True)


@pytest.mark.parametrize(
    ("name", "inside"),
    [("a/b.png", "a/b.png"), ("a\\b.png", "a/b.png"), ("", ""), (".", ""), ("a/../b", "b"), ("..a", "..a")],
)
def test_other_names_stay(tmp_path: Path, name: str, inside: str) -> None:
    path = path_inside(tmp_path, name)
    assert name_inside(tmp_path, path) == inside
    assert path == tmp_path / inside


@given(st.text("./\\ab:C", max_size=12))
def test_whatever_the_name_the_path_is_inside(name: str) -> None:
    folder = Path("/base/folder")
    try:
        path = path_inside(folder, name)
    except VideoGenError:
        return
    # The same check that ComfyUI's /view makes before it serves a file.
    assert os.path.commonpath([os.path.abspath(path), folder]) == str(folder)
    assert path_inside(folder, name_inside(folder, path)) == path


@pytest.fixture
def linked(tmp_path: Path) -> Path:
    """A folder whose `videogen` is on another disk."""
    disk = tmp_path / "disk"
    disk.mkdir()
    (disk / "man.png").write_bytes(b"picture")
    folder = tmp_path / "input"
    folder.mkdir()
    (folder / "videogen").symlink_to(disk, target_is_directory=True)
    return folder


def test_a_link_of_the_owner_is_followed_and_keeps_its_name(linked: Path) -> None:
    path = find_file(linked, "videogen/man.png", links_may_leave=True)
    assert path is not None
    assert path.read_bytes() == b"picture"
    assert name_inside(linked, path) == "videogen/man.png"


def test_a_link_in_a_folder_of_somebody_else_is_not(linked: Path) -> None:
    with pytest.raises(VideoGenError, match="is outside"):
        find_file(linked, "videogen/man.png")


def test_files_in_linked_folders_are_listed_once(linked: Path) -> None:
    (linked / "videogen" / "again").symlink_to(linked, target_is_directory=True)
    assert sorted(name_inside(linked, path) for path in walk_files(linked)) == ["videogen/man.png"]
