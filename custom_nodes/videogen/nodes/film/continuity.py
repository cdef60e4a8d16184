"""VideoGenContinuity and VideoGenFrameCheck: measure a segment's consistency, and find unusable frames."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import comfy.model_management
import numpy as np
from comfy_api.latest import io
from torch import Tensor

from ...comfyui.cast_images import Cast, files_read, read_cast
from ...comfyui.clip_vision_backend import make_appearance_model
from ...comfyui.frames.frame_tensors import check_frames, clip_frames
from ...comfyui.frames.mask_check import check_mask, require_mask_count
from ...comfyui.mask_networks import find_mask_network
from ...comfyui.sockets import SegmentSocket, need_references, need_segment
from ...comfyui.widgets import SHARE, changes_only, passed_on, references_input
from ...core.continuity.calibration import SAME_SUBJECT
from ...core.continuity.policy import ONLY_REPORT, RENDER_AGAIN, Thresholds, Verdict, expected_lightness, judge_segment
from ...core.continuity.scores import SegmentScore, SubjectScore, to_plain
from ...core.errors import VideoGenError
from ...core.segment.plan import SegmentPlan
from ...core.segment.references import DEFAULT_WEIGHTS, cast_of
from ...core.story.model import Entity
from ...metrics.appearance import Appearance, AppearanceModel
from ...metrics.masks.subject_weight import FOUND_BY_COLOR
from ...metrics.segment_meter import SegmentRequest, score_segment
from ...metrics.subject_meter import SubjectRequest

#: The number of the output that thresholds change: the scores and the frames stay the same.
REPORT = 2
#: How a subject was located, for the report.
_FOUND_BY = {
    "mask": "in its mask",
    "alpha": "where it is opaque",
    "network": "found by a network",
    "region": "in its region, by its colors",
    "location": "everything but the subjects",
    "ratio": "guessed by its colors: a mask or a region is more reliable",
}


class VideoGenContinuity(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        defaults = Thresholds()
        return io.Schema(
            node_id="VideoGenContinuity",
            display_name="Continuity",
            category="videogen/continuity",
            description="Measures whether the segment's characters stay consistent, and whether its frames move smoothly.",
            inputs=[
                passed_on(io.Image.Input("images")),
                SegmentSocket.Input("segment"),
                changes_only(
                    io.Float.Input(
                        "threshold",
                        default=SAME_SUBJECT,
                        **SHARE,
                        tooltip="Required mean score of each character. 0.85 means the same for every kind of measurement.",
                    ),
                    REPORT,
                ),
                changes_only(
                    io.Float.Input(
                        "minimum",
                        default=defaults.character_minimum,
                        **SHARE,
                        tooltip="Required score of each character in every frame that is compared.",
                    ),
                    REPORT,
                ),
                changes_only(
                    io.Float.Input(
                        "temporal_threshold",
                        default=defaults.temporal,
                        **SHARE,
                        tooltip="Required temporal score: flicker, noise and frozen frames lower it.",
                    ),
                    REPORT,
                ),
                changes_only(
                    io.Combo.Input(
                        "when_below",
                        options=[RENDER_AGAIN, ONLY_REPORT],
                        default=RENDER_AGAIN,
                        tooltip="What `videogen run` does with a segment below a threshold: render it again with the next seed"
                        " and keep the best take, or only report it. In the editor nothing is rendered again.",
                    ),
                ),
                io.String.Input(
                    "mask_of",
                    default="",
                    optional=True,
                    tooltip="The character or object that `mask` shows, by its name in the story. Empty: the first character.",
                ),
                references_input(),
                io.ClipVision.Input(
                    "clip_vision",
                    optional=True,
                    tooltip="From Load CLIP Vision: compares identity. Without it, colors and textures are compared.",
                ),
                io.Mask.Input(
                    "mask",
                    optional=True,
                    tooltip="White where the character is: one mask, or one per frame. Without it, a network in models/videogen"
                    " finds the character, or else its colors, within its region in the story.",
                ),
            ],
            outputs=[
                io.Image.Output(display_name="images", tooltip="The same frames."),
                io.Float.Output(
                    "score",
                    display_name="score",
                    tooltip="The lowest mean score of the characters; NaN when there was nothing to compare.",
                ),
                io.String.Output("report", display_name="report", tooltip="All scores and drifts as text."),
            ],
            is_output_node=True,
        )

    @classmethod
    def fingerprint_inputs(cls, **_: Any) -> int:
        return files_read.count_changes()  # as in Apply Characters: changes when an image has changed

    @classmethod
    def execute(
        cls,
        images: Tensor,
        segment: object,
        threshold: float,
        minimum: float,
        temporal_threshold: float,
        when_below: str,
        mask_of: str = "",
        references: object = None,
        clip_vision: Any = None,
        mask: Tensor | None = None,
    ) -> io.NodeOutput:
        plan = need_segment(segment)
        check_frames(images)
        thresholds = Thresholds.from_dict(
            {"character": threshold, "character_minimum": minimum, "temporal": temporal_threshold}
        )
        cast = read_cast(plan, DEFAULT_WEIGHTS, need_references(references), must_be_there=False, to_figure=False)
        masks = read_masks(mask, mask_of, plan, len(images))
        network, why_not = find_mask_network()
        appearance_model, unused = make_appearance_model(clip_vision, network)
        request, notes = make_request(plan, cast, masks, appearance_model, len(images))
        notes += unused
        score = score_segment(frames_of(images), request, appearance_model)
        if any(subject.kind == "character" and subject.weights in FOUND_BY_COLOR for subject in score.subjects):
            notes += why_not
        verdict = judge_segment(score, thresholds)
        lowest = worst_character(score)
        lines = describe_score(score, verdict, notes)
        record = {
            "number": plan.number,
            "id": plan.id,
            "score": lowest if math.isfinite(lowest) else None,
            "verdict": verdict.to_dict(),
            "report": lines,
            "continuity": {
                "scores": score.to_dict(),
                "thresholds": to_plain(thresholds),
                "when_below": when_below,
                "notes": notes,
            },
        }
        return io.NodeOutput(images, lowest, "\n".join(lines), ui={"videogen": [record]})


class VideoGenFrameCheck(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="VideoGenFrameCheck",
            display_name="Frame Check",
            category="videogen/continuity",
            description="Finds frames that are black, frozen, blurred, overexposed, of the wrong shape, or contain NaN.",
            inputs=[passed_on(io.Image.Input("images")), SegmentSocket.Input("segment")],
            outputs=[
                io.Image.Output(display_name="images", tooltip="The same frames."),
                io.Boolean.Output("ok", display_name="ok", tooltip="Whether the frames are usable."),
                io.String.Output("report", display_name="report", tooltip="The problems, a line each."),
            ],
            is_output_node=True,
        )

    @classmethod
    def execute(cls, images: Tensor, segment: object) -> io.NodeOutput:
        plan = need_segment(segment)
        check_frames(images)
        score = score_segment(frames_of(images), SegmentRequest(len(images), size=plan.size))
        problems = score.frames.problems
        ok = not any(problem.severe for problem in problems)
        lines = [problem.sentence for problem in problems] or [f"{len(images)} frames, nothing wrong with them"]
        record = {"number": plan.number, "id": plan.id, "ok": ok, "report": lines, "frames": to_plain(score.frames)}
        return io.NodeOutput(images, ok, "\n".join(lines), ui={"videogen": [record]})


def frames_of(images: Tensor) -> Iterator[np.ndarray]:
    """The frames one by one, (height, width, channels): all of them at once would be another copy of the segment."""
    for image in images:
        comfy.model_management.throw_exception_if_processing_interrupted()
        # As a film shows them: HDR is no mistake, and what is not a number stays so.
        yield clip_frames(image.detach().float()).cpu().numpy()


def read_masks(mask: Tensor | None, mask_of: str, plan: SegmentPlan, count: int) -> dict[str, np.ndarray]:
    """Name of the character or object that a mask shows → masks (n, height, width), n being 1 or the number of frames.

    Raises:
        VideoGenError: `mask-invalid`, for another number of masks, or a name that is not in the segment.
    """
    if mask is None:
        return {}
    masks = check_mask(mask)
    names = [entity.name for entity in (*plan.characters, *plan.objects)]
    name = mask_of.strip() or (names[0] if names else "")
    if name not in names:
        found = f"`mask_of` is {name!r}" if name else "there is a mask"
        raise VideoGenError(
            "mask-invalid",
            f"{found}, and segment {plan.number} has {', '.join(map(repr, names)) or 'no characters or objects'}",
            "Set `mask_of` to the name of a character or object of this segment, or disconnect the mask.",
        )
    require_mask_count(masks, count)
    array = masks.cpu().numpy()
    return {name: array[0] if len(array) == 1 else array}


def make_request(
    plan: SegmentPlan, cast: Cast, masks: dict[str, np.ndarray], appearance_model: AppearanceModel, count: int
) -> tuple[SegmentRequest, list[str]]:
    """The request for a segment's score, with references and regions; and notes on missing references."""
    boxes = {(area.entity.kind, area.entity.name): area.box for area in cast.areas}
    files = {(area.entity.kind, area.entity.name): cast.masks.get(area.file) for area in cast.areas}
    appearances: dict[tuple[str, str], tuple[Appearance, ...]] = {}
    notes = [f"without {sentence}" for sentence in cast.without]
    for member in cast.members:
        entity = member.role.entity
        try:
            appearances[entity.kind, entity.name] = tuple(
                appearance_model.measure_reference(
                    clip_frames(image).cpu().numpy(), _figure_mask(entity, image, figure)
                )
                for image, figure in zip(member.images, member.figures, strict=True)
            )
        except VideoGenError as error:
            notes.append(f"the pictures of {entity.label} cannot be compared with: {error.message}")

    def make_subject(entity: Entity) -> SubjectRequest:
        key = (entity.kind, entity.name)
        drawn = files.get(key)
        mask = masks.get(entity.name, None if drawn is None else drawn.numpy())
        return SubjectRequest(
            entity.kind, entity.name, entity.label, entity.description, boxes.get(key), mask, appearances.get(key, ())
        )

    requests = [make_subject(entity) for entity in cast_of(plan)]
    return SegmentRequest(
        count,
        tuple(request for request in requests if request.kind != "location"),
        next((request for request in requests if request.kind == "location"), None),
        plan.size,
        plan.kelvin,
        expected_lightness(plan.lighting),
    ), notes


