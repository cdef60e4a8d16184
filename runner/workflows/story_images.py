"""Images of a story's cast and locations: where they are stored, their names on servers, and which are missing."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from custom_nodes.videogen.core.errors import Problem, VideoGenError
from custom_nodes.videogen.core.segment.plan import SegmentPlan, plan_segment
from custom_nodes.videogen.core.segment.references import (
    SECTION_OF_KIND,
    how_to_make,
    how_to_show_place,
    mask_name,
    missing_image,
    reference_names,
    rename_images,
    story_cast,
    story_place,
)
from custom_nodes.videogen.core.story.model import Entity, Story
from custom_nodes.videogen.core.story.selection import format_selection
from custom_nodes.videogen.media.story_folder import StoryFolder, check_picture, read_picture

from .image_inputs import CastImageInput, ImageInput, LocationImageInput, Need, find_needs

#: SHA-256 of a file in a server's input folder, or "" when it is not there.
HashInput = Callable[[str], str]


# ------------------------------------------------------------------ images next to the story


@dataclass(frozen=True)
class StoryImage:
    """An image next to a story file.

    Attributes:
        name: its name in the servers' input folders. It contains the hash, so that no file of a user's is overwritten there,
            and another image has another name.
        bytes: how many it has.
    """

    path: Path
    sha256: str
    name: str
    bytes: int = 0


class StoryImages:
    """The images and masks of a story's cast next to its file, under the names that the story has for them.

    They take precedence over those in a server's input folder: a story that is shared with its images means these.

    Args:
        folder: of the story's file; None when there is none.
        slug: of the story.
        drawn: name → image that a run has drawn itself, for those that are not in the folder.
    """

    def __init__(self, folder: Path | None, slug: str, drawn: Mapping[str, Path] | None = None) -> None:
        self._folder = None if folder is None else StoryFolder(folder)
        self._slug, self._drawn = slug, drawn or {}
        self._found: dict[str, StoryImage | None] = {}

    def find(self, name: str) -> StoryImage | None:
        """The image of that name, or None when it is not next to the story.

        Raises:
            VideoGenError: `path-invalid` when it is a link or hidden, or cannot be read.
        """
        if name not in self._found:
            path = self._folder.find_picture(name) if self._folder is not None else None
            path = path or self._drawn.get(name)
            self._found[name] = self._describe(path) if path is not None else None
        return self._found[name]

    def names_for_servers(self, story: Story) -> dict[str, str]:
        """The story's names of all images and masks next to it → their names on the servers."""
        return {name: image.name for name, image in self.list_all(story).items()}

    def list_all(self, story: Story) -> dict[str, StoryImage]:
        """The story's names of all images and masks next to it → these.

        Raises:
            VideoGenError: see `find`.
        """
        names = {
            name for entity in story_cast(story) for name in (*reference_names(story.slug, entity), mask_name(entity))
        }
        names |= {name for segment in story.segments for name in (segment.first_frame, segment.last_frame)}
        found = {name: self.find(name) for name in sorted(names) if name}
        return {name: image for name, image in found.items() if image is not None}

    def require_pictures(self, story: Story) -> None:
        """Decode all images and masks next to the story.

        Raises:
            VideoGenError: `image-invalid` for one that is no picture; see `find`.
        """
        for image in self.list_all(story).values():
            check_picture(image.path, read_picture(image.path))

    def _describe(self, path: Path) -> StoryImage:
        data = read_picture(path)
        sha256 = hashlib.sha256(data).hexdigest()
        stem = re.sub(r"[^A-Za-z0-9_-]+", "_", path.stem)[:40]
        suffix = re.sub(r"[^a-z0-9.]", "", path.suffix.lower())
        name = f"videogen/{self._slug}/{stem}-{sha256[:12]}{suffix}"
        return StoryImage(path, sha256, name, len(data))


