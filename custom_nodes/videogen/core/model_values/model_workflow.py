"""A workflow that knows no story, read for one: which model it has, and which of its inputs a segment decides."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import VideoGenError
from ..graph import Graph
from ..model_profiles.graph_rules import read_unknown_model
from ..model_profiles.model import Profile, Recognized
from ..model_profiles.recognition import recognize
from ..roles.finder import find_roles
from ..roles.reader import GraphReader
from ..roles.table import Place, Role, RoleTable
from ..story.model import Segment, Story
from .values import ModelValues

#: Roles that segments write texts and numbers into.
WRITTEN: tuple[Role, ...] = (
    Role.PROMPT,
    Role.NEGATIVE,
    Role.SEED,
    Role.FRAMES,
    Role.DURATION,
    Role.FPS,
    Role.WIDTH,
    Role.HEIGHT,
    Role.RESOLUTION,
    Role.ASPECT_RATIO,
)
#: Roles of pictures that a workflow may have by itself.
OWN_FRAMES = (Role.FIRST_FRAME, Role.LAST_FRAME)
#: In place of an input in ``--bind``: what the workflow has there stays.
KEEP = "keep"
_MOST_TEXT = 60
_ROLES = {role.value: role for role in Role}


@dataclass(frozen=True)
class NamedInput:
    """An input that somebody has given a role: it has it, whatever else could."""

    role: str
    node: str
    input: str


@dataclass(frozen=True)
class Decided:
    """What a workflow itself says of a segment's part in it: it was adopted.

    Attributes:
        inputs: the only ones that segments write numbers and texts into.
        profile: of its model; None for an unknown one.
        how: how that is known, in a few words.
    """

    inputs: tuple[NamedInput, ...]
    profile: Profile | None
    how: str


@dataclass(frozen=True)
class ModelWorkflow:
    """What is known of a workflow without our nodes.

    Attributes:
        table: the roles of its inputs, as found.
        places: role → its inputs, those that somebody has named in place of those that were found.
        recognized: the model, or None for an unknown one.
        profile: of the model; of an unknown one what its graph says.
        values: the numbers that a segment writes.
        exactly: roles whose inputs somebody has named.
        written: roles whose inputs a segment writes numbers and texts into.
    """

    table: RoleTable
    places: Mapping[Role, tuple[Place, ...]]
    recognized: Recognized | None
    profile: Profile
    values: ModelValues
    exactly: frozenset[Role]
    written: tuple[Role, ...] = WRITTEN

    @property
    def own_frames(self) -> dict[Role, Any]:
        """First and last frame that the workflow has by itself, also where they are kept and no segment writes there.

        Returns:
            Role → the picture's file, or True for one that a node makes.
        """
        found: dict[Role, Any] = {}
        for role in OWN_FRAMES:
            finding = self.table.findings.get(role)
            for place in (*self.places.get(role, ()), *(finding.places if finding else ())):
                if not place.free:
                    found.setdefault(role, place.value if isinstance(place.value, str) else True)
        return found


def read_model_workflow(
    graph: Graph,
    object_info: Mapping[str, Any],
    story: Story,
    segments: Sequence[Segment],
    profiles: Sequence[Profile],
    named: Sequence[NamedInput] = (),
    kept: Collection[str] = (),
    output_node: str = "",
    decided: Decided | None = None,
) -> ModelWorkflow:
    """Read a graph without our nodes for a story.

    Args:
        object_info: schemas of the server's nodes.
        segments: those of the story that the graph renders.
        profiles: what is known of models; those of the user first.
        named: inputs whose role somebody has named.
        kept: names of roles that stay as the workflow has them.
        output_node: the node whose file is the segment, where somebody has named one.
        decided: what the workflow itself says.

    Raises:
        VideoGenError: `binding-invalid` where several inputs could have a role that the story needs.
    """
    table = find_roles(graph, object_info, output_node)
    reader = GraphReader(graph, object_info)
    places = _settle(table, reader, named, kept, decided)
    own = {*(one.role for one in named), *kept}
    _require_clear(table, story, segments, own | ({role.value for role in WRITTEN} if decided else set()))
    found = recognize(graph, object_info, profiles, reader.upstream(table.output) or None)
    if decided is not None:
        found = Recognized(decided.profile, "", decided.how) if decided.profile else None

    def read_spec(place: Place) -> Any:
        socket = reader.socket(place.node, place.input)
        return None if socket is None else [socket.kind, socket.options]

    def spec_of(role: Role) -> Any:
        return next((read_spec(place) for place in places.get(role, ())), None)

    profile = found.profile if found else None
    if profile is None:
        profile = read_unknown_model(spec_of(Role.FRAMES), spec_of(Role.WIDTH), spec_of(Role.HEIGHT))
    exactly = frozenset(_ROLES[one.role] for one in named if one.role in _ROLES)
    values = ModelValues(profile, places, read_spec, story.size, exactly)
    written = WRITTEN
    if decided is not None:
        chosen = {one.role for one in (*decided.inputs, *named)} - {*kept}
        written = tuple(role for role in WRITTEN if role.value in chosen)
    return ModelWorkflow(table, places, found, profile, values, exactly, written)


def describe_gaps(recognized: Recognized | None, places: Mapping[Role, tuple[Place, ...]]) -> Iterator[str]:
    """What is not known of a workflow, and what that means, in sentences."""
    if recognized is None:
        yield "no profile knows the model of this workflow: it gets what its nodes say that they take"
    if Role.PROMPT not in places:
        yield "no prompt was found in the workflow: what a segment says is not rendered"


def _settle(
    table: RoleTable,
    reader: GraphReader,
    named: Sequence[NamedInput],
    kept: Collection[str],
    decided: Decided | None,
) -> dict[Role, tuple[Place, ...]]:
    """The inputs of each role: those that somebody has named, before those that the workflow names, before those found."""
    places = {role: finding.places for role, finding in table.findings.items()}
    places |= _places_of(reader, decided.inputs if decided else ())
    for name in kept:
        if name in _ROLES:
            places.pop(_ROLES[name], None)
    return {**places, **_places_of(reader, named)}


def _places_of(reader: GraphReader, named: Sequence[NamedInput]) -> dict[Role, tuple[Place, ...]]:
    places: dict[Role, tuple[Place, ...]] = {}
    for one in named:
        if one.role in _ROLES:
            role = _ROLES[one.role]
            places[role] = (*places.get(role, ()), reader.place(one.node, one.input))
    return places


def _require_clear(table: RoleTable, story: Story, segments: Sequence[Segment], settled: set[str]) -> None:
    wanted = {*WRITTEN}
    if not story.style.negative and not any(segment.negative for segment in segments):
        wanted.discard(Role.NEGATIVE)
    if any(segment.begins_with_picture for segment in segments):
        wanted.add(Role.FIRST_FRAME)
    if any(segment.last_frame for segment in segments):
        wanted.add(Role.LAST_FRAME)
    problems: list[str] = []
    for role, candidates in table.ambiguous.items():
        if role in wanted and role.value not in settled:
            inputs = [place for one in candidates for place in one.places]
            listed = ", ".join(f"{place} {_shorten(place.value)}".strip() for place in inputs)
            problems.append(
                f"{len(inputs)} inputs may be the {role.value.replace('_', ' ')}, and differ: {listed}; name one, such as"
                f" --bind {role.value}={inputs[0].node}.{inputs[0].input}, or leave them as they are with --bind"
                f" {role.value}={KEEP}"
            )
    if problems:
        raise VideoGenError(
            "binding-invalid",
            "it is not clear what a segment decides in the workflow:" + "".join(f"\n- {line}" for line in problems),
            "`videogen roles` shows the whole table.",
        )


def _shorten(value: Any) -> str:
    if not isinstance(value, (str, int, float)):
        return ""
    text = " ".join(str(value).split())
    return f"“{text if len(text) <= _MOST_TEXT else text[: _MOST_TEXT - 1] + '…'}”"