def _figure_mask(entity: Entity, image: Tensor, figure: Tensor | None) -> np.ndarray | None:
    """The figure's mask in a reference image; None: it is found in the image. A location is all of its image."""
    if figure is not None:
        return figure.cpu().numpy()
    return np.ones(image.shape[:2], np.float32) if entity.kind == "location" else None


def worst_character(score: SegmentScore) -> float:
    """The lowest mean of the characters; NaN when none was compared."""
    means = [subject.mean for subject in score.subjects if subject.kind == "character" and subject.mean is not None]
    return min(means, default=math.nan)


def describe_score(score: SegmentScore, verdict: Verdict, notes: list[str]) -> list[str]:
    """The scores as text, a line each, the verdict first."""
    lines = [f"{verdict.level}: {'; '.join(verdict.reasons)}" if verdict.reasons else verdict.level]
    for subject in score.subjects:
        lines += _describe_subject(subject)
    temporal = score.temporal
    if temporal is not None:
        flow = "" if temporal.mean_flow is None else f", mean motion {temporal.mean_flow:.1f} pixels a frame"
        number = temporal.note if temporal.score is None else f"{temporal.score:.2f}{temporal.because}"
        lines.append(f"temporal: {number}{flow}{', static' if temporal.static else ''}")
    light = score.light
    if light is not None and light.kelvin is not None:
        lines.append(f"light: about {light.kelvin:.0f} K, median lightness {light.lightness or 0:.0f}")
    lines += [f"frames: {problem.sentence}" for problem in score.frames.problems]
    backends = {f"{subject.backend} ({subject.calibration})" for subject in score.subjects}
    lines += [f"measured by {', '.join(sorted(backends))}", *notes]
    return lines


def _describe_subject(subject: SubjectScore) -> list[str]:
    name = f"{subject.kind} {subject.label}"
    if subject.mean is None or subject.minimum is None:
        return [f"{name}: not compared, {'; '.join(subject.notes) or 'no reason known'}"]
    worst = "" if subject.worst_frame is None else f" in frame {subject.worst_frame + 1}"
    against = " and ".join(subject.against)
    lines = [
        f"{name}: mean {subject.mean:.2f}, lowest {subject.minimum:.2f}{worst}, against the {against}"
        f" ({_FOUND_BY.get(subject.weights, subject.weights)})"
    ]
    faces = [sample.face for sample in subject.samples if sample.face is not None]
    if faces:
        lines.append(f"  face: cosine {min(faces):.2f} to {max(faces):.2f} in {len(faces)} comparisons")
    lines += [f"  {drift.sentence}" for drift in subject.drift[:3]]
    return lines + [f"  {note}" for note in subject.notes]


NODES = [VideoGenContinuity, VideoGenFrameCheck]
