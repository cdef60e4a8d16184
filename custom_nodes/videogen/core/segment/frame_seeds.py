"""Which seed what is made from: the frames of a shot, what its frames share, a reference image."""

from __future__ import annotations

import hashlib

from ..story.model import Entity
from .plan import SegmentPlan

#: What the frames of a shot share comes from the segment's own seed, or from its location's: then shots of one place
#: share it too.
ANCHORS = ("segment", "location")


def anchor_seed(plan: SegmentPlan, anchor: str) -> int:
    """The seed of what the frames of a segment share.

    A segment without a location takes its own seed, whatever `anchor` says: a film renders through where only some of its
    segments name a place.
    """
    if anchor == "location" and plan.location is not None:
        return entity_seed(plan.location, plan.slug)
    return plan.seed


def entity_seed(entity: Entity, slug: str) -> int:
    """The seed of a character, object or location, which its reference image is made from.

    Without one in the story it follows from the story's slug, the kind and the name, so that it is the same in every run
    and for every segment.
    """
    return entity.seed if entity.seed is not None else _hash_to_seed(f"{slug}/{entity.kind}/{entity.name}")


def frame_seed(seed: int, frame: int) -> int:
    """The seed of what frame `frame` (from 0) has for itself, of all 64 bits.

    Hashed, as neighboring numbers would be the seeds of other segments' shared parts.
    """
    return _hash_to_seed(f"{seed}:{frame}")


def _hash_to_seed(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big")
