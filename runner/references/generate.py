"""Draws the reference images that a film needs and no server has: each once, before the segments, into the run directory."""

from __future__ import annotations

import copy
import time
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path

from custom_nodes.videogen.core.digest import digest
from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.core.graph import SAVE_REFERENCE_NODE, Graph, nodes_of
from custom_nodes.videogen.core.segment.cast_prompts import CastMember, drawable_cast
from custom_nodes.videogen.core.segment.references import reference_names
from custom_nodes.videogen.core.story.model import Entity, Story
from custom_nodes.videogen.media.images.image_files import find_file, read_reference_image
from custom_nodes.videogen.media.images.reference_file import require_image_suffix
from custom_nodes.videogen.media.path_inside import path_inside
from custom_nodes.videogen.media.probe import hash_file
from custom_nodes.videogen.media.story_file import LoadedStory

from ..comfyui.answers import SavedFile, read_parts
from ..comfyui.bounds.limits import MAX_PICTURE, limit_for_picture
from ..comfyui.client import ComfyClient
from ..comfyui.outcome import Outcome
from ..comfyui.servers import Server
from ..comfyui.session import Session
from ..rendering.attempts import submit_attempt
from ..rendering.failures import SERVER_FAILURES, Failure, classify_error, classify_outcome
from ..rendering.retries import REFERENCE_REMEDIES, AttemptState, Remedy, choose_remedy
from ..rendering.run_log import RunLog
from ..state.events import ReferenceDone
from ..state.file_fields import require_own_files
from ..state.record_files import read_json
from ..state.run_directory import RunDirectory
from ..workflows.output_node import force_execution
from ..workflows.own_workflows import without_own_workflows
from ..workflows.story_images import HashInput, Missing
from .graph import ReferencesGraph
from .provenance import is_drawn_for_another, member_key, names_in_record, write_provenance

#: In a run directory: the folder of the images, and the record of each.
FOLDER, RECORD_FILE = "references", "references.json"
#: Errors that are not the server's.
_NO_SERVER_HELPS = frozenset({"disk-full", "path-invalid", "image-invalid"})
_NAMESPACE = uuid.UUID("9a3d1a52-5f7f-4c0e-8a57-9f0f6a1d7c33")


