"""Credentials in every spelling, given in every way, and repeated by the server: no file of a run has one, nor its output."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from tests.runner.property.world import World
from tests.support.servers.fake_server import Answer, FakeServer
from tests.support.servers.model.prompt_faults import PromptFault

PROJECT = Path(__file__).resolve().parents[3]
#: Names of inputs and of headers that tell a secret.
SPELLINGS = (
    *(
        "api_key",
        "apiKey",
        "api-key",
        "API_KEY",
        "apikey",
        "ApiKey",
        "X-Api-Key",
        "x_api_key",
        "authToken",
        "auth_token",
    ),
    *("access_token", "accessToken", "refresh_token", "token", "hf_token", "civitai_token", "session_token", "bearer"),
    *("secret", "client_secret", "password", "passwd", "pwd", "passphrase", "private_key", "privateKey", "openai_key"),
    *("OPENAI_KEY", "geminiKey", "aws_secret_access_key", "credentials", "authorization", "session_cookie", "jwt"),
)
#: Ordinary widgets, whose values tell what was rendered and stay readable.
ORDINARY = (
    *("token_count", "max_tokens", "num_tokens", "keyframes", "keyframe", "passes", "passthrough", "seed", "sort_key"),
    *("color_key", "author", "monkey", "secretary", "tokenizer", "key_frame_interval", "bypass", "pass", "compass"),
)
HEADERS = {"Authorization": "Bearer {}", "X-Api-Key": "{}", "Cookie": "session={}", "Proxy-Authorization": "Basic {}"}
#: Addresses in inputs of ordinary names.
ADDRESSES = {
    "password": "https://anna:{}@host.example/x",
    "user": "https://{}@host.example/x",
    "token": "https://host.example/x?width=3&token={}",
    "access_token": "https://host.example/x?access_token={}&a=1",
    "api_key": "wss://host.example/x?api_key={}",
    "signature": "https://host.example/x?X-Amz-Signature={}",
    "database": "postgres://anna:{}@host.example/films",
}


def secret_of(way: str, name: str) -> str:
    """A value for each way and name, without anything that tells it."""
    return f"v{way[:2]}{re.sub(r'[^a-z]', '', name.lower())}{len(name)}{sum(map(ord, way + name))}9q"


SECRETS = {
    **{f"input {name}": secret_of("input", name) for name in SPELLINGS},
    **{f"--set {name}": secret_of("setting", name) for name in SPELLINGS},
    **{f"--header {name}": secret_of("header", name) for name in HEADERS},
    **{f"address with {name} in an input": secret_of("xinput", name) for name in ADDRESSES},
    **{f"address with {name} in --set": secret_of("ysetting", name) for name in ADDRESSES},
    "path of --server": "b7C1x9Zq44kdW0",
    "parameter of --server": secret_of("parameter", "server"),
    **{f"environment {name}": secret_of("environment", name) for name in ("note", "Environment")},
}


@dataclass(frozen=True)
class Ran:
    """A run that has ended: its files, and everything that it printed."""

    folder: Path
    said: str
    asked: str


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory, object_info: dict[str, Any]) -> Any:
    folder = tmp_path_factory.mktemp("credentials")
    front = FakeServer()
    world = World(folder / "world", [front], object_info, segments=1)
    inputs: dict[str, Any] = {"images": ["3", 0]}
    inputs |= {name: secret_of("input", name) for name in SPELLINGS}
    inputs |= {
        f"url{number}": text.format(secret_of("xinput", name)) for number, (name, text) in enumerate(ADDRESSES.items())
    }
    inputs |= {"note": "", **{name: f"kept-{name}" for name in ORDINARY}}
    for node, values in (("15", inputs), ("18", {**inputs, **dict.fromkeys(SPELLINGS, "")})):
        schema = {name: ["STRING", {}] for name in values if name != "images"}
        kind = f"TestService{node}"
        info = world.servers["A"]._object_info
        info[kind] = {
            "input": {"required": {"images": ["IMAGE", {}], **schema}},
            "output": ["IMAGE"],
            "output_name": ["i"],
        }
    graph = world.graph
    graph["15"] = {"class_type": "TestService15", "inputs": inputs}
    graph["18"] = {
        "class_type": "TestService18",
        "inputs": {**inputs, "images": ["15", 0], **dict.fromkeys(SPELLINGS, "-")},
    }
    graph["4"]["inputs"]["images"] = ["18", 0]
    below = front.routes["*"]
    front.routes["*"] = lambda request: (
        below(replace(request, path=request.path.removeprefix(f"/{SECRETS['path of --server']}")))
        if request.path.startswith(f"/{SECRETS['path of --server']}/")
        else Answer(404, b"no such page")
    )
    (folder / "workflow.json").write_text(json.dumps(graph))
    (folder / "story.json").write_text(json.dumps(world.story))
    # The first prompt fails, and its error repeats everything, as a service that was asked in vain does.
    said = " ".join(SECRETS.values())
    assert len(said) < 3_500, "longer errors are cut"
    world.servers["A"].faults = [PromptFault("echo", error=("ValueError", f"401 of https://x/?key=1 {said}"))]
    settings = [f"--set=18.{name}={secret_of('setting', name)}" for name in SPELLINGS]
    settings += [
        f"--set=18.url{number}={text.format(secret_of('ysetting', name))}"
        for number, (name, text) in enumerate(ADDRESSES.items())
    ]
    headers = [f"--header={name}: {text.format(secret_of('header', name))}" for name, text in HEADERS.items()]
    command = [
        sys.executable,
        "-m",
        "runner",
        "run",
        str(folder / "story.json"),
        "--workflow",
        str(folder / "workflow.json"),
    ]
    command += [
        "--server",
        f"{front.url}/{SECRETS['path of --server']}/?token={SECRETS['parameter of --server']}#workflow",
        "--out",
        str(folder / "out"),
        *settings,
        "--set",
        "18.note=env:MY_NOTE",
        *headers,
    ]
    environment = {
        **os.environ,
        "MY_NOTE": secret_of("environment", "note"),
        "VIDEOGEN_HEADER": f"X-Environment: {secret_of('environment', 'Environment')}",
    }
    done = subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True, check=False)
    asked = " ".join(
        request.path + request.body.decode("utf-8", "replace") + json.dumps(request.headers)
        for request in front.requests
    )
    front.close()
    assert done.returncode == 0, done.stdout + done.stderr
    return Ran(folder / "out", done.stdout + done.stderr, asked)


@pytest.mark.parametrize("way", SECRETS)
def test_a_credential_reaches_the_server_and_no_file(way: str, ran: Ran) -> None:
    secret = SECRETS[way]
    # A browser's address may have parameters, which are no part of a server's.
    assert secret in ran.asked or "Environment" in way or "parameter" in way, "the server has to get it"
    found = [path.name for path in ran.folder.rglob("*") if path.is_file() and secret.encode() in path.read_bytes()]
    assert found == []
    assert secret not in ran.said


def test_the_files_tell_everything_else(ran: Ran) -> None:
    """The run has the files that could have a secret, each says something of it, and ordinary inputs are in them."""
    texts = {
        path.name: path.read_text() for path in ran.folder.iterdir() if path.suffix in (".json", ".jsonl", ".html")
    }
    assert {"run.json", "journal.jsonl", "graph.json", "report.json", "report.html"} <= texts.keys()
    assert "401 of" in texts["journal.jsonl"]
    assert "--set=18.api_key=***" in texts["run.json"]
    graph = json.loads(texts["graph.json"])["graph"]
    for name in ORDINARY:
        assert graph["15"]["inputs"][name] == f"kept-{name}"


def test_install_log_has_none_of_them(tmp_path: Path) -> None:
    """Through install.py itself: what it writes of its command line."""
    options = [f"--set=18.{name}={secret_of('setting', name)}" for name in SPELLINGS]
    options += [f"--header={name}: {text.format(secret_of('header', name))}" for name, text in HEADERS.items()]
    options += [f"--set=18.url={text.format(secret_of('ysetting', name))}" for name, text in ADDRESSES.items()]
    (tmp_path / ".videogen").mkdir()
    script = (
        "import sys, shlex, install; from pathlib import Path; from runner.setup.workspace import Workspace;"
        "Workspace(Path(sys.argv.pop(1))).write_log(shlex.join(install.own_arguments(sys.argv)))"
    )
    arguments = [sys.executable, "-c", script, str(tmp_path), "--newest", "--run", *options]
    subprocess.run(arguments, cwd=PROJECT, check=True)
    (log,) = [path.read_text() for path in tmp_path.rglob("install.log")]
    assert "--newest" in log
    assert [secret for secret in SECRETS.values() if secret in log] == []