def read_unchanged(image: StoryImage) -> bytes:
    """The bytes of an image, if they still have the hash in its name, and are those of a picture.

    Raises:
        VideoGenError: `path-invalid`, `image-invalid`.
    """
    data = read_picture(image.path)
    if hashlib.sha256(data).hexdigest() != image.sha256:
        raise VideoGenError(
            "path-invalid",
            f"{image.path} has changed since the run began",
            "What is done is kept; run the same command again to render with the new picture.",
        )
    check_picture(image.path, data)
    return data


# ------------------------------------------------------------------ what a segment needs


def data_for_servers(
    story: Story, data: dict[str, Any], image_inputs: Sequence[ImageInput], images: StoryImages
) -> dict[str, Any]:
    """A story's plain data for the servers, which have the images next to it under other names.

    Args:
        data: the plain data of `story`.
        image_inputs: of the graph; without any the story stays as it is.
    """
    if not image_inputs:
        return data
    given = {name for node in image_inputs if isinstance(node, CastImageInput) for name in node.given}
    places = any(isinstance(node, LocationImageInput) for node in image_inputs)
    return rename_images(story, data, images.names_for_servers(story), given, unnamed_places=places)


def record_with_bytes(plan: SegmentPlan, image_inputs: Sequence[ImageInput], hash_image: HashInput) -> dict[str, Any]:
    """A segment's record with hashes of its images and masks in place of their names, on which its key must not depend."""
    record = plan.to_dict()
    for entity in (*record["characters"], *record["objects"], record["location"]):
        for need in find_needs(plan, image_inputs) if entity else ():
            if (need.entity.kind, need.entity.name) != (entity["kind"], entity["name"]):
                continue
            found = next(filter(None, map(hash_image, need.names)), "")
            if need.name == mask_name(need.entity):
                entity["region"] = {"mask": found}
                continue
            entity["references"] = []
            # A location without an image, in the story and on disk, has the key of a segment that reads none.
            unnamed = need.entity.kind == "location" and not need.entity.references
            # The first of several is among them already where a node for the cast's images reads all of them.
            repeats = len(need.names) > 1 and found in entity.get("pictures", ())
            if not repeats and (found or not unnamed):
                entity.setdefault("pictures", []).append(found)
    return record


@dataclass(frozen=True)
class Missing:
    """An image or mask that segments require, or that some servers have and others lack.

    Attributes:
        entity: the one that it shows; None for a keyframe, and, without a name, for the location of segments that have none.
        segments: numbers of those that need it.
        lacking: addresses of the servers that do not have it; none when they have different ones.
        servers: addresses of all servers.
        remedies: how the nodes that require it do without.
    """

    entity: Entity | None
    name: str
    segments: tuple[int, ...]
    lacking: tuple[str, ...]
    servers: tuple[str, ...]
    remedies: tuple[str, ...] = ()

    def explain(self) -> Problem:
        """The problem, for people."""
        segments = format_selection(self.segments)
        if self.entity is None and not self.name:
            message = f"segments {segments} have no location, and a node of the workflow shows its picture"
            return Problem(SECTION_OF_KIND["location"], message)
        if not self.lacking:
            message = f"{self.name!r} is not the same file on {' and '.join(self.servers)}"
            return Problem(self._place, message)
        where = f"the input folder of {' and '.join(self.lacking)}, nor next to the story"
        if self.entity is None:
            return Problem(self._place, f"the picture {self.name!r} is not in {where} (segments {segments})")
        problem = missing_image(self.entity, self.name, where)
        return Problem(problem.where, f"{problem.message} (segments {segments})")

    @property
    def _place(self) -> str:
        """Where the story names it."""
        return f"segments[{self.segments[0]}].keyframes" if self.entity is None else story_place(self.entity)

    @property
    def kind(self) -> str:
        """``keyframe``, ``location``, or ``cast``."""
        if self.entity is None:
            return "keyframe" if self.name else "location"
        return "location" if self.entity.kind == "location" else "cast"


