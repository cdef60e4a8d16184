"""A real ComfyUI for tests: started once, asked over its HTTP API."""

from __future__ import annotations

import contextlib
import json
import time
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from runner.comfyui.answers import SavedFile
from runner.comfyui.client import ComfyClient
from runner.comfyui.embedded import EmbeddedServer
from runner.comfyui.installation import find_installation
from runner.comfyui.outcome import Outcome, read_outcome

#: Kinds of model files that tests bring along.
MODEL_FOLDERS = (
    "checkpoints",
    "clip_vision",
    "ipadapter",
    "diffusion_models",
    "diffusers",
    "latent_upscale_models",
    "loras",
    "text_encoders",
    "vae",
)

Graph = dict[str, dict[str, Any]]


@dataclass
class ComfyServer:
    """A running server with folders of its own; `folder` has `input`, `output`, `models` and the log."""

    embedded: EmbeddedServer
    client: ComfyClient
    folder: Path
    object_info: dict[str, Any] = field(repr=False)

    @property
    def url(self) -> str:
        return self.client.url

    def submit(self, graph: Graph, workflow: dict[str, Any] | None = None) -> str:
        """Queue a graph. Returns its prompt id; raises `submission-rejected` for a graph that does not validate."""
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

    def run(self, graph: Graph, workflow: dict[str, Any] | None = None, *, seconds: float = 60.0) -> Outcome:
        """Run a graph to its end, successful or not."""
        return self.wait(self.submit(graph, workflow), seconds)

    def render(
        self, graph: Graph, workflow: dict[str, Any] | None = None, *, seconds: float = 60.0
    ) -> dict[str, dict[str, Any]]:
        """Run a graph that must succeed. Returns the ui results by node id."""
        outcome = self.run(graph, workflow, seconds=seconds)
        assert outcome.status == "success", outcome.error
        return outcome.outputs

    def download(self, result: dict[str, Any], folder: Path) -> Path:
        """The file that a node's ui result names, fetched the way a browser fetches it."""
        file = SavedFile(**result["images"][0])
        target = folder / file.filename
        self.client.download(file, target)
        return target

    def output(self, *parts: str) -> Path:
        """A path in the server's output folder."""
        return self.folder.joinpath("output", *parts)

    def add_models(self, *names: str) -> dict[str, str]:
        """Give the server some of the random model files (see `random_weights.files`). Returns the loaders' names for them."""
        from runner.bench.models.random_weights.files import link_models  # needs torch

        return link_models(self.folder / "models", *names)

    def log_size(self) -> int:
        return self.embedded.log.stat().st_size if self.embedded.log.exists() else 0

    def log_since(self, start: int) -> str:
        """The server's log after this many bytes."""
        return self.embedded.log.read_bytes()[start:].decode("utf-8", "replace")


@contextlib.contextmanager
def running_server(
    folder: Path, *, frontend: Path | None = None, node_packs: Iterable[Path] = ()
) -> Iterator[ComfyServer]:
    """Start the ComfyUI that install.py has set up, with all its folders in `folder`.

    It has the models of `folder`/models in addition to the ComfyUI's own.

    Args:
        frontend: the files of another editor than its own.
        node_packs: packs of nodes that it has besides ours.

    Raises:
        VideoGenError: `not-installed`, `server-start-failed`.
    """
    installation = find_installation()
    (folder / "input").mkdir(parents=True, exist_ok=True)
    arguments = (
        *installation.arguments,
        "--input-directory",
        str(folder / "input"),
        "--extra-model-paths-config",
        str(_write_paths(folder, node_packs)),
        *(("--front-end-root", str(frontend)) if frontend else ()),
    )
    with EmbeddedServer(replace(installation, arguments=arguments), folder) as embedded:
        client = embedded.start()
        yield ComfyServer(embedded, client, folder, client.object_info())


def _write_paths(folder: Path, node_packs: Iterable[Path]) -> Path:
    """The file that adds `folder`/models to a ComfyUI's model folders, and packs to its nodes."""
    for kind in MODEL_FOLDERS:
        (folder / "models" / kind).mkdir(parents=True, exist_ok=True)
    path = folder / "extra_model_paths.yaml"
    paths = {"base_path": str(folder / "models"), **{kind: kind for kind in MODEL_FOLDERS}}
    for pack in node_packs:
        (folder / "custom_nodes").mkdir(exist_ok=True)
        (folder / "custom_nodes" / pack.name).symlink_to(pack)
        paths["custom_nodes"] = str(folder / "custom_nodes")
    path.write_text(json.dumps({"tests": paths}), encoding="utf-8")  # JSON is YAML
    return path
