"""The jobs of a run whose segments are rendered with several workflows: each with that of its segment."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Protocol

from custom_nodes.videogen.core.story.model import Lora, Story

from ...workflows.story_images import StoryImage
from ..bound.prompts import ModelPrompts
from ..jobs import Job, JobMaker
from ..kept_results import Keys
from ..retries import Variant


class SegmentJobs(Keys, Protocol):
    """Makes the jobs of a story's segments; see `JobMaker`, which does it with one workflow for all of them."""

    @property
    def story(self) -> Story: ...

    def source(self, number: int) -> int | None: ...

    def make(self, number: int, key: str = "", variant: Variant | None = None, first_frame: str = "") -> Job: ...

    def images_of(self, number: int) -> list[StoryImage]: ...


class JobMakers:
    """Makes each segment's jobs with its workflow.

    Args:
        makers: by the segments' numbers. Segments without one, whose workflow no server of the run knows, have no jobs.
    """

    def __init__(self, story: Story, makers: Mapping[int, JobMaker]) -> None:
        self.story = story
        self._makers = makers
        #: Each of them once, with the numbers of its segments.
        self.workflows: list[tuple[JobMaker, list[int]]] = []
        for number, maker in sorted(makers.items()):
            numbers = next((numbers for other, numbers in self.workflows if other is maker), None)
            if numbers is None:
                self.workflows.append((maker, [number]))
            else:
                numbers.append(number)

    def of(self, number: int) -> JobMaker:
        """The maker of a segment's jobs."""
        return self._makers[number]

    def knows(self, number: int) -> bool:
        """Whether a segment has jobs."""
        return number in self._makers

    def source(self, number: int) -> int | None:
        """See `JobMaker.source`."""
        return self.of(number).source(number)

    def key(self, number: int, begins_from: str = "") -> str:
        """See `JobMaker.key`."""
        return self.of(number).key(number, begins_from)

    def former_keys(self, number: int, begins_from: str = "") -> Iterator[str]:
        """See `JobMaker.former_keys`."""
        return self.of(number).former_keys(number, begins_from)

    def make(self, number: int, key: str = "", variant: Variant | None = None, first_frame: str = "") -> Job:
        """See `JobMaker.make`."""
        return self.of(number).make(number, key, variant, first_frame)

    def images_of(self, number: int) -> list[StoryImage]:
        """See `JobMaker.images_of`."""
        return self.of(number).images_of(number)

    def prompts(self) -> dict[int, ModelPrompts]:
        """What writes the prompts of segments in their models' own form, by the segments' numbers; see `BoundRoles.prompts`."""
        return {number: found for number, maker in self._makers.items() if (found := maker.roles.prompts) is not None}


def group_by_loras(story: Story, numbers: Iterable[int]) -> dict[tuple[Lora, ...], list[int]]:
    """Segments of one workflow by their LoRAs: those of a group have graphs with the same nodes."""
    groups: dict[tuple[Lora, ...], list[int]] = {}
    for number in numbers:
        groups.setdefault(story.segment(number).loras, []).append(number)
    return groups
