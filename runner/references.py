"""Pictures of a story's cast on the way to the servers: who reads them, where they lie, and which are missing."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from custom_nodes.videogen.core.errors import Problem, VideoGenError
from custom_nodes.videogen.core.plan import SegmentPlan, plan_segment
from custom_nodes.videogen.core.references import (
    DEFAULT_WEIGHTS,
    Role,
    cast_of,
    cast_roles,
    mask_name,
    missing_picture,
    name_nobody,
    reference_names,
    story_cast,
    story_place,
)
from custom_nodes.videogen.core.selection import format_selection
from custom_nodes.videogen.core.story import Entity, Story
from custom_nodes.videogen.media.picture_files import find_file
from custom_nodes.videogen.media.probe import hash_file

from .workflow import CONTINUITY_NODE, Graph, is_link, nodes_of

#: The nodes that read the pictures of a segment's cast, and the one that gives pictures of the graph instead.
READER_NODES = ("VideoGenApplyCharacters", CONTINUITY_NODE)
REFERENCE_NODE = "VideoGenReference"
_GO_ON = "go on without"

#: SHA-256 of a file in a server's input folder, or "" when it is not there.
HashInput = Callable[[str], str]


@dataclass(frozen=True)
class Reader:
    """A node that reads the pictures of a segment's cast.

    Attributes:
        weights: kind → weight of those whose story gives none.
        must_be_there: the node stops when a picture is missing.
        given: names of those whom the graph itself shows.
        given_by_others: somebody else gives pictures too, nobody knows of whom.
    """

    weights: Mapping[str, float]
    must_be_there: bool
    given: frozenset[str]
    given_by_others: bool

    def roles(self, plan: SegmentPlan) -> list[Role]:
        """Who is kept the same by pictures in a segment."""
        return cast_roles(plan, self.weights, self.given)


def find_readers(graph: Graph) -> list[Reader]:
    """The nodes of a graph that read pictures."""
    readers = []
    for kind in READER_NODES:
        for node_id in nodes_of(graph, kind):
            inputs = graph[node_id]["inputs"]
            given, given_by_others = _given_names(graph, inputs.get("references"))
            weights = {key: inputs.get(f"{key}_weight", default) for key, default in DEFAULT_WEIGHTS.items()}
            # A widget that is linked has no value yet: any but 0 reads the pictures.
            known = {key: weight if _is_number(weight) else DEFAULT_WEIGHTS[key] for key, weight in weights.items()}
            # The continuity node never stops for a picture: it says that there was none.
            missing = _GO_ON if kind == CONTINUITY_NODE else inputs.get("missing", "stop")
            readers.append(Reader(known, missing != _GO_ON and not is_link(missing), given, given_by_others))
    return readers


def find_strangers(graph: Graph, story: Story) -> list[Problem]:
    """One problem for each VideoGenReference whose name nobody in the whole story has."""
    cast = story_cast(story)
    known = {entity.name for entity in cast}
    names = {node_id: graph[node_id]["inputs"].get("name") for node_id in nodes_of(graph, REFERENCE_NODE)}
    return [
        Problem(f"node {node_id} ({REFERENCE_NODE})", name_nobody(name.strip(), cast))
        for node_id, name in names.items()
        if isinstance(name, str) and name.strip() and name.strip() not in known
    ]


def _given_names(graph: Graph, link: object) -> tuple[frozenset[str], bool]:
    """The names in a chain of VideoGenReference, and whether something else is in it."""
    names: set[str] = set()
    seen: set[str] = set()
    while is_link(link):
        assert isinstance(link, list)
        node = graph.get(link[0])
        if node is None or node["class_type"] != REFERENCE_NODE or link[0] in seen:
            return frozenset(names), True
        seen.add(link[0])
        name = node["inputs"].get("name")
        if not isinstance(name, str):
            return frozenset(names), True
        names.add(name.strip())
        link = node["inputs"].get("references")
    return frozenset(names), False


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


# ------------------------------------------------------------------ pictures beside the story


@dataclass(frozen=True)
class StoryPicture:
    """A picture that lies beside a story.

    Attributes:
        name: its name in the servers' input folders. With its hash in it, so that nothing of a user's is overwritten there,
            and another picture has another name.
    """

    path: Path
    sha256: str
    name: str


class StoryPictures:
    """The pictures and masks of a story's cast that lie beside its file, under the names that the story has for them.

    They come before those in a server's input folder: who gives a story away with its pictures means these.

    Args:
        folder: of the story's file; None when there is none.
        slug: of the story.
        drawn: name → picture that a run has drawn itself, for those that do not lie there.
    """

    def __init__(self, folder: Path | None, slug: str, drawn: Mapping[str, Path] | None = None) -> None:
        self._folder, self._slug, self._drawn = folder, slug, drawn or {}
        self._found: dict[str, StoryPicture | None] = {}

    def find(self, name: str) -> StoryPicture | None:
        """The picture of that name, or None when it does not lie beside the story.

        Raises:
            VideoGenError: `path-invalid` when a link leads out of the folder, or the file cannot be read.
        """
        if name not in self._found:
            path = find_file(self._folder, name) if self._folder is not None else None
            path = path or self._drawn.get(name)
            self._found[name] = self._describe(path) if path is not None else None
        return self._found[name]

    def names_for_servers(self, story: Story) -> dict[str, str]:
        """The story's names of all pictures and masks that lie beside it, and their names on the servers."""
        names = {
            name for entity in story_cast(story) for name in (*reference_names(story.slug, entity), mask_name(entity))
        }
        found = {name: self.find(name) for name in sorted(names) if name}
        return {name: picture.name for name, picture in found.items() if picture is not None}

    def _describe(self, path: Path) -> StoryPicture:
        try:
            sha256 = hash_file(path)
        except OSError as error:
            raise VideoGenError("path-invalid", f"{path} cannot be read: {error.strerror or error}") from None
        stem = re.sub(r"[^A-Za-z0-9_-]+", "_", path.stem)[:40]
        suffix = re.sub(r"[^a-z0-9.]", "", path.suffix.lower())
        return StoryPicture(path, sha256, f"videogen/{self._slug}/{stem}-{sha256[:12]}{suffix}")


