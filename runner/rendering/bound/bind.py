"""Binding a story to a workflow that knows none: its roles, the user's own bindings, and the values that segments write."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import islice
from typing import Any

from custom_nodes.videogen.core.graph import Graph, is_link
from custom_nodes.videogen.core.model_profiles.model import Profile, Recognized
from custom_nodes.videogen.core.model_values.model_workflow import (
    WRITTEN,
    Decided,
    NamedInput,
    describe_gaps,
    read_model_workflow,
)
from custom_nodes.videogen.core.model_values.values import ModelValues
from custom_nodes.videogen.core.roles.reader import grown_names
from custom_nodes.videogen.core.roles.savers import find_savers
from custom_nodes.videogen.core.roles.table import Place, Role
from custom_nodes.videogen.core.segment.plan import plan_segment
from custom_nodes.videogen.core.story.model import Segment, Story

from ...workflows.bindings import Binding, InputRef
from ...workflows.own_workflows import name_segments
from .pictures import CastPictures, PictureInput, make_picture_input
from .prompts import ModelPrompts

_NODE = "videogen_{}"
#: Lengths of segments that are looked at for notes.
_MOST_LENGTHS = 20


@dataclass(frozen=True)
class FixedInputs:
    """What a user has said of a workflow's inputs.

    Attributes:
        named: inputs that the user has bound: they have their roles, whatever else could have them.
        kept: names of roles that stay as the workflow has them.
        settings: inputs that have a value of the user's own, which is meant as it is.
        output_node: the node whose file is the segment, where the user has named one; else "".
        decided: what an adopted workflow says by itself.
    """

    named: Sequence[Binding] = ()
    kept: Collection[str] = ()
    settings: Collection[InputRef] = ()
    output_node: str = ""
    decided: Decided | None = None


@dataclass(frozen=True)
class BoundRoles:
    """What a segment decides in a workflow.

    Attributes:
        bindings: texts and numbers, those that the user has named included.
        first_frame, last_frame: for the images that a segment begins and ends with.
        references: for the pictures of its cast; None where the workflow takes none.
        recognized: the model, or None for an unknown one.
        values: the numbers that its model gets.
        prompts: the texts that its model gets; None where no prompt was found, or it is the text as the story composes it.
        notes: what a user should know, in sentences.
        output_node: where several nodes save, the one that was found to save the clip; else "".
    """

    bindings: Sequence[Binding] = ()
    first_frame: Sequence[PictureInput] = ()
    last_frame: Sequence[PictureInput] = ()
    references: CastPictures | None = None
    recognized: Recognized | None = None
    values: ModelValues | None = None
    prompts: ModelPrompts | None = None
    notes: Sequence[str] = field(default=())
    output_node: str = ""


def bind_roles(
    graph: Graph,
    object_info: Mapping[str, Any],
    story: Story,
    profiles: Sequence[Profile],
    fixed: FixedInputs,
    numbers: Collection[int] | None = None,
    shared: int = 0,
) -> BoundRoles:
    """Find what a segment decides in a graph without our nodes.

    Args:
        object_info: schemas of the server's nodes.
        profiles: those of the user first.
        fixed: what the user has said of the graph's inputs.
        numbers: of the segments that are rendered with the graph; None for all.
        shared: frames at the beginning of a segment that continues another, which that one shows already.

    Raises:
        VideoGenError: `binding-invalid` where several inputs could have a role that the story needs.
    """
    named = fixed.named
    segments = [one for one in story.segments if numbers is None or one.number in numbers]
    model = read_model_workflow(
        graph,
        object_info,
        story,
        segments,
        profiles,
        [NamedInput(one.value, one.target.node_id, one.target.name) for one in named],
        fixed.kept,
        fixed.output_node,
        fixed.decided,
    )
    table, places, profile, values = model.table, model.places, model.profile, model.values
    # An input that the user has named gets the story's own text, as ever, unless it is that of a video model.
    as_composed = frozenset() if values.is_known_video else model.exactly
    first_frames = _border(graph, places, Role.FIRST_FRAME, segments, lambda one: one.begins_with_picture)
    last_frames = _border(graph, places, Role.LAST_FRAME, segments, lambda one: one.last_frame)
    counted = {InputRef(place.node, place.input) for place in places.get(Role.FRAMES, ())}
    if (
        shared
        and first_frames
        and values.counts_frames
        and Role.FRAMES in model.written
        and not counted & {*fixed.settings}
    ):
        values = replace(values, shared={one.number: shared for one in segments if one.continues})
    references = _references(graph, object_info, story, places, profile)
    prompts = ModelPrompts(
        story, profile, references, bool(first_frames), bool(last_frames), model.own_frames, values.read_seconds
    )
    bindings = [one for one in named if one.value not in {role.value for role in WRITTEN}]
    for role in model.written:
        writer = prompts if role in (Role.PROMPT, Role.NEGATIVE) and role not in as_composed else values
        for place in places.get(role, ()):
            make, target = writer.make_value(role, place), InputRef(place.node, place.input)
            if make is not None and target not in fixed.settings:
                bindings.append(Binding(role.value, target, make))
    notes = [*table.notes, *_describe_model(model.recognized, values)]
    if any(binding.value in (Role.FRAMES.value, Role.DURATION.value) for binding in bindings):
        notes += _note_lengths(values, story, segments)
    return BoundRoles(
        bindings,
        first_frames,
        last_frames,
        references,
        model.recognized,
        values,
        prompts if Role.PROMPT in places and Role.PROMPT not in as_composed else None,
        notes,
        table.output[0] if len(table.output) == 1 and len(find_savers(graph, object_info)) > 1 else "",
    )


# ------------------------------------------------------------------ pictures


def _border(
    graph: Graph,
    places: Mapping[Role, Sequence[Place]],
    role: Role,
    segments: Sequence[Segment],
    has: Callable[[Segment], object],
) -> list[PictureInput]:
    """The places for the pictures that segments begin or end with; none where no segment has one."""
    if not any(map(has, segments)):
        return []
    name = _NODE.format(role.value)
    found = (make_picture_input(graph, place, name) for place in places.get(role, ()))
    return [one for one in found if one is not None]


def _references(
    graph: Graph,
    object_info: Mapping[str, Any],
    story: Story,
    places: Mapping[Role, Sequence[Place]],
    profile: Profile,
) -> CastPictures | None:
    if not story.characters and not story.objects and not story.locations:
        return None
    every = [
        grown for place in places.get(Role.REFERENCE, ()) for grown in (grow(graph, object_info, place) or [place])
    ]
    consumers = _find_consumers(graph)
    found = [
        make_picture_input(
            graph,
            place,
            _NODE.format(f"reference_{n}"),
            () if place.free else _grown_sockets(graph, object_info, consumers[place.node]),
        )
        for n, place in enumerate(every, 1)
    ]
    inputs = [one for one in found if one is not None]
    return CastPictures(inputs, profile.inputs.references) if inputs else None


def grow(graph: Graph, object_info: Mapping[str, Any], place: Place) -> list[Place]:
    """The free places of an input that grows, beginning with a free one of it; none for other inputs."""
    options = _growth(object_info, place.class_type, base := place.input.rpartition(".")[0])
    if not place.free or options is None:
        return []
    taken = graph[place.node]["inputs"]
    return [replace(place, input=f"{base}.{name}") for name in grown_names(options) if f"{base}.{name}" not in taken]


def _growth(object_info: Mapping[str, Any], class_type: str, name: str) -> dict[str, Any] | None:
    """The options of an input that grows; None for other inputs."""
    schema = (object_info.get(class_type) or {}).get("input") or {}
    spec = {**(schema.get("required") or {}), **(schema.get("optional") or {})}.get(name)
    return spec[1] if isinstance(spec, list) and len(spec) > 1 and isinstance(spec[1], dict) else None


def _find_consumers(graph: Graph) -> dict[str, list[InputRef]]:
    """Node → the inputs that are linked to it."""
    found: dict[str, list[InputRef]] = defaultdict(list)
    for key, node in graph.items():
        for name, value in node["inputs"].items():
            if is_link(value):
                found[value[0]].append(InputRef(key, name))
    return found


def _grown_sockets(graph: Graph, object_info: Mapping[str, Any], sockets: Sequence[InputRef]) -> tuple[InputRef, ...]:
    """The sockets that a picture goes to, where all of them belong to inputs that grow and need none; else none."""

    def may_be_empty(socket: InputRef) -> bool:
        base, _, name = socket.name.rpartition(".")
        options = _growth(object_info, graph[socket.node_id]["class_type"], base) or {}
        names, template = grown_names(options), options.get("template")
        least = template.get("min") if isinstance(template, dict) else None
        return name in names and isinstance(least, int) and names.index(name) >= least

    return tuple(sockets) if all(map(may_be_empty, sockets)) else ()


# ------------------------------------------------------------------ what a user should know


def _describe_model(found: Recognized | None, values: ModelValues) -> Iterator[str]:
    if found is not None:
        yield f"the model is {found.profile.title} ({found.how})"
    yield from describe_gaps(found, values.places)


def _note_lengths(values: ModelValues, story: Story, segments: Sequence[Segment]) -> list[str]:
    """What is unusual about the lengths of segments, and of which ones."""
    lengths: dict[tuple[Fraction, int], list[int]] = defaultdict(list)
    for segment in segments:
        lengths[segment.duration, values.shared.get(segment.number, 0)].append(segment.number)
    said = {
        name_segments(numbers): values.describe_length(plan_segment(story, numbers[0]))
        for numbers in islice(lengths.values(), _MOST_LENGTHS)
    }
    return [f"{names}: {note}" for names, note in said.items() if note]
