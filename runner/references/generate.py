"""Drawing the reference images that a film needs and nobody has: each once, before its segments, kept in the run directory."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from custom_nodes.videogen.core.digest import digest
from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.core.segment.cast_prompts import CastMember, drawable_cast
from custom_nodes.videogen.core.segment.frame_seeds import entity_seed
from custom_nodes.videogen.core.segment.references import reference_names
from custom_nodes.videogen.core.story.model import Entity, Story
from custom_nodes.videogen.media.images.image_files import find_file, read_reference_image
from custom_nodes.videogen.media.images.reference_file import require_image_suffix
from custom_nodes.videogen.media.probe import hash_file

from ..comfyui.client import ComfyClient
from ..comfyui.outcome import Outcome
from ..comfyui.servers import Server
from ..comfyui.session import Session
from ..rendering.failures import Failure, classify_error, classify_outcome
from ..state.progress import Display
from ..state.run_directory import RunDirectory
from ..workflows.story_images import HashInput, Missing
from ..workflows.workflow import nodes_of
from .graph import SAVE_REFERENCE_NODE, ReferencesGraph

#: In a run directory: the images under their names, and what is known of each.
FOLDER, RECORD_FILE = "references", "references.json"
#: How often an image is tried again after each kind of failure; what is not named ends the run at once.
RETRIES = {
    Failure.OUT_OF_MEMORY: 1,
    Failure.NODE_ERROR: 1,
    Failure.LOST: 3,
    Failure.OUTPUT_BROKEN: 2,
    Failure.SERVER_GONE: 20,
    Failure.STALLED: 2,
}
_OF_THE_SERVER = (Failure.SERVER_GONE, Failure.STALLED)
_NAMESPACE = uuid.UUID("9a3d1a52-5f7f-4c0e-8a57-9f0f6a1d7c33")

Note = Callable[..., None]


@dataclass(frozen=True)
class DrawnReference:
    """A reference image that a run has drawn, as it stands in ``references.json`` and in the report.

    Attributes:
        key: of what it was drawn from, see `member_key`. With another one it is drawn anew.
        seconds: that the server took.
    """

    name: str
    kind: str
    entity: str
    key: str
    prompt: str
    seed: int
    bytes: int
    sha256: str
    seconds: float
    server: str


class ReferencesRun:
    """Draws reference images on a server.

    Args:
        graph: the references workflow, converted for that server.
        entities: who is to be drawn.
        note: writes an event into the journal.
        stall: seconds without progress after which a server counts as hung.
        session: the server that the graph is checked against.

    Attributes:
        names: of the images, as the story has them.
        problems: what of the graph does not fit the server.
    """

    def __init__(
        self,
        graph: ReferencesGraph,
        entities: Sequence[Entity],
        story: Story,
        story_data: dict[str, Any],
        directory: RunDirectory,
        display: Display,
        *,
        note: Note,
        stall: float,
        session: Session,
    ) -> None:
        self.graph, self.story, self.story_data = graph, story, story_data
        self.directory, self.display, self.note, self.stall = directory, display, note, stall
        self.folder = directory.path / FOLDER
        cast = drawable_cast(story)
        self.members = {(index := cast.index(entity) + 1): graph.plan(story, index) for entity in entities}
        self.names = [member.file for member in self.members.values()]
        self.problems = graph.check(session.object_info, session.client.list_models)

    def draw(self, server: Server) -> dict[str, Path]:
        """Draw all of them; gives the files by the names that the story has for them.

        Raises:
            VideoGenError: `reference-failed` when one cannot be drawn; those before it are kept.
            KeyboardInterrupt: after the prompt under way was interrupted.
        """
        drawn: dict[str, Path] = {}
        for number, (index, member) in enumerate(self.members.items(), 1):
            who = member.entity.label or member.entity.name
            self.display.say(f"Reference {number}/{len(self.members)}: {who} is drawn …")
            drawn[member.file] = self._draw(server, member, index)
        return drawn

    def _draw(self, server: Server, member: CastMember, index: int) -> Path:
        """Draw one, with another try after what a try can help."""
        failures: dict[Failure, int] = {}
        while True:
            # What a server that went away has made of it is found again under the same id.
            attempt = sum(count for failure, count in failures.items() if failure not in _OF_THE_SERVER)
            try:
                return self._try(server, member, index, attempt)
            except _Failed as failed:
                failure, error = failed.failure, failed.error
            except VideoGenError as caught:
                failure, error = classify_error(caught), caught
            failures[failure] = failures.get(failure, 0) + 1
            self.note("reference-failed", name=member.file, failure=failure.value, message=error.message)
            if failures[failure] > RETRIES.get(failure, 0):
                raise VideoGenError(
                    "reference-failed",
                    f"the reference picture {member.file} of {member.entity.name} cannot be drawn: {error.message}",
                    error.hint
                    or "Draw it in the editor with character_references, put a picture of your own there, or go on"
                    " without with --references none.",
                ) from None
            if failure is Failure.OUT_OF_MEMORY:
                server.session.client.free()
            if failure in _OF_THE_SERVER:
                server.recover(error, _sleep, self.display.say)

    def _try(self, server: Server, member: CastMember, index: int, attempt: int) -> Path:
        text = json.dumps({"prompt": member.prompt, "seed": member.seed}, ensure_ascii=False)
        graph = self.graph.make(self.story_data, index, member.file, text)
        key = f"{self.directory.run_id}/{member.file}/{member_key(self.story, member.entity)}/{digest(graph)}/{attempt}"
        prompt_id = str(uuid.uuid5(_NAMESPACE, key))
        began = time.monotonic()
        session = server.session
        # A runner that was killed may have left it with the server, done or under way.
        if session.find(prompt_id) not in ("queued", "success"):
            self.note("reference-submitted", name=member.file, prompt_id=prompt_id, server=server.name)
            session.submit(graph, prompt_id, self.graph.workflow.ui)
        try:
            outcome = session.wait(
                prompt_id,
                graph,
                stall=self.stall,
                on_start=lambda: None,
                on_step=lambda label, fraction: None,
                check=server.check,
            )
        except KeyboardInterrupt:
            session.client.cancel(prompt_id)
            raise
        if outcome.status != "success":
            failure = classify_outcome(outcome)
            raise _Failed(failure, VideoGenError("render-failed", outcome.error))
        path = self._fetch(server, member, graph, outcome)
        seconds = round(outcome.executed or time.monotonic() - began, 3)
        drawn = DrawnReference(
            name=member.file,
            kind=member.entity.kind,
            entity=member.entity.name,
            key=member_key(self.story, member.entity),
            prompt=member.prompt,
            seed=member.seed,
            bytes=path.stat().st_size,
            sha256=hash_file(path),
            seconds=seconds,
            server=server.name,
        )
        record = {**read_record(self.directory.path), member.file: drawn}
        self.directory.write_json(RECORD_FILE, {name: asdict(entry) for name, entry in record.items()})
        self.note("reference-done", **asdict(drawn))
        return path

    def _fetch(self, server: Server, member: CastMember, graph: dict[str, Any], outcome: Outcome) -> Path:
        """Bring the image home; it gets its name once it decodes."""
        node_id = nodes_of(graph, SAVE_REFERENCE_NODE)[0]
        files = outcome.outputs.get(node_id, {}).get("images") or []
        if not files:
            raise VideoGenError("output-missing", f"{self.graph.workflow.path.name} has saved no picture")
        target = self.folder / member.file
        require_image_suffix(target)
        if not target.resolve().is_relative_to(self.folder.resolve()):
            raise VideoGenError("path-invalid", f"{member.file!r} leads out of {self.folder}")
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_name(f".{target.name}.part")
        server.session.client.download(files[0], partial)
        try:
            read_reference_image(partial, member.file)
        except VideoGenError as error:
            partial.unlink(missing_ok=True)
            raise VideoGenError("media-broken", error.message, error.hint) from None
        partial.replace(target)
        return target


class _Failed(Exception):
    """A prompt that ended, but not well."""

    def __init__(self, failure: Failure, error: VideoGenError) -> None:
        super().__init__(error.message)
        self.failure, self.error = failure, error


def find_drawable(story: Story, missing: Iterable[Missing]) -> list[Entity]:
    """The characters and objects whose image no server has, as far as one can be drawn.

    Only the first image of somebody is drawn: a second one would show another person.
    """
    names = {one.name for one in missing if set(one.lacking) == set(one.servers)}
    return [entity for entity in drawable_cast(story) if reference_names(story.slug, entity)[0] in names]


def find_kept(directory: Path, story: Story, hash_input: HashInput) -> dict[str, Path]:
    """Images that this run has drawn before, by the names that the story has for them, as far as they still count.

    Somebody's description or seed may have changed since; or there is another image under that name now, which somebody
    has put there: that one counts then.

    Args:
        hash_input: of the server's input folder.
    """
    record = read_record(directory)
    kept = {}
    for entity in drawable_cast(story):
        name = reference_names(story.slug, entity)[0]
        known = record.get(name)
        if known is None or known.key != member_key(story, entity) or hash_input(name) not in ("", known.sha256):
            continue
        path = _find_copy(directory, name)
        if path is not None and hash_file(path) == known.sha256:
            kept[name] = path
    return kept


def find_stale(directory: Path, story: Story, hash_input: HashInput) -> set[str]:
    """Names whose image on the server is the one that this run has drawn, from another description or seed."""
    record = read_record(directory)
    names = {reference_names(story.slug, entity)[0]: entity for entity in drawable_cast(story)}
    return {
        name
        for name, entity in names.items()
        if (known := record.get(name)) and known.key != member_key(story, entity) and hash_input(name) == known.sha256
    }


def share_images(directory: Path, missing: Iterable[Missing], clients: Sequence[ComfyClient]) -> dict[str, Path]:
    """Images that some of the servers have and others lack, brought into the run directory for all of them."""
    shared: dict[str, Path] = {}
    for one in missing:
        having = [client for client in clients if client.url not in one.lacking]
        data = having[0].read_input_file(one.name) if one.lacking and having else None
        target = directory / FOLDER / "shared" / one.name
        if data and target.resolve().is_relative_to((directory / FOLDER).resolve()):
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
            shared[one.name] = target
    return shared


def member_key(story: Story, entity: Entity) -> str:
    """What somebody's image is drawn from; not the model or the words around it, so that a film that changes its model
    keeps its people."""
    seed = entity_seed(entity, story.slug)
    return digest([entity.kind, entity.description, entity.label, seed, story.style.prefix, story.style.negative])


def _find_copy(directory: Path, name: str) -> Path | None:
    folder = directory / FOLDER
    return find_file(folder, name) if folder.is_dir() else None


def read_record(directory: Path) -> dict[str, DrawnReference]:
    """``references.json`` of a run directory, by the images' names; empty when there is none or it cannot be read."""
    try:
        data = json.loads((directory / RECORD_FILE).read_text(encoding="utf-8"))
        return {str(name): DrawnReference(**entry) for name, entry in data.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def _sleep(seconds: float) -> bool:
    time.sleep(seconds)
    return False
