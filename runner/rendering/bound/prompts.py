"""Prompts for workflows without our nodes: a segment's text in the form that the workflow's model was trained on."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from custom_nodes.videogen.core.model_profiles.model import Profile
from custom_nodes.videogen.core.prompts.compile import compile_prompt
from custom_nodes.videogen.core.prompts.model import CompiledPrompt, Given
from custom_nodes.videogen.core.prompts.pictures import name_pictures
from custom_nodes.videogen.core.roles.table import Place, Role
from custom_nodes.videogen.core.segment.plan import SegmentPlan
from custom_nodes.videogen.core.story.model import Story

from .pictures import CastPictures


@dataclass(frozen=True)
class ModelPrompts:
    """Compiles the prompts of a story for one model.

    Attributes:
        references: the pictures of the cast that the model gets; None where the workflow takes none.
        takes_first_frame, takes_last_frame: whether the workflow takes the picture that a segment begins, or ends with.
        own_frames: of `Role.FIRST_FRAME` and `Role.LAST_FRAME` those where the workflow has a picture of its own.
        read_seconds: the length of the clip that the model makes for a segment; None where it is not known.
    """

    story: Story
    profile: Profile
    references: CastPictures | None = None
    takes_first_frame: bool = False
    takes_last_frame: bool = False
    own_frames: Collection[Role] = ()
    read_seconds: Callable[[SegmentPlan], Fraction | None] = lambda plan: None
    # Its key, its prompts and its record ask for the same segment, and reading a shot takes a millisecond.
    _compiled: dict[tuple[int, str], CompiledPrompt] = field(default_factory=dict, compare=False, repr=False)

    def compile(self, plan: SegmentPlan) -> CompiledPrompt:
        """The prompts of a segment, with notes on what is cut or left out."""
        known = self._compiled.get((plan.number, plan.text))
        if known is None:
            known = self._compiled[plan.number, plan.text] = self._compile(plan)
        return known

    def _compile(self, plan: SegmentPlan) -> CompiledPrompt:
        segment = self.story.segment(plan.number)
        files = self.references.names(plan) if self.references else []
        given = Given(
            first_frame=self.takes_first_frame and segment.begins_with_picture,
            own_first_frame=Role.FIRST_FRAME in self.own_frames,
            last_frame=(self.takes_last_frame and bool(segment.last_frame)) or Role.LAST_FRAME in self.own_frames,
            references=name_pictures(plan, files),
            seconds=self.read_seconds(plan),
        )
        return compile_prompt(self.story, plan.number, self.profile, given, plan.text)

    def make_value(self, role: Role, place: Place) -> Callable[[SegmentPlan], Any]:
        """The function that makes the text of an input with the role of a prompt or negative prompt.

        Without one, in the story or for the model, the workflow's own stays: templates have the negative prompt that is usual.
        """
        if role is Role.NEGATIVE:
            return lambda plan: self.compile(plan).negative or place.value
        return lambda plan: self.compile(plan).text or place.value
