"""The images of a run's cast: existing ones are used, those that some servers lack are shared, missing ones are drawn."""

from __future__ import annotations

import functools
from collections.abc import Collection, Sequence
from pathlib import Path

from custom_nodes.videogen.core.errors import ProblemList
from custom_nodes.videogen.media.story_file import LoadedStory

from ..comfyui.servers import Server
from ..comfyui.session import Session
from ..rendering.jobs import JobMaker
from ..rendering.run_log import RunLog
from ..state.run_directory import RunDirectory
from ..workflows.story_images import HashInput, Missing, StoryImages, explain_missing, find_missing
from ..workflows.workflow import Workflow
from .generate import ReferencesRun, find_drawable, find_kept, find_stale, share_images
from .graph import ReferencesGraph
from .provenance import ReadInput, hide_foreign


class CastImages:
    """The images of the cast that a run needs.

    Args:
        workflow: draws the reference images that no server has; None: they are not drawn.

    Attributes:
        drawn: images in the run directory, by the names that the story has for them.
    """

    def __init__(self, story: LoadedStory, directory: RunDirectory, workflow: Workflow | None) -> None:
        self.loaded, self.story = story, story.story
        self.directory, self.workflow = directory, workflow
        self.drawn: dict[str, Path] = {}

    def look(self, hash_input: HashInput, read_input: ReadInput) -> HashInput:
        """Find what earlier runs in this directory have drawn.

        Returns:
            `hash_input` without the images that were drawn from another description or seed, whichever run has drawn them.
        """
        known = self.hide_stale(hash_input, read_input)
        self.drawn = find_kept(self.directory.path, self.story, known)
        return known

    def hide_stale(self, hash_input: HashInput, read_input: ReadInput) -> HashInput:
        """`hash_input` of another server without the images that were drawn from another description or seed."""
        # By this directory's record, as servers with an older pack write no key into images; and by what the images say.
        stale = find_stale(self.directory.path, self.story, hash_input)
        looked = hide_foreign(self.story, functools.cache(hash_input), read_input)
        return lambda name: "" if name in stale else looked(name)

    def local_images(self) -> StoryImages:
        """Images that need not be on the servers: those next to the story, and those drawn."""
        return StoryImages(self.loaded.folder, self.story.slug, self.drawn)

    def require_pictures(self) -> None:
        """Decode the pictures next to the story: a file that is none is told before anything is submitted.

        Raises:
            VideoGenError: `image-invalid`, `path-invalid`.
        """
        self.local_images().require_pictures(self.story)

    def find_missing(self, maker: JobMaker, todo: Sequence[int], servers: Sequence[Server]) -> list[Missing]:
        """Images that segments cannot do without and that some or all servers lack."""
        clients = [server.session.client for server in servers]
        # The first server was asked already.
        folders: dict[str, HashInput] = {clients[0].url: maker.hash_input}
        folders |= {
            client.url: self.hide_stale(client.hash_input_file, client.read_input_file) for client in clients[1:]
        }
        keyframes = {number: maker.keyframes_of(number) for number in todo}
        return find_missing(self.story, todo, maker.image_inputs, maker.images, folders, keyframes)

    def share(self, missing: Sequence[Missing], servers: Sequence[Server]) -> bool:
        """Fetch images that some servers have and others lack.

        Returns:
            Whether there were any.
        """
        shared = share_images(self.directory.path, missing, [server.session.client for server in servers])
        self.drawn |= shared
        return bool(shared)

    def plan(
        self, maker: JobMaker, missing: Sequence[Missing], session: Session, log: RunLog, stall: float
    ) -> ReferencesRun | None:
        """The images to draw before the segments; None when there are none, or drawing is off.

        Args:
            session: the server that draws.

        Raises:
            VideoGenError: `workflow-invalid`, when the references workflow cannot draw them.
        """
        entities = find_drawable(self.story, missing)
        if self.workflow is None or not entities:
            return None
        graph = ReferencesGraph(self.workflow, session.object_info, maker.graph)
        return ReferencesRun(graph, entities, self.loaded, self.directory, log, stall=stall, session=session)

    def require(self, missing: Sequence[Missing], to_draw: Collection[str]) -> None:
        """Refuse to begin without images that segments cannot do without.

        Args:
            to_draw: names of those that will be drawn before the segments.

        Raises:
            VideoGenError: `reference-missing`.
        """
        problems, hint = explain_missing(
            one for one in missing if one.name not in to_draw and one.name not in self.drawn
        )
        if problems:
            raise ProblemList(
                "reference-missing",
                f"{self.story.title} lacks pictures",
                problems,
                f"{hint}\nNothing was submitted.",
            )