class ReferencesRun:
    """Draws reference images on a server.

    Args:
        graph: the references workflow, converted for that server.
        entities: the members of the cast to draw.
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
        story: LoadedStory,
        directory: RunDirectory,
        log: RunLog,
        *,
        stall: float,
        session: Session,
    ) -> None:
        self.graph, self.story, self.story_data = graph, story.story, without_own_workflows(story.data)
        self.directory, self.log, self.stall = directory, log, stall
        self.folder = directory.path / FOLDER
        cast = drawable_cast(self.story)
        self.members = {(index := cast.index(entity) + 1): graph.plan(self.story, index) for entity in entities}
        self.names = [member.file for member in self.members.values()]
        for member in self.members.values():
            self._target(member)  # before anything is drawn
        self.problems = graph.check(session.object_info, session.client.list_models)
        self._drawn: dict[str, Path] = {}

    def draw(self, server: Server, *, patient: bool = True) -> dict[str, Path]:
        """Draw all of them; those that another server has drawn before it failed are not drawn again.

        Args:
            patient: a server that fails is restarted or waited for; else it is enough.

        Returns:
            Their files, by the names that the story has for them.

        Raises:
            VideoGenError: `reference-failed` when one cannot be drawn; those before it are kept.
            KeyboardInterrupt: after the prompt under way was interrupted.
        """
        for number, (index, member) in enumerate(self.members.items(), 1):
            if member.file in self._drawn:
                continue
            name = member.entity.label or member.entity.name
            self.log.say(f"Reference {number}/{len(self.members)}: drawing {name} …")
            self._drawn[member.file] = self._draw(server, member, index, patient)
        return dict(self._drawn)

    def draw_on_any(self, servers: Sequence[Server]) -> dict[str, Path]:
        """Draw all of them on the first server, or on the next one where it cannot.

        Raises:
            VideoGenError: of the last server.
        """
        for server in servers[:-1]:
            try:
                return self.draw(server, patient=False)
            except VideoGenError as error:
                if error.code in _NO_SERVER_HELPS:
                    raise
                self.log.say(f"{server.name} draws no more reference pictures: {error.message}")
        return self.draw(servers[-1])

    def _draw(self, server: Server, member: CastMember, index: int, patient: bool) -> Path:
        """Draw one, trying again as `REFERENCE_REMEDIES` says."""
        graph = self.graph.make(self.story_data, index, member.file, write_provenance(self.story, member))
        state = self._resume(member, graph)
        while True:
            try:
                return self._attempt(server, member, graph, state)
            except _FailedPromptError as failed:
                if state.canceled:
                    state.begin_next()  # it has ended as it was asked to
                    continue
                failure, error = failed.failure, failed.error
            except VideoGenError as caught:
                failure, error = classify_error(caught), caught
            state.failures[failure] += 1
            remedy = choose_remedy(failure, state.failures[failure], REFERENCE_REMEDIES, self.story.size)
            spent = None if remedy is Remedy.OTHER_SERVER else self._prompt_id(member, graph, state)
            self.log.note_reference_failed(member.file, failure, error, spent)
            if remedy is Remedy.GIVE_UP:
                raise VideoGenError(
                    "reference-failed",
                    f"the reference picture {member.file} of {member.entity.name} cannot be drawn: {error.message}",
                    error.hint
                    or "Draw it in the editor with character_references, put a picture of your own there, or go on"
                    " without with --references none.",
                ) from None
            if remedy is Remedy.FREE_AND_REPEAT:
                server.session.client.free()
            state.apply(remedy, self.story.size)
            if failure in SERVER_FAILURES and not patient:
                raise error
            if failure in SERVER_FAILURES:
                server.recover(error, _sleep, self.log.say)

    def _resume(self, member: CastMember, graph: Graph) -> AttemptState:
        """The attempt that earlier runners have come to: one that has not failed may be on the server."""
        journal = self.directory.journal
        known = journal.drawing | journal.spent | journal.canceled
        state = AttemptState()
        while self._prompt_id(member, graph, AttemptState(attempt=state.attempt + 1)) in known:
            state.attempt += 1
        prompt_id = self._prompt_id(member, graph, state)
        if prompt_id in journal.spent:
            state.begin_next()
        else:
            state.may_be_on_server, state.canceled = prompt_id in journal.drawing, prompt_id in journal.canceled
        return state

    def _attempt(self, server: Server, member: CastMember, graph: Graph, state: AttemptState) -> Path:
        session = server.session
        began = time.monotonic()

        def send(prompt_id: str) -> None:
            forced = copy.deepcopy(graph)
            force_execution(forced, session.object_info, state.attempt)
            session.submit(forced, prompt_id, self.graph.workflow.ui)

        prompt_id = submit_attempt(
            session,
            state,
            lambda: self._prompt_id(member, graph, state),
            # What has failed for an earlier runner is tried again: the user may have repaired the server meanwhile.
            ("queued", "success"),
            found=lambda prompt_id: None,
            submitted=lambda prompt_id: self.log.note_reference_submitted(member.file, prompt_id, server.name),
            send=send,
        )
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
            # It ends as interrupted at some point: a run that resumes before must not wait for that.
            self.log.note_reference_cancelled(member.file, prompt_id)
            session.client.cancel(prompt_id)
            raise
        if outcome.status != "success":
            raise _FailedPromptError(classify_outcome(outcome), VideoGenError("render-failed", outcome.error))
        path = self._fetch(server, member, graph, outcome)
        drawn = ReferenceDone(
            name=member.file,
            kind=member.entity.kind,
            entity=member.entity.name,
            key=member_key(self.story, member.entity),
            prompt=member.prompt,
            seed=member.seed,
            bytes=path.stat().st_size,
            sha256=hash_file(path),
            seconds=round(outcome.executed or time.monotonic() - began, 3),
            server=server.name,
        )
        record = {**read_record(self.directory.path), member.file: drawn}
        self.directory.write_json(RECORD_FILE, {name: asdict(entry) for name, entry in record.items()})
        self.log.note(drawn)
        return path

    def _prompt_id(self, member: CastMember, graph: Graph, state: AttemptState) -> str:
        key = member_key(self.story, member.entity)
        name = f"{self.directory.run_id}/{member.file}/{key}/{digest(graph)}/{state.attempt}"
        return str(uuid.uuid5(_NAMESPACE, name))

    def _target(self, member: CastMember) -> Path:
        """Where a member's image goes.

        Raises:
            VideoGenError: `path-invalid`.
        """
        target = path_inside(self.folder, member.file, f"the reference picture of {member.entity.name}")
        require_image_suffix(target)
        return target

    def _fetch(self, server: Server, member: CastMember, graph: Graph, outcome: Outcome) -> Path:
        """Download the image; it gets its name once it decodes."""
        node_id = nodes_of(graph, SAVE_REFERENCE_NODE)[0]
        files = read_parts(outcome.outputs.get(node_id, {}).get("images"), SavedFile)
        if not files:
            raise VideoGenError("output-missing", f"{self.graph.workflow.path.name} has saved no picture")
        target = self._target(member)
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_name(f".{target.name}.part")
        server.session.client.download(files[0], partial, MAX_PICTURE)
        try:
            read_reference_image(partial, member.file, limit_for_picture(self.story.size))
        except VideoGenError as error:
            partial.unlink(missing_ok=True)
            raise VideoGenError("media-broken", error.message, error.hint) from None
        if is_drawn_for_another(partial.read_bytes(), self.story, member.entity):
            partial.unlink(missing_ok=True)
            raise VideoGenError("media-broken", f"another run has drawn {member.file!r} on {server.name} meanwhile")
        partial.replace(target)
        return target


class _FailedPromptError(Exception):
    """A prompt that has ended without success."""

    def __init__(self, failure: Failure, error: VideoGenError) -> None:
        super().__init__(error.message)
        self.failure, self.error = failure, error


def find_drawable(story: Story, missing: Iterable[Missing]) -> list[Entity]:
    """The characters and objects whose image no server has, and that can be drawn.

    Only the first image of a character is drawn: a second one would show another person.
    """
    names = {one.name for one in missing if set(one.lacking) == set(one.servers)}
    return [entity for entity in drawable_cast(story) if reference_names(story.slug, entity)[0] in names]


def find_kept(directory: Path, story: Story, hash_input: HashInput) -> dict[str, Path]:
    """Images that this run has drawn before and that are still valid, by the names that the story has for them.

    They are not when the description or seed has changed since, or when the server has another image of that name now: that
    one was put there on purpose.

    Args:
        hash_input: of the server's input folder.
    """
    record = read_record(directory)
    kept: dict[str, Path] = {}
    for entity in drawable_cast(story):
        name = reference_names(story.slug, entity)[0]
        for kept_as in names_in_record(story, entity):
            known = record.get(kept_as)
            if known is None or known.key != member_key(story, entity) or hash_input(name) not in ("", known.sha256):
                continue
            path = _find_copy(directory, kept_as)
            if path is not None and hash_file(path) == known.sha256:
                kept.setdefault(name, path)
    return kept


def find_stale(directory: Path, story: Story, hash_input: HashInput) -> set[str]:
    """Names whose image on the server was drawn by this run, but from another description or seed."""
    record = read_record(directory)
    names = {reference_names(story.slug, entity)[0]: entity for entity in drawable_cast(story)}
    return {
        name
        for name, entity in names.items()
        if (known := record.get(name)) and known.key != member_key(story, entity) and hash_input(name) == known.sha256
    }


def share_images(directory: Path, missing: Iterable[Missing], clients: Sequence[ComfyClient]) -> dict[str, Path]:
    """Copy images that some of the servers have and others lack into the run directory, for all of them."""
    shared: dict[str, Path] = {}
    for one in missing:
        having = [client for client in clients if client.url not in one.lacking]
        data = having[0].read_input_file(one.name) if one.lacking and having else None
        target = path_inside(directory / FOLDER / "shared", one.name)
        if data:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
            shared[one.name] = target
    return shared


def _find_copy(directory: Path, name: str) -> Path | None:
    folder = directory / FOLDER
    return find_file(folder, name) if folder.is_dir() else None


def read_record(directory: Path) -> dict[str, ReferenceDone]:
    """``references.json`` of a run directory, by the images' names; empty when it is missing or unreadable."""
    try:
        data = read_json(directory / RECORD_FILE)
        for entry in data.values():
            require_own_files({**entry, "event": ReferenceDone.event_name})
        return {str(name): ReferenceDone(**entry) for name, entry in data.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def _sleep(seconds: float) -> bool:
    time.sleep(seconds)
    return False
