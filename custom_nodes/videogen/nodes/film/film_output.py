"""VideoGenSaveSegment and VideoGenCompileFilm: frames to files, files to the film."""

from __future__ import annotations

import json
import re
from fractions import Fraction
from pathlib import Path
from typing import Any

import comfy.model_management
import comfy.utils
import folder_paths
import torch
from comfy.cli_args import args
from comfy_api.latest import io, ui

from ...comfyui.sockets import QUALITY_CHOICES, STORY_QUALITY, SegmentSocket, StorySocket, need_segment, need_story
from ...comfyui.thermal.telemetry import TELEMETRY
from ...core.errors import VideoGenError
from ...core.segment.plan import SegmentPlan
from ...core.story.model import Story
from ...core.timing import count_frames
from ...core.video.encoding import CODEC_PREFERENCE, RawVideo
from ...core.video.quality import QUALITIES, fit_format
from ...media.backups import keep_previous
from ...media.ffmpeg import choose_encoder
from ...media.film.assemble import assemble_film, find_segments
from ...media.probe import hash_file
from ...media.writer import VideoWriter


class VideoGenSaveSegment(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="VideoGenSaveSegment",
            display_name="Save Segment",
            category="videogen/film",
            description="Writes the segment's frames as an mp4 of exactly the segment's length, with the workflow in it.",
            inputs=[
                io.Image.Input("images"),
                SegmentSocket.Input("segment"),
                io.Combo.Input(
                    "quality",
                    options=QUALITY_CHOICES,
                    default=STORY_QUALITY,
                    tooltip="Picture size, frames a second and bit rate; `story` takes the story's own.",
                ),
                io.Combo.Input(
                    "codec",
                    options=list(CODEC_PREFERENCE),
                    default="h264",
                    tooltip="NVENC encodes where the card can do it, else libx264 (H.264).",
                ),
                io.String.Input(
                    "take",
                    default="",
                    optional=True,
                    tooltip="Part of the file name, set by the headless runner. Empty: segment_07.mp4, and an older one is kept"
                    " in `previous`.",
                ),
            ],
            outputs=[
                io.String.Output(
                    "folder",
                    display_name="folder",
                    tooltip="Where the file lies, inside ComfyUI's output folder. Compile Film, connected here, waits for it.",
                )
            ],
            hidden=[io.Hidden.prompt, io.Hidden.extra_pnginfo],
            is_output_node=True,
        )

    @classmethod
    def validate_inputs(cls, take: str | None = "") -> bool | str:
        if take is not None:  # None: it comes out of another node, and is checked when it is there
            try:
                check_take(take)
            except VideoGenError as error:
                return str(error)
        return True

    @classmethod
    def execute(
        cls, images: torch.Tensor, segment: SegmentPlan, quality: str, codec: str, take: str = ""
    ) -> io.NodeOutput:
        plan = need_segment(segment)
        preset = QUALITIES[plan.quality if quality == STORY_QUALITY else quality]
        check_images(images)
        check_take(take)
        count, height, width = images.shape[:3]
        folder = story_folder(plan.slug)
        path = folder / f"{plan.file_stem}{f'_{take}' if take else ''}.mp4"
        encoder = choose_encoder(codec)
        video = fit_format(plan.size, preset)
        frames = count_frames(plan.duration, Fraction(video.fps))
        progress = comfy.utils.ProgressBar(count)
        with VideoWriter(
            path if take else keep_previous(path),
            RawVideo((width, height), count / plan.duration),
            video,
            frames,
            encoder,
            metadata=describe(cls.hidden),
        ) as writer:
            for index in range(count):
                comfy.model_management.throw_exception_if_processing_interrupted()
                writer.write(to_rgb(images[index], index))
                progress.update(1)
        saved = ui.SavedResult(path.name, subfolder_of(folder), io.FolderType.output)
        result = {
            "number": plan.number,
            "id": plan.id,
            "frames": frames,
            "fps": video.fps,
            "size": list(video.size),
            "quality": preset.name,
            "encoder": encoder.name,
            "rendered_frames": count,
            "seed": plan.seed,
            "bytes": path.stat().st_size,
            "sha256": hash_file(path),
        }
        telemetry = TELEMETRY.describe_prompt()
        if telemetry is not None:
            result["telemetry"] = telemetry
        return io.NodeOutput(saved["subfolder"], ui={"images": [saved], "animated": (True,), "videogen": [result]})


