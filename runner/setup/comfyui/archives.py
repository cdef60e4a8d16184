"""Archives that came over a network: what is unpacked is bounded, stays in its folder on every system, and is what was meant."""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
import zipfile
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import IO

from custom_nodes.videogen.core.file_names import explain_bad_name

#: Bytes of an archive, bytes and number of its files. ComfyUI's releases have up to 12 MB, 44 MB and 1,021.
MAX_ARCHIVE, MAX_UNPACKED, MAX_FILES = 50_000_000, 200_000_000, 5_000
_BLOCK = 1 << 18
#: Folders of a release that nothing needs at run time; those that begin with a dot are left out too.
_LEFT_OUT = frozenset({"tests", "tests-unit", "script_examples"})


def unpack_tar(archive: Path, target: Path) -> None:
    """Write what is below the one top folder of a .tar.gz: nothing but files, nothing outside of `target`.

    Raises:
        ValueError: it is too large, or has a name that leads elsewhere on some system; what was written is to be removed.
    """
    budget = _Budget()
    with gzip.open(archive) as packed, tarfile.open(fileobj=_Limited(packed), mode="r|") as tar:
        for member in tar:
            budget.take(member.name, member.size)
            source = tar.extractfile(member) if member.isfile() else None
            name = member.name.partition("/")[2]
            if source is not None and name:
                _write(source, name, target, budget)


def unpack_zip(archive: Path, inside: str, target: Path) -> None:
    """Write what is below a folder of a .zip; the same holds for it.

    Args:
        inside: the folder, with a slash at its end.
    """
    budget = _Budget()
    with zipfile.ZipFile(archive) as packed:
        for info in packed.infolist():
            budget.take(info.filename, info.file_size)
            if info.filename.startswith(inside) and not info.is_dir():
                with packed.open(info) as source:
                    _write(source, info.filename[len(inside) :], target, budget)


def digest_files(folder: Path, by_git: Collection[str] = ()) -> str:
    """SHA-256 of the names of all files in a folder and below, and of the SHA-256 of each one's content.

    Args:
        by_git: names of files for which git's hash of their content (SHA-1) takes that place.
    """
    hasher = hashlib.sha256()
    for name, path in sorted((path.relative_to(folder).as_posix(), path) for path in _files(folder)):
        content = path.read_bytes()
        digest = _hash_as_git(content) if name in by_git else hashlib.sha256(content).hexdigest()
        hasher.update(f"{name}\0{digest}\n".encode())
    return hasher.hexdigest()


def _hash_as_git(content: bytes) -> str:
    """The name that git has for a file's content."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file())


class _Budget:
    """What an archive may still unpack to; files of the same name, in letters of either case, are one too many."""

    def __init__(self) -> None:
        self._files, self._bytes = 0, 0
        self._written: set[str] = set()

    def take(self, name: str, size: int) -> None:
        self._files += 1
        self._bytes += size
        if self._files > MAX_FILES:
            raise ValueError(f"what came has more than {MAX_FILES:,} files")
        if self._bytes > MAX_UNPACKED:
            raise ValueError(f"what came has more than {MAX_UNPACKED:,} bytes once unpacked, with {name[:100]!r}")

    def name(self, name: str) -> None:
        if name.lower() in self._written:
            raise ValueError(f"what came has {name!r} twice")
        self._written.add(name.lower())


def _write(source: IO[bytes], name: str, target: Path, budget: _Budget) -> None:
    parts = name.split("/")
    for part in parts:
        if reason := explain_bad_name(part):
            raise ValueError(f"what came has a file {name[:200]!r}: {reason}")
    if parts[0] in _LEFT_OUT or parts[0].startswith("."):
        return
    budget.name(name)
    path = target.joinpath(*parts)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("xb") as copy:
        left = MAX_UNPACKED
        while block := source.read(_BLOCK):
            left -= len(block)
            if left < 0:
                raise ValueError(f"{name!r} has more bytes than the archive says")
            copy.write(block)


class _Limited(io.RawIOBase):
    """A stream that ends with an error where an honest archive has long ended: headers of a tar count too."""

    def __init__(self, source: gzip.GzipFile) -> None:
        self._source, self._left = source, MAX_UNPACKED + (MAX_UNPACKED >> 2)

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= self._left:
            raise ValueError(f"what came has more than {MAX_UNPACKED:,} bytes once unpacked")
        block = self._source.read(size)
        self._left -= len(block)
        return block
