"""The images of a run's cast: what lies about is used, what some servers lack is shared, what nobody has is drawn."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from custom_nodes.videogen.core.errors import ProblemList
from custom_nodes.videogen.core.story.model import Story

from ..comfyui.servers import Server
from ..comfyui.session import Session
from ..rendering.jobs import JobMaker
from ..state.progress import Display
from ..state.run_directory import RunDirectory
from ..workflows.story_images import HashInput, Missing, StoryImages, explain_missing, find_missing
from ..workflows.workflow import Workflow
from .generate import Note, ReferencesRun, find_drawable, find_kept, find_stale, share_images
from .graph import ReferencesGraph


class CastImages:
    """The images of the cast that a run needs.

    Args:
        folder: of the story's file; None when there is none.
        workflow: draws the reference images that nobody has; None: they are not drawn.

    Attributes:
        drawn: images in the run directory, by the names that the story has for them.
    """

    def __init__(
        self,
        story: Story,
        story_data: dict[str, Any],
        folder: Path | None,
        directory: RunDirectory,
        workflow: Workflow | None,
    ) -> None:
        self.story, self.story_data, self.folder = story, story_data, folder
        self.directory, self.workflow = directory, workflow
        self.drawn: dict[str, Path] = {}

    def look(self, hash_input: HashInput) -> HashInput:
        """Take what earlier runs in this directory have drawn; gives the server's input folder as it counts: without what was
        drawn from a description or seed that has changed since."""
        self.drawn = find_kept(self.directory.path, self.story, hash_input)
        stale = find_stale(self.directory.path, self.story, hash_input)
        return lambda name: "" if name in stale else hash_input(name)

    def beside_story(self) -> StoryImages:
        """What need not lie on the servers."""
        return StoryImages(self.folder, self.story.slug, self.drawn)

    def find_missing(self, maker: JobMaker, todo: Sequence[int], servers: Sequence[Server]) -> list[Missing]:
        """The images that segments cannot do without and that are not there, or not everywhere."""
        clients = [server.session.client for server in servers]
        # What the first server has was asked for already.
        folders: dict[str, HashInput] = {clients[0].url: maker.hash_input}
        folders |= {client.url: client.hash_input_file for client in clients[1:]}
        return find_missing(self.story, todo, maker.readers, maker.images, folders)

    def share(self, missing: Sequence[Missing], servers: Sequence[Server]) -> bool:
        """Fetch what some servers have and others lack; whether there was something."""
        shared = share_images(self.directory.path, missing, [server.session.client for server in servers])
        self.drawn |= shared
        return bool(shared)

    def plan(
        self, maker: JobMaker, missing: Sequence[Missing], session: Session, display: Display, note: Note, stall: float
    ) -> ReferencesRun | None:
        """What is to be drawn before the segments; None when nothing is, or nothing shall be.

        Args:
            session: the server that is to draw.

        Raises:
            VideoGenError: `workflow-invalid`, when the references workflow cannot draw them.
        """
        entities = find_drawable(self.story, missing)
        if self.workflow is None or not entities:
            return None
        graph = ReferencesGraph(self.workflow, session.object_info, maker.graph)
        return ReferencesRun(
            graph,
            entities,
            self.story,
            self.story_data,
            self.directory,
            display,
            note=note,
            stall=stall,
            session=session,
        )

    def require(self, missing: Sequence[Missing], soon: Collection[str]) -> None:
        """Refuse to begin without images that segments cannot do without.

        Args:
            soon: names of those that are drawn before the segments are rendered.

        Raises:
            VideoGenError: `reference-missing`.
        """
        problems, hint = explain_missing(one for one in missing if one.name not in soon and one.name not in self.drawn)
        if problems:
            raise ProblemList(
                "reference-missing",
                f"{self.story.title} lacks pictures",
                problems,
                f"{hint}\nNothing was submitted.",
            )
