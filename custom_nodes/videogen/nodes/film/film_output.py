"""VideoGenSaveSegment and VideoGenCompileFilm: write frames to segment files, and join these to the film."""

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

from ...comfyui.frames.frame_tensors import check_frames, to_rgb8
from ...comfyui.sockets import SegmentSocket, StorySocket, need_segment, need_story
from ...comfyui.thermal.telemetry import TELEMETRY
from ...comfyui.widgets import choose_quality, quality_input, validate
from ...core.errors import VideoGenError
from ...core.redaction import Redactor, find_graph_secrets, hide_in_workflow
from ...core.segment.plan import SegmentPlan
from ...core.story.model import Story
from ...core.timing import count_frames
from ...core.video.encoding import CODEC_PREFERENCE, RawVideo
from ...core.video.quality import fit_format
from ...media.backups import keep_previous
from ...media.ffmpeg import choose_encoder
from ...media.film.assemble import assemble_film, find_segments
from ...media.path_inside import name_inside, path_inside
from ...media.probe import hash_file
from ...media.writer import VideoWriter


class VideoGenSaveSegment(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="VideoGenSaveSegment",
            display_name="Save Segment",
            category="videogen/film",
            description="Writes the segment's frames to an mp4 of exactly the segment's length, with the workflow in it.",
            inputs=[
                io.Image.Input("images"),
                SegmentSocket.Input("segment"),
                quality_input("Video size, frame rate and bit rate; `story`: the story's own quality."),
                io.Combo.Input(
                    "codec",
                    options=list(CODEC_PREFERENCE),
                    default="h264",
                    tooltip="Encoded with NVENC where the card supports the codec, else with libx264 (H.264).",
                ),
                io.String.Input(
                    "take",
                    default="",
                    optional=True,
                    tooltip="Part of the file name, set by the headless runner. Empty: segment_07.mp4; an older file is kept in"
                    " `previous`.",
                ),
            ],
            outputs=[
                io.String.Output(
                    "folder",
                    display_name="folder",
                    tooltip="Folder of the file, inside ComfyUI's output folder. Connect it to Compile Film, which then waits.",
                )
            ],
            hidden=[io.Hidden.prompt, io.Hidden.extra_pnginfo],
            is_output_node=True,
        )

    @classmethod
    def validate_inputs(cls, take: str | None = "") -> bool | str:
        return validate(check_take, take)

    @classmethod
    def execute(
        cls, images: torch.Tensor, segment: SegmentPlan, quality: str, codec: str, take: str = ""
    ) -> io.NodeOutput:
        plan = need_segment(segment)
        preset = choose_quality(quality, plan.quality)
        check_frames(images)
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
                writer.write(to_rgb8(images[index], index))
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
            description="Joins the story's saved segments to the film; only the parts in a transition are encoded again.",
            inputs=[
                StorySocket.Input("story"),
                io.String.Input(
                    "folder",
                    default="",
                    tooltip="Folder with the segments, inside ComfyUI's output folder. Empty: where Save Segment writes them."
                    " Connect it to Save Segment to wait for the segment that is being saved.",
                ),
                quality_input("The film's quality; with the segments' own quality they are copied without encoding."),
                io.Combo.Input(
                    "missing",
                    options=["slate", "stop"],
                    default="slate",
                    tooltip="When a segment is missing: show a slate in its place, or stop.",
                ),
            ],
            outputs=[io.String.Output("path", display_name="path")],
            hidden=[io.Hidden.prompt, io.Hidden.extra_pnginfo],
            is_output_node=True,
        )

    @classmethod
    def validate_inputs(cls, folder: str | None = "") -> bool | str:
        return validate(inside_output, folder)

    @classmethod
    def fingerprint_inputs(cls, **_: Any) -> float:
        # The files are not inputs: NaN never equals itself, so the film is always made again (it takes a second).
        return float("nan")

    @classmethod
    def execute(cls, story: Story, folder: str, quality: str, missing: str) -> io.NodeOutput:
        plan = need_story(story)
        place = story_folder(plan.slug) if not folder.strip() else inside_output(folder)
        progress = comfy.utils.ProgressBar(1)

        def report(done: int, total: int) -> None:
            comfy.model_management.throw_exception_if_processing_interrupted()
            progress.update_absolute(done, total)

        film = assemble_film(
            plan,
            find_segments(plan, place),
            place / "film.mp4",
            quality=choose_quality(quality, plan.quality),
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
            "notes": list(film.notes),
        }
        return io.NodeOutput(str(film.path), ui={"images": [saved], "animated": (True,), "videogen": [result]})


def check_take(take: str) -> None:
    """Check a part of a file name, which must not lead out of the folder.

    Raises:
        VideoGenError: `path-invalid`.
    """
    if not re.fullmatch(r"[\w-]{0,80}", take):
        raise VideoGenError("path-invalid", f"`take` is {take!r}, expected letters, digits, '_' and '-'")


def describe(hidden: Any) -> dict[str, str]:
    """ComfyUI's metadata, under the names that the editor reads from a file that is dropped on it."""
    if args.disable_metadata:
        return {}
    graph = hidden.prompt or {}
    # Videos are sent around: keys of services, which a graph can hold, stay out of them.
    secrets = find_graph_secrets(graph)
    redactor = Redactor(secrets)
    tags = {"prompt": redactor.hide(graph)} if hidden.prompt is not None else {}
    more = {key: hide_in_workflow(value, secrets) for key, value in (hidden.extra_pnginfo or {}).items()}
    return {key: json.dumps(value) for key, value in {**tags, **more}.items()}


def story_folder(slug: str) -> Path:
    """``output/videogen/<story>``."""
    return Path(folder_paths.get_output_directory()) / "videogen" / slug


def inside_output(folder: str) -> Path:
    """The path of a folder inside ComfyUI's output folder; a shared workflow must not reach outside it.

    Raises:
        VideoGenError: `path-invalid`.
    """
    return path_inside(Path(folder_paths.get_output_directory()), folder.strip(), "`folder`")


def subfolder_of(folder: Path) -> str:
    """A folder as ComfyUI's results name it: relative to the output folder, with forward slashes."""
    return name_inside(Path(folder_paths.get_output_directory()), folder)


NODES = [VideoGenSaveSegment, VideoGenCompileFilm]
