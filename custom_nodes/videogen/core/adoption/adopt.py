"""The workflow with the story's nodes in it, connected to what a segment decides."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from ..errors import VideoGenError
from ..graph import FIT_NODE, SEGMENT_NODE, STORY_NODE, Graph, nodes_of
from ..model_profiles.model import Profile
from ..model_values.choices import choose_aspect_ratio, choose_size
from ..model_values.fit import FITTED, OUTPUTS, UNKNOWN, Takes
from ..model_values.model_workflow import WRITTEN, ModelWorkflow, NamedInput, describe_gaps, read_model_workflow
from ..model_values.values import read_choices_of
from ..roles.table import IMAGE_ROLES, Place, Role
from ..story.model import Story
from ..story.parser import parse_story
from .editing import EditedWorkflow, Node
from .first_story import write_first_story
from .layout import Layout

#: Types of the outputs; the numbers go into inputs of any type.
_TYPES = {Role.PROMPT: "STRING", Role.NEGATIVE: "STRING"}
_SEGMENT_OUTPUTS = (
    ("segment", "SEGMENT"),
    ("prompt", "STRING"),
    ("negative", "STRING"),
    ("seed", "INT"),
    ("frames", "INT"),
    ("fps", "FLOAT"),
    ("width", "INT"),
    ("height", "INT"),
)
_MOST_FORMER = 4000
_NAME = "Node name for S&R"


@dataclass(frozen=True)
class AdoptedWorkflow:
    """A workflow that tells a story.

    Attributes:
        ui: as the editor opens it.
        notes: what somebody should know, in sentences.
    """

    ui: dict[str, Any]
    notes: Sequence[str]


@dataclass(frozen=True)
class Wishes:
    """What somebody wants of an adoption.

    Attributes:
        title: of the film, where the workflow's own prompt becomes its first story.
        story: the story, with its text; None for the workflow's own prompt.
        named, kept, output_node: as for `read_model_workflow`.
        find_profile_text: by a profile's name, the text of the file that it alone is in; "" where the node knows it.
    """

    title: str = "Film"
    story: tuple[Story, str] | None = None
    named: Sequence[NamedInput] = ()
    kept: Collection[str] = ()
    output_node: str = ""
    find_profile_text: Callable[[str], str] = lambda name: ""


def adopt(
    ui: Mapping[str, Any],
    graph: Graph,
    object_info: Mapping[str, Any],
    profiles: Sequence[Profile],
    wishes: Wishes | None = None,
) -> AdoptedWorkflow:
    """Read a workflow, and put the story's nodes into it.

    Args:
        ui: the workflow as the editor saves it, with its links as lists.
        graph: the same as servers take it.
        object_info: schemas of the nodes in it.
        profiles: what is known of models; those of the user first.

    Raises:
        VideoGenError: `workflow-invalid`, also for one that was adopted already; `binding-invalid` where several inputs could
            have a role that a segment needs.
    """
    wishes = wishes or Wishes()
    ours = [node_id for kind in (SEGMENT_NODE, FIT_NODE) for node_id in nodes_of(graph, kind)]
    if ours:
        raise VideoGenError(
            "workflow-invalid",
            f"the workflow knows stories already: node {ours[0]} is {graph[ours[0]]['class_type']}",
            "Run it as it is.",
        )
    story = wishes.story[0] if wishes.story else parse_story([{"prompt": "any"}])
    model = read_model_workflow(
        graph, object_info, story, story.segments, profiles, wishes.named, wishes.kept, wishes.output_node
    )
    if not any(model.places.get(role) for role in WRITTEN):
        raise VideoGenError(
            "workflow-invalid",
            "no input that a segment could decide was found in the workflow"
            + "".join(f"; {one}" for one in model.table.notes),
            "`videogen roles` shows what was found; name inputs with --bind, such as --bind prompt=6.text.",
        )
    text = wishes.story[1] if wishes.story else write_first_story(model, wishes.title)
    return adopt_workflow(ui, model, text, wishes.find_profile_text(model.profile.name) if model.recognized else "")


def adopt_workflow(
    ui: Mapping[str, Any], model: ModelWorkflow, story_text: str, profile_text: str = ""
) -> AdoptedWorkflow:
    """Put the story's nodes into a workflow.

    Args:
        ui: the workflow as the editor saves it, with its links as lists.
        model: what is known of its graph.
        story_text: the story in the new Story node, as JSON or YAML.
        profile_text: the file with the model's profile, where it is the user's own.

    Raises:
        VideoGenError: `workflow-invalid`.
    """
    data = copy.deepcopy(dict(ui))
    layout = Layout.of(data)
    decided = list(_decided(model))
    edited = EditedWorkflow(data, {(place.node, place.input) for _, place in decided})
    story = edited.add_node(_make(STORY_NODE, layout.story, ["text below", story_text], [("story", "STORY")]))
    segment = edited.add_node(
        _make(SEGMENT_NODE, layout.segment, [1, "fixed", "", False], _SEGMENT_OUTPUTS, [("story", "STORY")])
    )
    fit = edited.add_node(
        _make(
            FIT_NODE,
            layout.fit,
            _fit_widgets(model, decided, profile_text),
            [(role.value, _TYPES.get(role, "*")) for role in OUTPUTS],
            [("story", "STORY"), ("segment", "SEGMENT")],
        )
    )
    edited.connect(story, 0, segment, "story")
    edited.connect(story, 0, fit, "story")
    edited.connect(segment, 0, fit, "segment")
    for role, place in decided:
        kind = str((model.values.read_spec(place) or ["*"])[0])
        edited.connect_inside(fit, OUTPUTS.index(role), place.node, place.input, kind, place.value)
    note = edited.add_node(_make_note(layout.note, decided, model))
    note.pop("inputs", None)
    data.setdefault("groups", []).append(layout.group(_next_group(data)))
    return AdoptedWorkflow(data, tuple(_notes(model, decided)))


def _decided(model: ModelWorkflow) -> Iterator[tuple[Role, Place]]:
    """The inputs that a segment decides, whatever the shape of its film."""
    values = model.values
    for role in model.written:
        for place in model.places.get(role, ()):
            if role in (Role.PROMPT, Role.NEGATIVE):
                yield role, place
            elif role in (Role.ASPECT_RATIO, Role.RESOLUTION):
                options = read_choices_of(values.read_spec(place))
                square = Fraction(1)
                chosen = (
                    choose_aspect_ratio(options, square)
                    if role is Role.ASPECT_RATIO
                    else choose_size(options, square, place.value)
                )
                if chosen is not None:
                    yield role, place
            elif values.make_value(role, place) is not None:
                yield role, place


def _fit_widgets(model: ModelWorkflow, decided: list[tuple[Role, Place]], profile_text: str) -> list[Any]:
    def former(role: Role, default: Any) -> Any:
        return next((place.value for one, place in decided if one is role and not place.linked), default)

    specs: dict[Role, Any] = {}
    before: dict[Role, Any] = {}
    for role, place in decided:
        if role in FITTED:
            specs.setdefault(role, model.values.read_spec(place) or ["*", {}])
            if role not in (Role.SEED, Role.WIDTH, Role.HEIGHT) and not place.linked and place.value is not None:
                before.setdefault(role, place.value)
    rate = model.places.get(Role.FPS, ())
    if rate and Role.FPS not in before and isinstance(rate[0].value, (int, float)):
        before[Role.FPS] = rate[0].value
    before |= model.own_frames
    size = [former(role, 0) for role in (Role.WIDTH, Role.HEIGHT)]
    width, height = size if all(isinstance(side, int) for side in size) else (0, 0)
    references = len(model.places.get(Role.REFERENCE, ()))
    most = model.profile.inputs.references
    return [
        model.profile.name if model.profile.known and not profile_text else UNKNOWN,
        width,
        height,
        str(former(Role.NEGATIVE, "") or ""),
        references if most is None else min(references, most),
        bool(model.places.get(Role.FIRST_FRAME)),
        Takes(specs, before).to_text(),
        profile_text,
    ]


def _make(
    kind: str,
    box: Sequence[float],
    values: list[Any],
    outputs: Sequence[tuple[str, str]],
    inputs: Sequence[tuple[str, str]] = (),
) -> Node:
    return {
        "type": kind,
        "pos": [*box[:2]],
        "size": [*box[2:]],
        "inputs": [{"name": name, "type": socket, "link": None} for name, socket in inputs],
        "outputs": [{"name": name, "type": socket, "links": []} for name, socket in outputs],
        "properties": {_NAME: kind},
        "widgets_values": values,
    }


def _make_note(box: Sequence[float], decided: list[tuple[Role, Place]], model: ModelWorkflow) -> Node:
    lines = [
        "## Adopted by videogen",
        "",
        "The story is in *Story*: choose a file there, or paste one. `index` of *Segment* is what the editor renders;"
        " `videogen run` renders all.",
        "",
        "### Former values",
        "",
    ]
    for role, place in decided:
        value = "a link" if place.linked else json.dumps(place.value, ensure_ascii=False)
        shown = value if len(value) <= _MOST_FORMER else f"{value[: _MOST_FORMER - 1]}…"
        lines.append(f"- {role.value.replace('_', ' ')}, {place}: {shown}")
    pictures = [
        f"- {role.value.replace('_', ' ')}: node {', '.join(place.node for place in places)}"
        for role in IMAGE_ROLES
        if (places := [place for place in model.places.get(role, ()) if not place.free])
    ]
    if pictures:
        lines += [
            "",
            "### Pictures",
            "",
            "`videogen run` puts a segment's own into these; in the editor choose them there.",
            "",
        ]
    node = _make("MarkdownNote", box, ["\n".join([*lines, *pictures])], [])
    return {**node, "title": "Before the story", "color": "#432", "bgcolor": "#653"}


def _next_group(data: Mapping[str, Any]) -> int:
    return max((one.get("id") or 0 for one in data.get("groups") or [] if isinstance(one, dict)), default=0) + 1


def _notes(model: ModelWorkflow, decided: list[tuple[Role, Place]]) -> Iterator[str]:
    yield from model.table.notes
    yield from describe_gaps(model.recognized, model.places)
    for role, candidates in model.table.ambiguous.items():
        if role not in model.exactly:
            inputs = ", ".join(f"{place.node}.{place.input}" for one in candidates for place in one.places)
            yield f"{role.value.replace('_', ' ')}: it is not clear which of {inputs} it is; they stay as they are"
    for role, place in decided:
        if place.linked:
            yield f"{role.value.replace('_', ' ')}: {place} was connected to node {place.value[0]}, which the story replaces"
