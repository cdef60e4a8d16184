"""Hashes of model files: of the ComfyUI on this machine from its folders, of any other from the pack that runs there."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from custom_nodes.videogen.media.file_hashes import FileHashes, Place, find_model_files, hash_model_files

from ..comfyui.client import ComfyClient
from ..comfyui.installation import INSTALL_FILE, Installation
from .model_catalog import format_size, same_folder

#: Folder below ``models`` ("" when unknown) and name → SHA-256; "" when there is no such file, None when it cannot be told.
FindHash = Callable[[str, str], str | None]
Say = Callable[[str], None]

#: Remembers the hashes of this machine's model files.
STORE = INSTALL_FILE.with_name("model_hashes.json")
#: In a run directory: the hashes that its keys were made of, for a server that cannot tell them.
MODELS_FILE = "models.json"
#: Seconds between two lines about a large file, and between two questions to a server.
_SAY_EVERY, _POLL = 5.0, 0.5
#: Seconds without progress after which a server's answer is no longer waited for.
_MAX_SILENCE = 120.0


class HashedModels:
    """The hashes of a run's model files, which its keys are made of.

    Args:
        find: asks this machine or a server.
        known: of earlier runs, for what `find` cannot tell.

    Attributes:
        found: all that were asked for, by folder and name.
    """

    def __init__(self, find: FindHash, known: Mapping[str, str]) -> None:
        self._find, self.found = find, dict(known)

    def asked_by(self, find: FindHash) -> HashedModels:
        """The same record, with other servers that are asked."""
        other = HashedModels(find, {})
        other.found = self.found
        return other

    def __call__(self, folder: str, name: str) -> str:
        """The hash of a model file, or "" when it cannot be told."""
        place = f"{folder}/{name}"
        sha256 = self._find(folder, name)
        if sha256 is None:
            return self.found.get(place, "")
        self.found[place] = sha256
        return sha256


def hash_on_this_machine(installation: Installation, say: Say, store: Path | None = STORE) -> FindHash:
    """Hashes of the model files of the ComfyUI that is set up here."""
    hashes, places = FileHashes(store), list(find_places(installation))

    def find(folder: str, name: str) -> str:
        tell = _Teller(name, say)
        try:
            return hash_model_files(hashes, find_model_files(places, folder, name), tell)
        except OSError:
            return ""  # the server will say what is wrong with it

    return find


def hash_on_server(client: ComfyClient, say: Say, sleep: Callable[[float], None] = time.sleep) -> FindHash:
    """Hashes of the model files of a server, as the pack there tells them."""

    def find(folder: str, name: str) -> str | None:
        tell = _Teller(f"{name} on {client.url}", say)
        moved, before = time.monotonic(), -1
        while (answer := client.model_hash(folder, name)) is not None:
            if "sha256" in answer:
                return str(answer["sha256"])
            hashed, size = _number(answer.get("hashed")), _number(answer.get("size"))
            if hashed != before:
                moved, before = time.monotonic(), hashed
            elif time.monotonic() - moved > _MAX_SILENCE:
                return None
            tell(hashed, size)
            sleep(_POLL)
        return None

    return find


def hash_on_any(finds: Sequence[FindHash], anywhere: str) -> FindHash:
    """Hashes of model files on the first of several servers; of one folder, on the first server that has a file.

    Args:
        anywhere: that folder.
    """

    def find(folder: str, name: str) -> str | None:
        answers = [finds[0](folder, name)]
        for other in finds[1:] if folder == anywhere else ():
            if answers[-1]:
                break
            answers.append(other(folder, name))
        return answers[-1] or answers[0]

    return find


def find_differences(found: Mapping[str, str], others: Mapping[str, FindHash]) -> list[str]:
    """Model files that are not the same on all servers, a sentence each: their frames would differ.

    Args:
        found: of the first server, see `HashedModels.found`.
        others: the other servers, by their names.
    """
    return [
        f"{name} is not the same file on {server} as on the first server; segments that are rendered there look different"
        for server, find in others.items()
        for (folder, _, name), sha256 in ((place.partition("/"), sha256) for place, sha256 in found.items())
        if sha256 and (other := find(folder, name)) and other != sha256
    ]


def find_places(installation: Installation) -> Iterator[Place]:
    """The folders that ComfyUI reads model files from: its own, and those of its ``extra_model_paths.yaml``."""
    arguments = list(installation.arguments)
    base = Path(_value_of(arguments, "--base-directory") or installation.comfyui)
    models = base / "models"
    yield from ((same_folder(path.name), path) for path in _folders_in(models))
    configs = [installation.comfyui / "extra_model_paths.yaml"]
    if config := _value_of(arguments, "--extra-model-paths-config"):
        configs.append(Path(config))
    for config_path in configs:
        yield from _read_extra_paths(config_path)


class _Teller:
    """Says how far the hashing of a large file is: once it takes a while, and then every few seconds."""

    def __init__(self, what: str, say: Say) -> None:
        self._what, self._say = what, say
        self._next = time.monotonic() + 1.0

    def __call__(self, done: int, size: int) -> None:
        if time.monotonic() >= self._next and size:
            self._next = time.monotonic() + _SAY_EVERY
            self._say(f"Hashing {self._what} ({format_size(size)}), once: {done / size:.0%}")


def _read_extra_paths(config: Path) -> Iterator[Place]:
    try:
        sections = yaml.safe_load(config.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError):
        return
    for section in sections.values() if isinstance(sections, dict) else ():
        if not isinstance(section, dict):
            continue
        base = Path(os.path.expandvars(os.path.expanduser(str(section.get("base_path") or ""))))
        for name, value in section.items():
            if name in ("base_path", "is_default", "custom_nodes"):
                continue
            for line in str(value or "").splitlines():
                if line.strip():
                    yield same_folder(str(name)), config.parent / base / line.strip()


def _folders_in(models: Path) -> list[Path]:
    try:
        return sorted(path for path in models.iterdir() if path.is_dir())
    except OSError:
        return []


def _value_of(arguments: list[str], option: str) -> str:
    """The value of ``--option VALUE`` or ``--option=VALUE``, or ""."""
    for place, argument in enumerate(arguments):
        if argument.startswith(f"{option}="):
            return argument.partition("=")[2]
        if argument == option and place + 1 < len(arguments):
            return arguments[place + 1]
    return ""


def _number(value: Any) -> int:
    return value if isinstance(value, int) else 0
