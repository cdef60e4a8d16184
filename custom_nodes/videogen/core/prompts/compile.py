"""The prompt of a segment in the dialect of a model: one story, for every model."""

from __future__ import annotations

from collections.abc import Callable

from ..model_profiles.model import Profile
from ..model_profiles.schema import CLAUSES, H3_KEYFRAMES, H3_REFERENCES, LTX, NO_TEXT, PLAIN, WAN
from ..story.model import Story
from . import clauses, h3, prose
from .fitting import cut_text
from .model import CompiledPrompt, Given
from .parts import PromptParts

_WRITERS: dict[str, Callable[[PromptParts, Profile, Given], tuple[str, list[str]]]] = {
    PLAIN: prose.write_plain,
    LTX: prose.write_ltx,
    WAN: prose.write_wan,
    CLAUSES: lambda parts, profile, given: clauses.write_clauses(parts, profile.prompt),
    H3_KEYFRAMES: h3.write_keyframes,
    H3_REFERENCES: h3.write_references,
    NO_TEXT: lambda parts, profile, given: ("", []),
}


def compile_prompt(
    story: Story, number: int, profile: Profile, given: Given | None = None, text: str = ""
) -> CompiledPrompt:
    """The prompts of one segment for a model. The same arguments give the same prompts.

    Args:
        number: of the segment, 1-based.
        given: the pictures that the model gets for this segment.
        text: replaces the segment's own prompt, when it is not blank.

    Raises:
        VideoGenError: `segment-missing`.
    """
    rule, given = profile.prompt, given or Given()
    parts = PromptParts.of(story, number, text)
    prompt, notes = _WRITERS[rule.dialect](parts, profile, given)
    if parts.spoken and profile.sound is not True:
        reason = "makes no sound" if profile.sound is False else "is not known to make sound"
        notes.append(f"narration and dialogue are not part of the prompt: {profile.title} {reason}")
    negative, more = _write_negative(parts, profile)
    return CompiledPrompt(prompt, negative, rule.dialect, (*notes, *more))


def _write_negative(parts: PromptParts, profile: Profile) -> tuple[str | None, list[str]]:
    rule = profile.prompt
    if rule.negative is False or rule.dialect == NO_TEXT:
        said = [f"the negative prompt is not used: {profile.title} takes none"] if parts.negative else []
        return None, said
    if rule.dialect == CLAUSES:
        return clauses.write_negative(parts.negative, rule)
    limit = rule.characters
    if limit is not None and len(parts.negative) > limit:
        text = cut_text(parts.negative, limit)
        return text, [f"the model takes {limit:,} characters: the negative prompt is cut after {len(text):,}"]
    return parts.negative, []
