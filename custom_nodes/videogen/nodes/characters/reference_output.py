"""VideoGenCastMember and VideoGenSaveReference: render and store a reference image of each character and object."""

from __future__ import annotations

from pathlib import Path

import folder_paths
import torch
from comfy_api.latest import io, ui

from ...comfyui.frames.frame_tensors import check_frames, to_rgb8
from ...comfyui.sockets import StorySocket, need_story
from ...comfyui.widgets import validate
from ...core.errors import VideoGenError
from ...core.segment.cast_prompts import CHARACTER_WORDS, OBJECT_WORDS, plan_member
from ...core.story.model import Story
from ...media.images.reference_file import is_rendered, require_image_suffix, write_reference
from ...media.path_inside import name_inside, path_inside
from ...media.probe import hash_file

#: What to do when the file exists.
REPLACE_RENDERED, REPLACE_ANY, KEEP = "replace rendered", "replace any", "keep"
EXISTING_CHOICES = [REPLACE_RENDERED, REPLACE_ANY, KEEP]
MAX_MEMBERS = 10_000


class VideoGenCastMember(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="VideoGenCastMember",
            display_name="Cast Member",
            category="videogen/story",
            description="One character or object of a story, with the prompt and seed for its reference picture.",
            inputs=[
                StorySocket.Input("story"),
                io.Int.Input(
                    "index",
                    default=1,
                    min=1,
                    max=MAX_MEMBERS,
                    control_after_generate=True,
                    tooltip="Cast member index (1-based): characters, then objects, in the story's order. With increment, each"
                    " run renders the next one. The headless runner sets it.",
                ),
                io.String.Input(
                    "character_words",
                    multiline=True,
                    default=CHARACTER_WORDS,
                    tooltip="How to show a character; its description is appended.",
                ),
                io.String.Input(
                    "object_words",
                    multiline=True,
                    default=OBJECT_WORDS,
                    tooltip="How to show an object; its description is appended.",
                ),
            ],
            outputs=[
                io.String.Output("prompt", display_name="prompt"),
                io.String.Output("negative", display_name="negative"),
                io.Int.Output("seed", display_name="seed"),
                io.String.Output("file", display_name="file", tooltip="Path of the picture in the input folder."),
                io.Int.Output("count", display_name="count", tooltip="Number of cast members."),
            ],
        )

    @classmethod
    def execute(cls, story: Story, index: int, character_words: str, object_words: str) -> io.NodeOutput:
        member = plan_member(need_story(story), index, character_words, object_words)
        # Here already: Save Reference would refuse it only after the picture was sampled.
        inside_input(member.file)
        return io.NodeOutput(member.prompt, member.negative, member.seed, member.file, member.count)


class VideoGenSaveReference(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="VideoGenSaveReference",
            display_name="Save Reference",
            category="videogen/story",
            description="Writes a reference picture into the input folder, where Apply Characters and Load Image find it.",
            inputs=[
                io.Image.Input("images", tooltip="One picture."),
                io.String.Input(
                    "file", default="", tooltip="Name inside the input folder, from Cast Member; png, jpg or webp."
                ),
                io.Combo.Input(
                    "existing",
                    options=EXISTING_CHOICES,
                    default=REPLACE_RENDERED,
                    tooltip="When the file exists. replace rendered: replace it if this node wrote it, and leave your own"
                    " pictures alone. replace any. keep: leave it. The picture that is not used goes to `previous`.",
                ),
                io.String.Input(
                    "prompt", default="", optional=True, tooltip="Stored in the file, to tell what it was made from."
                ),
            ],
            outputs=[io.Image.Output("picture", display_name="images")],
            is_output_node=True,
        )

    @classmethod
    def validate_inputs(cls, file: str | None = None) -> bool | str:
        return validate(inside_input, file)

    @classmethod
    def execute(cls, images: torch.Tensor, file: str, existing: str, prompt: str = "") -> io.NodeOutput:
        check_frames(images)
        if len(images) != 1:
            raise VideoGenError(
                "frames-invalid", f"`images` are {len(images)} pictures, expected one: set the batch size to 1"
            )
        path = inside_input(file)
        if existing == KEEP and path.exists():
            written = path
        else:
            pixels = to_rgb8(images[0], 0)
            written = write_reference(path, pixels, prompt, spare_own=existing == REPLACE_RENDERED)
        name = _name_in_input(written)
        saved = ui.SavedResult(written.name, name.rpartition("/")[0], io.FolderType.input)
        result = {
            "file": _name_in_input(path),
            "written": name,
            "rendered": is_rendered(written),
            "bytes": written.stat().st_size,
            "sha256": hash_file(written),
        }
        return io.NodeOutput(images, ui={"images": [saved], "videogen": [result]})


def inside_input(file: str) -> Path:
    """The path of an image inside ComfyUI's input folder; a shared workflow must not reach outside it.

    Raises:
        VideoGenError: `path-invalid`.
    """
    if not file.strip():
        raise VideoGenError("path-invalid", "`file` is empty", "Connect it to the output `file` of Cast Member.")
    path = path_inside(Path(folder_paths.get_input_directory()), file.strip(), "`file`")
    require_image_suffix(path)
    return path


def _name_in_input(path: Path) -> str:
    return name_inside(Path(folder_paths.get_input_directory()), path)


NODES = [VideoGenCastMember, VideoGenSaveReference]
