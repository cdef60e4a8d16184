"""A real ComfyUI for tests: started once, asked over its HTTP API."""

from __future__ import annotations

import contextlib
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from runner.client import ComfyClient
from runner.embedded import EmbeddedServer
from runner.installation import find_installation
from runner.outcome import Outcome, read_outcome

Graph = dict[str, dict[str, Any]]


@dataclass
class ComfyServer:
    """A running server with folders of its own; `folder` has `input`, `output` and the log."""

    embedded: EmbeddedServer
    client: ComfyClient
    folder: Path
    object_info: dict[str, Any] = field(repr=False)

    @property
    def url(self) -> str:
        return self.client.url

    def submit(self, graph: Graph, workflow: dict[str, Any] | None = None) -> str:
        """Queue a graph; gives its prompt id. Raises `submission-rejected` for whatever does not validate."""
        prompt_id = str(uuid.uuid4())
        self.client.submit(graph, prompt_id, client_id=f"tests-{prompt_id}", workflow=workflow)
        return prompt_id

    def wait(self, prompt_id: str, seconds: float = 60.0) -> Outcome:
        """Wait for the end of a prompt."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            entry = self.client.history(prompt_id)
            if entry is not None:
                return read_outcome(entry)
            time.sleep(0.02)
        raise AssertionError(
            f"{prompt_id} had not ended after {seconds} s; the log ends with:\n{self.embedded.tail(30)}"
        )

    def run(self, graph: Graph, workflow: dict[str, Any] | None = None) -> Outcome:
        """Run a graph to its end, whatever that is."""
        return self.wait(self.submit(graph, workflow))

    def render(self, graph: Graph, workflow: dict[str, Any] | None = None) -> dict[str, dict[str, Any]]:
        """Run a graph that must succeed; gives the ui results by node id."""
        outcome = self.run(graph, workflow)
        assert outcome.status == "success", outcome.error
        return outcome.outputs

    def download(self, result: dict[str, Any], folder: Path) -> Path:
        """The file that a node's ui result names, fetched the way a browser fetches it."""
        file = result["images"][0]
        target = folder / file["filename"]
        self.client.download(file, target)
        return target

    def output(self, *parts: str) -> Path:
        """A path in the server's output folder."""
        return self.folder.joinpath("output", *parts)

    def log_size(self) -> int:
        return self.embedded.log.stat().st_size if self.embedded.log.exists() else 0

    def log_since(self, start: int) -> str:
        """What the server has logged behind this many bytes."""
        return self.embedded.log.read_bytes()[start:].decode("utf-8", "replace")


@contextlib.contextmanager
def running_server(folder: Path) -> Iterator[ComfyServer]:
    """Start the ComfyUI that install.py has set up, with all its folders in `folder`.

    Raises:
        VideoGenError: `not-installed`, `server-start-failed`.
    """
    installation = find_installation()
    (folder / "input").mkdir(parents=True, exist_ok=True)
    arguments = (*installation.arguments, "--input-directory", str(folder / "input"))
    with EmbeddedServer(replace(installation, arguments=arguments), folder) as embedded:
        client = embedded.start()
        yield ComfyServer(embedded, client, folder, client.object_info())
