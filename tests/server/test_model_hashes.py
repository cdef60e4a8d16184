"""The pack's route that tells the hash of a model file, on a real server."""

from __future__ import annotations

import hashlib

import pytest

from runner.workflows.model_files import hash_on_server
from tests.support.servers.comfy import ComfyServer

pytestmark = pytest.mark.server


def test_a_model_file_is_told_by_its_content(comfy_server: ComfyServer) -> None:
    find = hash_on_server(comfy_server.client, lambda line: None)
    path = comfy_server.folder / "models" / "checkpoints" / "styles" / "hashed.safetensors"
    path.parent.mkdir(exist_ok=True)
    for content in (b"the model of yesterday", b"the model of today"):
        path.write_bytes(content)
        assert find("checkpoints", "styles/hashed.safetensors") == hashlib.sha256(content).hexdigest()
        assert find("", "styles\\hashed.safetensors") == hashlib.sha256(content).hexdigest()
    answer = comfy_server.client.model_hash("checkpoints", "styles/hashed.safetensors")
    assert answer is not None
    assert set(answer) == {"sha256", "size", "mtime"}
    assert answer["size"] == len(b"the model of today")


def test_nothing_else_is_told(comfy_server: ComfyServer) -> None:
    find = hash_on_server(comfy_server.client, lambda line: None)
    (comfy_server.folder / "models" / "notes.txt").write_text("a secret")
    (comfy_server.folder / "models" / "checkpoints" / "notes.txt").write_text("a secret")
    (comfy_server.folder / "models" / "secret.safetensors").write_text("a secret")
    for name in ("notes.txt", "../notes.txt", "../secret.safetensors", "/etc/passwd", "", "absent.safetensors"):
        assert find("checkpoints", name) == ""
