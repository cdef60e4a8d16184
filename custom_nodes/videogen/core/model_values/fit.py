"""What a segment is for a model, where the workflow's inputs are known by their specs alone: the node Fit to Model."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..errors import VideoGenError
from ..model_profiles.graph_rules import read_unknown_model
from ..model_profiles.model import Profile
from ..prompts.compile import compile_prompt
from ..prompts.model import CompiledPrompt, Given
from ..prompts.pictures import name_pictures
from ..roles.table import Place, Role
from ..segment.plan import SegmentPlan
from ..segment.references import picture_names
from ..story.model import Story
from .model_workflow import OWN_FRAMES
from .values import ModelValues

#: The model of a workflow that no profile knows: its inputs' specs say what it takes.
UNKNOWN = "unknown"
#: Roles whose values a fitted segment has besides its prompts, in the order of the node's outputs.
FITTED = (
    Role.SEED,
    Role.FRAMES,
    Role.FPS,
    Role.WIDTH,
    Role.HEIGHT,
    Role.DURATION,
    Role.ASPECT_RATIO,
    Role.RESOLUTION,
)
#: All outputs of the node.
OUTPUTS = (Role.PROMPT, Role.NEGATIVE, *FITTED)
_CHOICES = (Role.DURATION, Role.ASPECT_RATIO, Role.RESOLUTION)
#: Of an input's spec, the value that it had before the story decided it.
FORMER = "is"
_KIND = "type"
#: What of an input's options a model's rules read.
_OPTIONS = ("min", "max", "step", "options")
_MAX_TAKES = 50_000
_MAX_CHOICES = 500


@dataclass(frozen=True)
class Takes:
    """What the inputs of a workflow take, by role, and what they had.

    Attributes:
        specs: role → type and options, as in ``/object_info``.
        former: role → the value before; for first and last frame the picture that the workflow itself has, or True.
    """

    specs: Mapping[Role, Sequence[Any]] = field(default_factory=dict)
    former: Mapping[Role, Any] = field(default_factory=dict)

    def to_text(self) -> str:
        """As JSON, a line a role, for the node's widget."""
        lines = []
        for role in dict.fromkeys((*self.specs, *self.former)):
            spec = self.specs.get(role) or ["", {}]
            options = {name: spec[1][name] for name in _OPTIONS if name in spec[1]}
            record = {_KIND: spec[0], **options, **({FORMER: self.former[role]} if role in self.former else {})}
            lines.append(f"{json.dumps(role.value)}: {json.dumps(record, ensure_ascii=False)}")
        return "{" + ",\n ".join(lines) + "}" if lines else ""

    @classmethod
    def of_text(cls, text: str) -> Takes:
        """What `to_text` has written.

        Raises:
            VideoGenError: `widget-invalid`.
        """
        if len(text) > _MAX_TAKES:
            raise _invalid(f"has {len(text):,} characters, at most {_MAX_TAKES:,} are read")
        try:
            data = json.loads(text) if text.strip() else {}
        except (ValueError, RecursionError) as error:
            raise _invalid(f"is no JSON: {error}") from None
        roles = {role.value: role for role in (*FITTED, *OWN_FRAMES)}
        if not isinstance(data, dict) or not all(isinstance(one, dict) for one in data.values()):
            raise _invalid("is not an object with an object for each role")
        unknown = sorted(data.keys() - roles.keys())
        if unknown:
            raise _invalid(f"has {unknown[0]!r}, expected {', '.join(roles)}")
        for name, record in data.items():
            choices = record.get("options", [])
            if not isinstance(choices, list) or len(choices) > _MAX_CHOICES:
                raise _invalid(f"has options for {name!r} that are no list of at most {_MAX_CHOICES}")
        specs = {
            roles[name]: [str(record.get(_KIND, "")), {key: record[key] for key in _OPTIONS if key in record}]
            for name, record in data.items()
        }
        return cls(specs, {roles[name]: record[FORMER] for name, record in data.items() if FORMER in record})


def _invalid(what: str) -> VideoGenError:
    return VideoGenError(
        "widget-invalid", f"`takes` {what}", "`videogen adopt` writes it; adopt the workflow again, or leave it empty."
    )


@dataclass(frozen=True)
class FittedSegment:
    """A segment for a model.

    Attributes:
        prompts: in the model's dialect, with notes on what is cut or left out.
        values: of the roles in `FITTED`; None for a choice where none is known.
        notes: what is unusual about its length, in sentences.
    """

    prompts: CompiledPrompt
    values: Mapping[Role, Any]
    notes: Sequence[str] = ()


def fit_segment(
    story: Story,
    plan: SegmentPlan,
    profile: Profile | None,
    takes: Takes,
    size: tuple[int, int] = (0, 0),
    references: int = 0,
    first_frame: bool = False,
) -> FittedSegment:
    """Fit a segment to a model: its prompts, and the numbers that the model takes.

    Args:
        plan: of one of the story's segments.
        profile: of the model; None for an unknown one, which takes what its inputs say.
        takes: what the workflow's inputs take.
        size: width and height in pixels: as many are rendered, in the film's shape. 0: the model's native size, or the film's.
        references: how many pictures of the cast the model gets.
        first_frame: whether the model gets the picture that a segment begins with, where it has one.
    """
    former = {**takes.former}
    if all(size):
        former |= {Role.WIDTH: size[0], Role.HEIGHT: size[1]}
    elif profile is None or profile.size is None or profile.size.native is None:
        former |= {Role.WIDTH: plan.size[0], Role.HEIGHT: plan.size[1]}
    specs = takes.specs
    if profile is None:
        profile = read_unknown_model(specs.get(Role.FRAMES), specs.get(Role.WIDTH), specs.get(Role.HEIGHT))
    places = {
        role: (Place("", role.value, "", former.get(role)),) for role in FITTED if role not in _CHOICES or role in specs
    }
    values = ModelValues(profile, places, lambda place: specs.get(Role(place.input)), story.size)
    found: dict[Role, Any] = {}
    for role in FITTED:
        make = values.make_value(role, places[role][0]) if role in places else None
        found[role] = make(plan) if make is not None else former.get(role)
    if found[Role.FPS] is None:
        found[Role.FPS] = float(values.rate(plan))
    given = Given(
        first_frame=first_frame and story.segment(plan.number).begins_with_picture,
        own_first_frame=bool(takes.former.get(Role.FIRST_FRAME)),
        last_frame=bool(takes.former.get(Role.LAST_FRAME)),
        references=name_pictures(plan, picture_names(plan, references)),
        seconds=values.read_seconds(plan) if Role.FRAMES in specs else None,
    )
    length = values.describe_length(plan) if {Role.FRAMES, Role.DURATION} & specs.keys() else ""
    return FittedSegment(
        compile_prompt(story, plan.number, profile, given, plan.text), found, (length,) if length else ()
    )
