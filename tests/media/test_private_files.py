"""Secrets in files of others are overwritten wherever they lie, and no file is read as a whole for that."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from custom_nodes.videogen.core.redaction import SECRETS
from custom_nodes.videogen.media import private_files
from custom_nodes.videogen.media.private_files import mask_secrets

SECRET = "a-secret-of-some-length"
BLOCK = 1_000


@pytest.fixture(autouse=True)
def _secret(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(private_files, "_BLOCK", BLOCK)
    SECRETS.add(SECRET)
    yield
    SECRETS.clear()


@pytest.mark.parametrize("place", [0, 500, BLOCK - 10, BLOCK - 1, BLOCK, 2 * BLOCK - len(SECRET), 3_000 - len(SECRET)])
def test_a_secret_is_masked_wherever_it_lies(place: int, tmp_path: Path) -> None:
    data = bytearray(b"x" * 3_000)
    data[place : place + len(SECRET)] = SECRET.encode()
    path = tmp_path / "segment.mp4"
    path.write_bytes(data)
    assert mask_secrets(path)
    data[place : place + len(SECRET)] = b"*" * len(SECRET)
    assert path.read_bytes() == data
    assert not mask_secrets(path)


def test_a_file_is_read_in_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "segment.mp4"
    path.write_bytes(b"x" * 50_000)
    seen: list[int] = []
    is_in = SECRETS.is_in
    monkeypatch.setattr(SECRETS, "is_in", lambda data: seen.append(len(data)) or is_in(data))
    assert not mask_secrets(path)
    assert len(seen) == 50
    assert max(seen) < 2 * BLOCK
