"""Continuity policy: thresholds, verdicts on segments, and the choice of takes."""

from __future__ import annotations

import dataclasses
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import VideoGenError
from .calibration import SAME_FACE, SAME_SUBJECT
from .own_likeness import UNCLEAR, margin_of
from .scores import FIRST_SEGMENT, Drift, SegmentScore, SubjectScore

#: Cap of the temporal score of a segment in which hardly anything moves.
STATIC_CAP = 0.6
#: Choices of the continuity node's `when_below`: what happens to a segment that fails.
RENDER_AGAIN, ONLY_REPORT = "render again", "only report"
#: A change of hue fails a segment only where it can be seen (ΔE, CIE 1976, of the turned color) and lasts: a part's color is
#: measured anew in every frame, and limbs that cross or a turn change it for a moment.
VISIBLE_TURN, LASTING_SHARE = 12.0, 0.25
#: Levels of a verdict, from good to bad.
PASS, WARN, FAIL = "pass", "warn", "fail"
_ORDER = {PASS: 0, WARN: 1, FAIL: 2}


@dataclass(frozen=True)
class Thresholds:
    """Thresholds of the continuity scores.

    Attributes:
        character: minimum of every character's mean score.
        character_minimum: minimum of its score in every sampled frame.
        object: the same as `character` for objects; a lower score is only a warning, as objects are small.
        temporal: minimum of a segment's temporal score; a static one is capped there and passes with a warning.
        light_warn, light_fail: step of the mean Lab (ΔE 1976) across a cut within one location. Natural footage has a
            99th percentile of 1.0 from frame to frame.
        kelvin_margin: mired by which the estimated color temperature may be outside the story's range; estimates from a
            single image are not more accurate.
        hue_drift: degrees by which a part of a character (its shirt) may change its hue. The score does not cover this: in
            AI footage a subject that turns around changes more than one whose shirt becomes violet.
        extra_takes: how often a failed segment is rendered again.
    """

    character: float = SAME_SUBJECT
    character_minimum: float = 0.70
    object: float = 0.75
    temporal: float = 0.6
    light_warn: float = 1.2
    light_fail: float = 2.5
    kelvin_margin: float = 60.0
    extra_takes: int = 2
    hue_drift: float = 25.0

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Thresholds:
        """The defaults, with the given ones replaced.

        Raises:
            VideoGenError: `threshold-invalid`, naming the key, what was found and what was expected.
        """
        known = {field.name: field.default for field in dataclasses.fields(cls)}
        for key, value in values.items():
            if key not in known:
                raise VideoGenError(
                    "threshold-invalid", f"there is no threshold {key!r}; there are: {', '.join(known)}"
                )
            top = {"extra_takes": 5, "hue_drift": 180}.get(key, 1000 if key.startswith(("light", "kelvin")) else 1)
            number = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
            whole = key != "extra_takes" or isinstance(value, int)
            if not number or not whole or not 0 <= value <= top:
                kind = "a whole number" if key == "extra_takes" else "a number"
                raise VideoGenError(
                    "threshold-invalid", f"the threshold {key} is {value!r}, expected {kind} from 0 to {top}"
                )
        return cls(**dict(values))


@dataclass(frozen=True)
class Verdict:
    """The verdict on a segment's scores.

    Attributes:
        level: ``pass``, ``warn`` or ``fail``; a segment that fails is rendered again.
        reasons: sentences, the worst first; empty when it passes.
    """

    level: str
    reasons: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        return {"level": self.level, "reasons": list(self.reasons)}


