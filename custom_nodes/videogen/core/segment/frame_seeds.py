"""Seeds: of single frames, of the noise that frames share, and of reference images."""

from __future__ import annotations

import hashlib

from ..story.model import Entity
from ..story.slug import former_slug
from .plan import SegmentPlan

#: The source of the seed that the frames of a shot share: the segment, or its location, so that shots of one location
#: share it too.
ANCHORS = ("segment", "location")


def anchor_seed(plan: SegmentPlan, anchor: str) -> int:
    """The seed that the frames of a segment share.

    A segment without a location uses its own seed, whatever `anchor` says, so that a film renders in which only some
    segments have a location.
    """
    if anchor == "location" and plan.location is not None:
        return entity_seed(plan.location, plan.title)
    return plan.seed


def entity_seed(entity: Entity, title: str) -> int:
    """The seed of a character's, object's or location's reference image.

    Without one in the story it is derived from the story's title, the kind and the name, so that it is the same in every
    run and for every segment.
    """
    # From the title's former slug: another one would give the rest of a film that is half done other seeds.
    return (
        entity.seed if entity.seed is not None else _hash_to_seed(f"{former_slug(title)}/{entity.kind}/{entity.name}")
    )


def frame_seed(seed: int, frame: int) -> int:
    """The 64-bit seed of what frame `frame` (0-based) does not share with others.

    Hashed, as neighboring numbers would be the seeds of other segments' shared parts.
    """
    return _hash_to_seed(f"{seed}:{frame}")


def _hash_to_seed(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big")
