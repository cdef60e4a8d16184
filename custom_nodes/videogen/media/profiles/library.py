"""The profiles that ship, and those that a user adds."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from pathlib import Path

from ...core.errors import VideoGenError
from ...core.model_profiles.model import Profile
from ...core.model_profiles.parser import parse_profiles
from ..story_folder import decode, read_plain_file

#: The folder next to a workflow in which a user's profiles are looked for.
FOLDER_NAME = "profiles"
SHIPPED = Path(__file__).resolve().parents[2] / "profiles"
_SUFFIXES = (".yaml", ".yml")
_MAX_BYTES = 1_000_000
#: More files in one folder are no profiles.
_MAX_FILES = 200


@functools.cache
def shipped_profiles() -> tuple[Profile, ...]:
    """The profiles of the pack, in the order of their files' names."""
    return tuple(read_folder(SHIPPED))


def load_profiles(folders: Iterable[Path] = ()) -> tuple[Profile, ...]:
    """The profiles of some folders, the first folder's first, and then those that ship.

    One of the same name as a later one replaces it. A folder that does not exist has none.

    Raises:
        VideoGenError: `profile-unreadable`, `profile-invalid`.
    """
    found: dict[str, Profile] = {}
    for folder in folders:
        for profile in read_folder(folder):
            found.setdefault(profile.name, profile)
    for profile in shipped_profiles():
        found.setdefault(profile.name, profile)
    return tuple(found.values())


def profile_folders(workflow: Path) -> Sequence[Path]:
    """The folders of a user's profiles: ``profiles`` next to the workflow's file."""
    return [workflow.absolute().parent / FOLDER_NAME]


def read_folder(folder: Path) -> list[Profile]:
    """The profiles of all ``*.yaml`` files of a folder, in the order of the names; none where it does not exist.

    Raises:
        VideoGenError: `profile-unreadable`, `profile-invalid`.
    """
    return [profile for path in _files_of(folder) for profile in read_file(path)]


def read_folder_texts(folder: Path) -> list[str]:
    """The texts of the files whose profiles `read_folder` reads.

    Raises:
        VideoGenError: `profile-unreadable`.
    """
    return [_read_text(path) for path in _files_of(folder)]


def read_file(path: Path) -> tuple[Profile, ...]:
    """The profiles of one file.

    Raises:
        VideoGenError: `profile-unreadable`, `profile-invalid`.
    """
    return parse_profiles(_read_text(path), path.name)


def _files_of(folder: Path) -> list[Path]:
    try:
        names = sorted(path for path in folder.iterdir() if path.suffix.lower() in _SUFFIXES)
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise VideoGenError("profile-unreadable", f"{folder} cannot be read: {error.strerror or error}") from None
    if len(names) > _MAX_FILES:
        raise VideoGenError(
            "profile-unreadable", f"{folder} has {len(names):,} YAML files, at most {_MAX_FILES} are read as profiles"
        )
    return names


def _read_text(path: Path) -> str:
    try:
        return decode(read_plain_file(path.resolve(), _MAX_BYTES))
    except OSError as error:
        raise VideoGenError("profile-unreadable", f"{path} cannot be read: {error.strerror or error}") from None
    except ValueError as error:
        raise VideoGenError("profile-unreadable", f"{path} {error}") from None