def judge_segment(score: SegmentScore, thresholds: Thresholds) -> Verdict:
    """Compare a segment's scores with the thresholds.

    Characters, temporal score and broken frames can fail a segment; objects and light only warn, except a step of light
    beyond `light_fail`: another seed does not make a prop larger. A location is not judged. Missing measurements never fail,
    except those of a character whose masks, one for each frame, are all empty. A character that is seen in no frame for
    another reason is a warning. One whose position is guessed only warns, whatever its score.
    """
    found: list[tuple[str, str]] = []
    for subject in score.subjects:
        if subject.kind == "location":
            continue  # another camera angle shows another part of it: it is reported, not judged
        if subject.mean is None or subject.minimum is None:
            if subject.kind == "character" and subject.missing:
                found.append((FAIL, f"{subject.label} is missing: the mask of every frame is empty"))
            elif subject.kind == "character" and not subject.weights:
                found.append((WARN, f"{subject.label} was not measured: {'; '.join(subject.notes)}"))
            continue
        if subject.kind == "character":
            found += _judge_character(subject, subject.mean, subject.minimum, thresholds, score.frames.count)
        elif subject.mean < thresholds.object:
            sentence = f"{subject.label} {subject.mean:.2f}, expected {thresholds.object:g}{_tell_drift(subject)}"
            found.append((WARN, sentence))
        found += [(WARN, sentence) for sentence in _judge_faces(subject)]
    temporal = score.temporal
    if temporal is not None and temporal.score is not None:
        # Where nothing moves the score is capped, whatever the seed: a higher target would always fail every quiet shot.
        target = min(thresholds.temporal, STATIC_CAP) if temporal.static else thresholds.temporal
        if temporal.score < target:
            found.append((FAIL, f"temporal score {temporal.score:.2f}, expected {target:g}{temporal.because}"))
        elif temporal.static:
            found.append((WARN, f"hardly anything moves (median flow {temporal.median_flow:.2f} pixels)"))
    found += [(FAIL if problem.severe else WARN, problem.sentence) for problem in score.frames.problems]
    found += judge_light(score, thresholds)
    found.sort(key=lambda entry: -_ORDER[entry[0]])
    level = found[0][0] if found else PASS
    return Verdict(level, tuple(sentence for _, sentence in found))


def _judge_character(
    subject: SubjectScore, mean: float, minimum: float, thresholds: Thresholds, frames: int
) -> list[tuple[str, str]]:
    """(level, sentence) of a character that was compared: at most one, the first of these that holds.

    Args:
        frames: of the segment.
    """
    # Earlier versions only say how it was located.
    guessed = subject.guessed or subject.weights == "ratio"
    level, certainty = (WARN, " (its place is guessed)") if guessed else (FAIL, "")
    drift = _tell_drift(subject)
    low, lowest = thresholds.character, thresholds.character_minimum
    unclear = is_unclear(subject, low)
    if mean < low and not unclear:
        return [(level, f"{subject.label} {mean:.2f}, expected {low:g}{certainty}{drift}")]
    if minimum < lowest:
        frame = "" if subject.worst_frame is None else f" in frame {subject.worst_frame + 1}"
        sentence = f"{subject.label} {minimum:.2f}{frame}, expected {lowest:g} in every frame{certainty}{drift}"
        return [(level, sentence)]
    if unclear:
        return [(WARN, f"{subject.label} {mean:.2f}, expected {low:g}: unclear whether it is the same{drift}")]
    turned = [each for each in subject.drift if each.quantity == "hue" and abs(each.change) >= thresholds.hue_drift]
    lasting = [each for each in turned if _is_visible(each) and _lasts(each, frames)]
    return [
        (level if each in lasting else WARN, f"{subject.label}: {each.sentence}{certainty}")
        for each in (lasting or turned)[:1]
    ]


def _is_visible(drift: Drift) -> bool:
    """Whether a turn of hue is a difference in color: grayish parts turn by any angle with the light."""
    if drift.chroma is None:  # an earlier version has measured it
        return True
    return 2 * drift.chroma * math.sin(math.radians(min(180.0, abs(drift.change)) / 2)) >= VISIBLE_TURN


def _lasts(drift: Drift, frames: int) -> bool:
    return drift.last - drift.first + 1 >= min(frames, max(2, math.ceil(LASTING_SHARE * frames)))


def is_unclear(subject: SubjectScore, threshold: float) -> bool:
    """Whether a character is so close to the threshold that neither verdict is sure. Only the comparison with an earlier
    segment tells: it is relative to that segment's own likeness."""
    found = subject.against.get(FIRST_SEGMENT)
    if subject.own_likeness is None or found is None or subject.mean != found[0]:
        return False
    return abs(margin_of(found[0]) - margin_of(threshold)) < UNCLEAR


