"""What a drawn reference image was drawn from: written into the image, and compared with the story that wants to use it."""

from __future__ import annotations

import json
from collections.abc import Callable

from custom_nodes.videogen.core.digest import digest
from custom_nodes.videogen.core.segment.cast_prompts import CastMember, drawable_cast
from custom_nodes.videogen.core.segment.frame_seeds import entity_seed
from custom_nodes.videogen.core.segment.references import default_reference, reference_names
from custom_nodes.videogen.core.story.model import Entity, Story
from custom_nodes.videogen.core.story.slug import former_slug
from custom_nodes.videogen.media.images.reference_file import read_mark

from ..workflows.story_images import HashInput

#: The bytes of a file in a server's input folder, or None when it is not there.
ReadInput = Callable[[str], bytes | None]


def member_key(story: Story, entity: Entity) -> str:
    """Hash of what a member's image is drawn from; without the model and the words around it, so that a film that changes its
    model keeps its people."""
    seed = entity_seed(entity, story.title)
    return digest([entity.kind, entity.description, entity.label, seed, story.style.prefix, story.style.negative])


def write_provenance(story: Story, member: CastMember) -> str:
    """The text that VideoGenSaveReference stores in a member's image."""
    text = {"prompt": member.prompt, "seed": member.seed, "key": member_key(story, member.entity)}
    return json.dumps(text, ensure_ascii=False)


def is_drawn_for_another(data: bytes, story: Story, entity: Entity) -> bool:
    """Whether a runner has drawn an image from another description or seed than the story has for this entity.

    Images of a user's own, and those that were drawn in the editor, were put there on purpose: they count as they are.

    Args:
        data: the image's file.
    """
    try:
        told = json.loads(read_mark(data) or "")
    except ValueError:
        return False
    if not isinstance(told, dict) or "seed" not in told:
        return False
    if "key" in told:
        return bool(told["key"] != member_key(story, entity))
    # An earlier release has drawn it: its prompt had these words, between those of the workflow.
    subject = entity.description or entity.label or entity.name.replace("_", " ")
    words = [" ".join(text.split()).rstrip(" ,;") for text in (subject, story.style.prefix)]
    return told["seed"] != entity_seed(entity, story.title) or not all(
        word in str(told.get("prompt")) for word in words
    )


def hide_foreign(story: Story, hash_input: HashInput, read_input: ReadInput) -> HashInput:
    """`hash_input` of a server's input folder, without the images that were drawn for another story or another description."""
    names = {reference_names(story.slug, entity)[0]: entity for entity in drawable_cast(story)}

    def look(name: str) -> str:
        found = hash_input(name)
        if found and name in names and is_drawn_for_another(read_input(name) or b"", story, names[name]):
            return ""
        return found

    return look


def names_in_record(story: Story, entity: Entity) -> tuple[str, ...]:
    """Names under which a run directory may have an entity's image: the present one, and that of earlier releases."""
    name = reference_names(story.slug, entity)[0]
    return (name,) if entity.references else (name, default_reference(former_slug(story.title), entity))