class VideoGenCompileFilm(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="VideoGenCompileFilm",
            display_name="Compile Film",
            category="videogen/film",
            description="Joins the story's saved segments to the film; only what a transition touches is encoded again.",
            inputs=[
                StorySocket.Input("story"),
                io.String.Input(
                    "folder",
                    default="",
                    tooltip="Folder with the segments, inside ComfyUI's output folder. Empty: where Save Segment puts them."
                    " Connected to Save Segment, the film waits for the segment that is being saved.",
                ),
                io.Combo.Input(
                    "quality",
                    options=QUALITY_CHOICES,
                    default=STORY_QUALITY,
                    tooltip="Of the film; the quality that the segments were saved with lets them be copied.",
                ),
                io.Combo.Input(
                    "missing",
                    options=["slate", "stop"],
                    default="slate",
                    tooltip="What to do about a segment that is not there: show a slate that says so, or stop.",
                ),
            ],
            outputs=[io.String.Output("path", display_name="path")],
            hidden=[io.Hidden.prompt, io.Hidden.extra_pnginfo],
            is_output_node=True,
        )

    @classmethod
    def fingerprint_inputs(cls, **_: Any) -> float:
        # The files are not inputs: NaN never equals itself, so the film is always made anew (it takes a second).
        return float("nan")

    @classmethod
    def execute(cls, story: Story, folder: str, quality: str, missing: str) -> io.NodeOutput:
        plan = need_story(story)
        place = story_folder(plan.slug) if not folder.strip() else inside_output(folder.strip())
        progress = comfy.utils.ProgressBar(1)

        def report(done: int, total: int) -> None:
            comfy.model_management.throw_exception_if_processing_interrupted()
            progress.update_absolute(done, total)

        film = assemble_film(
            plan,
            find_segments(plan, place),
            place / "film.mp4",
            quality=QUALITIES[plan.quality if quality == STORY_QUALITY else quality],
            slates=missing == "slate",
            metadata=describe(cls.hidden),
            progress=report,
        )
        saved = ui.SavedResult(film.path.name, subfolder_of(place), io.FolderType.output)
        result = {
            "frames": film.frames,
            "fps": film.fps,
            "size": list(film.size),
            "copied": film.copied,
            "encoded": film.encoded,
        }
        return io.NodeOutput(str(film.path), ui={"images": [saved], "animated": (True,), "videogen": [result]})


def check_images(images: torch.Tensor) -> None:
    """Frames that can be encoded: shape (frames, height, width, 1, 3 or 4), at least one.

    Raises:
        VideoGenError: `frames-invalid`.
    """
    if images.ndim != 4 or images.shape[-1] not in (1, 3, 4) or 0 in images.shape:
        raise VideoGenError(
            "frames-invalid",
            f"`images` has shape {tuple(images.shape)}, expected (frames, height, width, channels) with 1, 3 or 4 channels"
            " and at least one frame",
        )


def check_take(take: str) -> None:
    """A part of a file name, which must not lead out of the folder.

    Raises:
        VideoGenError: `path-invalid`.
    """
    if not re.fullmatch(r"[\w-]{0,80}", take):
        raise VideoGenError("path-invalid", f"`take` is {take!r}, expected letters, digits, '_' and '-'")


def to_rgb(image: torch.Tensor, index: int) -> Any:
    """One frame as uint8 RGB, shape (height, width, 3); values outside 0…1 are clipped, alpha is dropped."""
    image = image[..., :3] if image.shape[-1] >= 3 else image.expand(-1, -1, 3)
    if not torch.isfinite(image).all():
        raise VideoGenError(
            "frames-invalid",
            f"frame {index + 1} has values that are not numbers (NaN or infinite)",
            "The usual reason is a VAE in half precision: start ComfyUI with --fp32-vae.",
        )
    return image.mul(255.0).round_().clamp_(0, 255).to(device="cpu", dtype=torch.uint8).numpy()


def describe(hidden: Any) -> dict[str, str]:
    """ComfyUI's metadata, under the names by which the editor finds a workflow in a file that is dropped on it."""
    if args.disable_metadata:
        return {}
    tags = {"prompt": hidden.prompt} if hidden.prompt is not None else {}
    return {key: json.dumps(value) for key, value in {**tags, **(hidden.extra_pnginfo or {})}.items()}


def story_folder(slug: str) -> Path:
    """``output/videogen/<story>``."""
    return Path(folder_paths.get_output_directory()) / "videogen" / slug


def inside_output(folder: str) -> Path:
    """A folder by its name inside ComfyUI's output folder: a shared workflow must not reach outside it.

    Raises:
        VideoGenError: `path-invalid`.
    """
    output = Path(folder_paths.get_output_directory()).resolve()
    path = (output / folder).resolve()
    if not path.is_relative_to(output):
        raise VideoGenError("path-invalid", f"`folder` is {folder!r}, expected a folder inside {output}")
    return path


def subfolder_of(folder: Path) -> str:
    """A folder as ComfyUI names it: relative to the output folder, with forward slashes."""
    return folder.resolve().relative_to(Path(folder_paths.get_output_directory()).resolve()).as_posix()


NODES = [VideoGenSaveSegment, VideoGenCompileFilm]