def _tell_drift(subject: SubjectScore) -> str:
    return f": {subject.drift[0].sentence}" if subject.drift else ""


def _judge_faces(subject: SubjectScore) -> list[str]:
    """A sentence when the detected faces look like another person's. Only a warning: SFace is not trained on drawn faces."""
    cosines = [sample.face for sample in subject.samples if sample.face is not None]
    if not cosines or statistics.median(cosines) >= SAME_FACE:
        return []
    alike = f"{statistics.median(cosines):.2f}, one person from {SAME_FACE:g}"
    return [f"{subject.label}: the face looks like another person's in {len(cosines)} frames (cosine {alike})"]


def judge_light(score: SegmentScore, thresholds: Thresholds) -> list[tuple[str, str]]:
    """(level, sentence) for each oddity of a segment's light, and for its step from the segment before."""
    found = []
    light = score.light
    if light is not None and light.kelvin is not None and light.story_kelvin is not None:
        off = mired_outside(light.kelvin, light.story_kelvin)
        if off > thresholds.kelvin_margin:
            low, high = light.story_kelvin
            found.append((WARN, f"the light looks like {light.kelvin:.0f} K, and the story says {low} to {high} K"))
    if light is not None and light.lightness is not None and light.story_lightness is not None:
        low, high = light.story_lightness
        if not low <= light.lightness <= high:
            word = "darker" if light.lightness < low else "brighter"
            found.append(
                (WARN, f"the picture is {word} (L {light.lightness:.0f}) than the story's lighting ({low} to {high})")
            )
    boundary = score.boundary
    if boundary is not None and boundary.color_step is not None and not boundary.exempt:
        step = boundary.color_step
        if step > thresholds.light_warn:
            level = FAIL if step > thresholds.light_fail else WARN
            found.append((level, f"the light steps by ΔE {step:.1f} at the cut, within one location"))
    return found


def mired_outside(kelvin: float, span: tuple[float, float]) -> float:
    """Distance of a temperature from a span in mired (10⁶ / K, in which equal steps look equal); 0 within it."""
    value, warm, cool = 1e6 / kelvin, 1e6 / span[0], 1e6 / span[1]
    return max(0.0, value - warm, cool - value)


#: Words of a story's lighting → the range of the image's median lightness (CIELAB L). The first match counts.
_LIGHTNESS_WORDS = (
    (("night", "moonlight", "nacht", "mondlicht"), (3, 45)),
    (("dusk", "dawn", "twilight", "dämmerung", "low-key", "low key", "candle", "kerze"), (10, 60)),
    (("high-key", "high key", "snow", "schnee"), (50, 97)),
    (("bright", "daylight", "sun", "hell", "tageslicht", "sonne"), (30, 92)),
)


def expected_lightness(lighting: str) -> tuple[int, int] | None:
    """The range of median lightness that a story's lighting implies, or None."""
    words = lighting.casefold()
    return next((span for names, span in _LIGHTNESS_WORDS if any(name in words for name in names)), None)


def score_of_take(score: SegmentScore) -> float:
    """A number that ranks takes of the same segment: the lowest of its scores, each relative to its own target."""
    characters = [subject for subject in score.subjects if subject.kind == "character"]
    values = [subject.mean for subject in characters if subject.mean is not None]
    values += [0.0 for subject in characters if not subject.weights]  # not seen in any frame
    values += [subject.minimum + 0.15 for subject in characters if subject.minimum is not None]
    if score.temporal is not None and score.temporal.score is not None:
        values.append(score.temporal.score + 0.25)
    if any(problem.severe for problem in score.frames.problems):
        values.append(0.0)
    return min(values, default=1.0)


def choose_take(levels: Sequence[str], scores: Sequence[float]) -> int:
    """The index of the best take: by verdict, then by score, then the earliest."""
    return min(range(len(levels)), key=lambda index: (_ORDER[levels[index]], -scores[index], index))


def wants_another_take(levels: Sequence[str], thresholds: Thresholds) -> bool:
    """Whether a segment is rendered again: all of its takes failed, and another one is allowed."""
    return bool(levels) and all(level == FAIL for level in levels) and len(levels) <= thresholds.extra_takes