def find_missing(
    story: Story,
    numbers: Sequence[int],
    image_inputs: Sequence[ImageInput],
    images: StoryImages,
    servers: Mapping[str, HashInput],
    keyframes: Mapping[int, Sequence[str]] | None = None,
) -> list[Missing]:
    """The missing images and masks that segments require, in the order of the story; and optional ones that only some of the
    servers have, which would make their segments inconsistent.

    Args:
        numbers: of the segments that are to be rendered.
        servers: address → its input folder. Each must have the files that are not next to the story, and the same ones.
        keyframes: number of a segment → the pictures that it begins and ends with.
    """
    wanted: dict[tuple[str, str, tuple[str, ...]], tuple[Need, list[int]]] = {}
    nowhere: list[int] = []
    needs_location_image = any(isinstance(node, LocationImageInput) and node.must_be_there for node in image_inputs)
    for number in numbers if image_inputs else ():
        plan = plan_segment(story, number)
        for need in find_needs(plan, image_inputs):
            if need.required or len(servers) > 1:
                key = (need.entity.kind, need.entity.name, need.names)
                wanted.setdefault(key, (need, []))[1].append(number)
        if needs_location_image and plan.location is None:
            nowhere.append(number)
    order = {(entity.kind, entity.name): place for place, entity in enumerate(story_cast(story))}
    missing = []
    for key, (need, segments) in sorted(wanted.items(), key=lambda item: order[item[0][:2]]):
        name, hashes = _look_up(key[2], images, servers)
        lacking = tuple(url for url, found in hashes.items() if not found)
        if (need.required and len(set(hashes.values())) > 1) or (lacking and (need.required or any(hashes.values()))):
            how = need.remedies if need.required else ()
            missing.append(Missing(need.entity, name, tuple(segments), lacking, tuple(hashes), how))
    missing += _find_missing_keyframes(keyframes or {}, images, servers)
    if nowhere:
        stopping = [node for node in image_inputs if isinstance(node, LocationImageInput) and node.must_be_there]
        how = tuple(dict.fromkeys(node.remedy for node in stopping))
        missing.append(Missing(None, "", tuple(nowhere), (), tuple(servers), how))
    return missing


def _find_missing_keyframes(
    keyframes: Mapping[int, Sequence[str]], images: StoryImages, servers: Mapping[str, HashInput]
) -> Iterator[Missing]:
    users: dict[str, list[int]] = {}
    for number, names in keyframes.items():
        for name in names:
            users.setdefault(name, []).append(number)
    for name, numbers in users.items():
        _, hashes = _look_up((name,), images, servers)
        if len(set(hashes.values())) > 1 or not all(hashes.values()):
            lacking = tuple(url for url, found in hashes.items() if not found)
            yield Missing(None, name, tuple(numbers), lacking, tuple(servers))


def explain_missing(missing: Iterable[Missing]) -> tuple[list[Problem], str]:
    """The problems, and a hint on how to solve them."""
    every = list(missing)
    hints = []
    for kind, hint in (("cast", how_to_make), ("location", how_to_show_place), ("keyframe", _how_to_bring)):
        group = [one for one in every if one.kind == kind]
        if group:
            hints.append(hint(tuple(dict.fromkeys(how for one in group for how in one.remedies))))
    return [one.explain() for one in every], "\n".join(hints)


def _how_to_bring(remedies: Sequence[str]) -> str:
    """The hint for missing keyframes."""
    return "Put the keyframes next to the story, or into ComfyUI's input folder."


def _look_up(names: Sequence[str], images: StoryImages, servers: Mapping[str, HashInput]) -> tuple[str, dict[str, str]]:
    """The first of several names that exists, and address → SHA-256 of it there; no addresses when it is next to the story.

    When none exists: the first name, and no hashes."""
    for name in names:
        if images.find(name) is not None:
            return name, {}
        hashes = {url: hash_input(name) for url, hash_input in servers.items()}
        if any(hashes.values()):
            return name, hashes
    return names[0], dict.fromkeys(servers, "")
