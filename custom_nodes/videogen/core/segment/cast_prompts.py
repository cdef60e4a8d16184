"""Prompts for drawing the reference images of a story's characters and objects."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import VideoGenError
from ..story.model import Entity, Story
from .frame_seeds import entity_seed
from .prompts import join_sentences, join_terms
from .references import reference_names

#: Prefixes of the description, one for each kind. The background is plain: all of a reference comes into every frame.
CHARACTER_WORDS = (
    "Character reference picture of one single person, from the knees up, facing the camera, arms relaxed, neutral expression,"
    " in front of a plain light grey wall, soft even light"
)
OBJECT_WORDS = (
    "Reference picture of one single object, whole in the frame, in front of a plain light grey background,"
    " soft even light"
)
#: Negative prompts: what must not come into every frame with the reference.
_UNWANTED = {
    "character": "second person, crowd, cropped head, hat in front of the face, busy background",
    "object": "people, hands, second object, cropped, busy background",
}


@dataclass(frozen=True)
class CastMember:
    """A character or object, and the inputs for drawing its reference image.

    Attributes:
        file: the image's path in ComfyUI's input folder.
        count: number of members in the cast.
    """

    entity: Entity
    prompt: str
    negative: str
    seed: int
    file: str
    count: int


def drawable_cast(story: Story) -> list[Entity]:
    """Entities with a reference image of their own: characters, then objects, in the story's order."""
    return [*story.characters, *story.objects]


def plan_member(
    story: Story, index: int, character_words: str = CHARACTER_WORDS, object_words: str = OBJECT_WORDS
) -> CastMember:
    """Plan the reference image of one member of a story's cast.

    Args:
        index: 1-based, in the order of `drawable_cast`.
        character_words, object_words: how a character or an object is shown.

    Raises:
        VideoGenError: `member-missing`.
    """
    cast = drawable_cast(story)
    if not cast:
        raise VideoGenError(
            "member-missing",
            f"the story {story.title!r} has neither characters nor objects, so there is nothing to draw",
            "Add them to the story: docs/story-format.md shows how.",
        )
    if not 1 <= index <= len(cast):
        names = ", ".join(f"{number} {entity.name}" for number, entity in enumerate(cast, 1))
        raise VideoGenError(
            "member-missing", f"`index` is {index}, and the cast of {story.title!r} has 1 to {len(cast)}: {names}"
        )
    entity = cast[index - 1]
    words = character_words if entity.kind == "character" else object_words
    # Without a description only its name says what it is.
    subject = entity.description or entity.label or entity.name.replace("_", " ")
    return CastMember(
        entity=entity,
        prompt=join_sentences([words, subject, story.style.prefix]),
        negative=join_terms([story.style.negative, _UNWANTED[entity.kind]]),
        seed=entity_seed(entity, story.title),
        file=reference_names(story.slug, entity)[0],
        count=len(cast),
    )