def read_unchanged(picture: StoryPicture) -> bytes:
    """The bytes of a picture, if they are still those that its name stands for.

    Raises:
        VideoGenError: `path-invalid`.
    """
    try:
        data = picture.path.read_bytes()
        changed = hash_file(picture.path) != picture.sha256
    except OSError as error:
        raise VideoGenError("path-invalid", f"{picture.path} cannot be read: {error.strerror or error}") from None
    if changed:
        raise VideoGenError(
            "path-invalid",
            f"{picture.path} has changed since the run began",
            "What is done is kept; the same command again renders with the new picture.",
        )
    return data


# ------------------------------------------------------------------ what a segment needs


@dataclass(frozen=True)
class Need:
    """A picture or mask that a segment reads, and whether it cannot do without."""

    entity: Entity
    name: str
    required: bool


def find_needs(plan: SegmentPlan, readers: Iterable[Reader]) -> list[Need]:
    """All pictures and masks that a segment reads, each once for everybody whom it shows."""
    needs: dict[tuple[str, str, str], Need] = {}
    for reader in readers:
        roles = reader.roles(plan)
        wanted = [
            (role.entity, name, reader.must_be_there and not reader.given_by_others)
            for role in roles
            for name in role.names
        ]
        wanted += [
            (entity, mask_name(entity), reader.must_be_there) for entity in cast_of(plan) if roles and mask_name(entity)
        ]
        for entity, name, required in wanted:
            key = (entity.kind, entity.name, name)
            needs[key] = Need(entity, name, required or (key in needs and needs[key].required))
    return list(needs.values())


def record_with_bytes(plan: SegmentPlan, readers: Sequence[Reader], hash_picture: HashInput) -> dict[str, Any]:
    """A segment's record with the bytes of its pictures and masks in place of their names: a key holds on to no names."""
    record = plan.to_dict()
    for entity in (*record["characters"], *record["objects"], record["location"]):
        for need in find_needs(plan, readers) if entity else ():
            if (need.entity.kind, need.entity.name) != (entity["kind"], entity["name"]):
                continue
            if need.name == mask_name(need.entity):
                entity["region"] = {"mask": hash_picture(need.name)}
            else:
                names = entity.setdefault("pictures", [])
                names.append(hash_picture(need.name))
                entity["references"] = []
    return record


@dataclass(frozen=True)
class Missing:
    """A picture or mask that segments cannot do without.

    Attributes:
        segments: numbers of those that need it.
        lacking: addresses of the servers that do not have it; none when they have different ones.
        servers: addresses of all servers.
    """

    entity: Entity
    name: str
    segments: tuple[int, ...]
    lacking: tuple[str, ...]
    servers: tuple[str, ...]

    def explain(self) -> Problem:
        """The sentence on it, for people."""
        if not self.lacking:
            message = f"{self.name!r} is not the same file on {' and '.join(self.servers)}"
            return Problem(story_place(self.entity), message)
        where = f"the input folder of {' and '.join(self.lacking)}, nor beside the story"
        problem = missing_picture(self.entity, self.name, where)
        return Problem(problem.where, f"{problem.message} (segments {format_selection(self.segments)})")


def find_missing(
    story: Story,
    numbers: Sequence[int],
    readers: Sequence[Reader],
    pictures: StoryPictures,
    servers: Mapping[str, HashInput],
) -> list[Missing]:
    """The pictures and masks that segments cannot do without and that are not there, in the order of the story.

    Args:
        numbers: of the segments that are to be rendered.
        servers: address → its input folder. Each has to have the files that do not lie beside the story, and the same ones.
    """
    wanted: dict[tuple[str, str, str], tuple[Entity, list[int]]] = {}
    for number in numbers if readers else ():
        for need in find_needs(plan_segment(story, number), readers):
            if need.required and pictures.find(need.name) is None:
                key = (need.entity.kind, need.entity.name, need.name)
                wanted.setdefault(key, (need.entity, []))[1].append(number)
    order = {(entity.kind, entity.name): place for place, entity in enumerate(story_cast(story))}
    missing = []
    for (_, _, name), (entity, segments) in sorted(wanted.items(), key=lambda item: order[item[0][:2]]):
        hashes = {url: hash_input(name) for url, hash_input in servers.items()}
        lacking = tuple(url for url, found in hashes.items() if not found)
        if lacking or len(set(hashes.values())) > 1:
            missing.append(Missing(entity, name, tuple(segments), lacking, tuple(hashes)))
    return missing
