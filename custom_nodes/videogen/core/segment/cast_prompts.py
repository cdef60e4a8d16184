"""What is asked of a model that draws the reference image of somebody or something in the cast."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import VideoGenError
from ..story.model import Entity, Story
from .frame_seeds import entity_seed
from .prompts import join_sentences, join_terms
from .references import reference_names

#: Around the description, one for each kind. A plain background: what a reference shows is what comes into every frame.
CHARACTER_WORDS = (
    "Character reference picture of one single person, from the knees up, facing the camera, arms relaxed, neutral expression,"
    " in front of a plain light grey wall, soft even light"
)
OBJECT_WORDS = (
    "Reference picture of one single object, whole in the frame, in front of a plain light grey background,"
    " soft even light"
)
#: What spoils a reference: anything that would come into every frame with it.
_UNWANTED = {
    "character": "second person, crowd, cropped head, hat in front of the face, busy background",
    "object": "people, hands, second object, cropped, busy background",
}


@dataclass(frozen=True)
class CastMember:
    """A character or object, and what it takes to draw its reference.

    Attributes:
        file: where the image belongs, in ComfyUI's input folder.
        count: how many members the cast has.
    """

    entity: Entity
    prompt: str
    negative: str
    seed: int
    file: str
    count: int


def drawable_cast(story: Story) -> list[Entity]:
    """Who gets an image of their own: characters, then objects, in the story's order. Places are drawn by every frame."""
    return [*story.characters, *story.objects]


def plan_member(
    story: Story, index: int, character_words: str = CHARACTER_WORDS, object_words: str = OBJECT_WORDS
) -> CastMember:
    """What to draw for one member of a story's cast.

    Args:
        index: counted from 1, in the order of `drawable_cast`.
        character_words, object_words: how a character or an object is to be shown.

    Raises:
        VideoGenError: `member-missing`.
    """
    cast = drawable_cast(story)
    if not cast:
        raise VideoGenError(
            "member-missing",
            f"the story {story.title!r} has neither characters nor objects, so nobody to draw",
            "Add them to the story: docs/story-format.md shows how.",
        )
    if not 1 <= index <= len(cast):
        names = ", ".join(f"{number} {entity.name}" for number, entity in enumerate(cast, 1))
        raise VideoGenError(
            "member-missing", f"`index` is {index}, and the cast of {story.title!r} has 1 to {len(cast)}: {names}"
        )
    entity = cast[index - 1]
    words = character_words if entity.kind == "character" else object_words
    # Without a description its name is all there is to go by.
    subject = entity.description or entity.label or entity.name.replace("_", " ")
    return CastMember(
        entity=entity,
        prompt=join_sentences([words, subject, story.style.prefix]),
        negative=join_terms([story.style.negative, _UNWANTED[entity.kind]]),
        seed=entity_seed(entity, story.slug),
        file=reference_names(story.slug, entity)[0],
        count=len(cast),
    )
