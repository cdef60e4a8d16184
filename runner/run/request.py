"""The request for a run, and its result."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from custom_nodes.videogen.core.errors import SEGMENTS_FAILED, VideoGenError
from custom_nodes.videogen.media.film.compile import FilmReport
from custom_nodes.videogen.media.story_file import LoadedStory

from ..state.run_directory import KEEP_RESULTS
from ..workflows.own_workflows import WorkflowUse, list_uses
from ..workflows.workflow import Workflow


@dataclass
class RunRequest:
    """Everything that a run needs to know.

    Attributes:
        loaded: the story, with its data and its folder.
        workflow: of the segments that name none of their own.
        out: the run directory.
        servers: addresses of running ComfyUIs; without one a ComfyUI is started.
        headers: sent to every server; never stored.
        selection: numbers of the segments to render, or None for all.
        bindings: ``NAME=NODE.INPUT`` for workflows without VideoGenSegment.
        settings: ``NODE.INPUT=VALUE``.
        quality: the quality preset that was asked for, which `loaded` has already; None: the story's own.
        retries: how often a segment is rendered again, with the next seed, after a node has failed.
        takes: how many takes a segment may have, where the workflow measures its continuity; the best one is kept.
        fresh: render everything again.
        keep_results: bytes of replaced results that are kept for the case that their text is wanted again.
        film: make the film.
        strict: make no film when a segment is missing or older than the story.
        stall: seconds without progress after which a server counts as hung.
        patience: seconds to wait for a remote server that went away.
        adopt: take files that are there in place of verified ones, instead of rendering their segments again.
        references: the workflow that draws missing reference images; None: they are not drawn.
        own: the workflows of segments that name one, by their numbers; a file that several name is the same object.
    """

    loaded: LoadedStory
    workflow: Workflow
    out: Path
    servers: tuple[str, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    selection: tuple[int, ...] | None = None
    bindings: list[str] = field(default_factory=list)
    settings: list[str] = field(default_factory=list)
    quality: str | None = None
    retries: int = 2
    takes: int = 3
    fresh: bool = False
    keep_results: int = KEEP_RESULTS
    film: bool = True
    strict: bool = False
    stall: float = 900.0
    patience: float = 600.0
    adopt: bool = False
    references: Workflow | None = None
    own: Mapping[int, Workflow] = field(default_factory=dict)

    @property
    def wanted(self) -> tuple[int, ...]:
        """Numbers of the segments that are to be done when the run ends."""
        return self.selection or tuple(segment.number for segment in self.loaded.story.segments)

    @property
    def uses(self) -> list[WorkflowUse]:
        """The workflows of all segments of the story, that of ``--workflow`` first where any is rendered with it."""
        return list_uses(self.loaded.story, self.workflow, self.own)


@dataclass(frozen=True)
class RunResult:
    """How a run ended: rendered now, done before, failed, and the film if one was made."""

    directory: Path
    rendered: tuple[int, ...]
    kept: tuple[int, ...]
    failed: dict[int, VideoGenError]
    film: FilmReport | None

    @property
    def exit_status(self) -> int:
        return SEGMENTS_FAILED if self.failed else 0
