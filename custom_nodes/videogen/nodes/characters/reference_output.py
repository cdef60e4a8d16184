"""VideoGenCastMember and VideoGenSaveReference: one image of each character and object, where the other nodes find it."""

from __future__ import annotations

from pathlib import Path

import folder_paths
import torch
from comfy_api.latest import io, ui

from ...comfyui.sockets import StorySocket, need_story
from ...core.errors import VideoGenError
from ...core.segment.cast_prompts import CHARACTER_WORDS, OBJECT_WORDS, plan_member
from ...core.story.model import Story
from ...media.images.reference_file import is_rendered, require_image_suffix, write_reference
from ...media.probe import hash_file
from ..film.film_output import check_images, to_rgb

#: What to do about an image that is there.
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
            description="One character or object of a story, with what it takes to draw its reference picture.",
            inputs=[
                StorySocket.Input("story"),
                io.Int.Input(
                    "index",
                    default=1,
                    min=1,
                    max=MAX_MEMBERS,
                    control_after_generate=True,
                    tooltip="Who, counted from 1: characters, then objects, in the story's order. Set it to increment, and each"
                    " run draws the next one. The headless runner sets it.",
                ),
                io.String.Input(
                    "character_words",
                    multiline=True,
                    default=CHARACTER_WORDS,
                    tooltip="How a character is to be shown; its description follows.",
                ),
                io.String.Input(
                    "object_words",
                    multiline=True,
                    default=OBJECT_WORDS,
                    tooltip="How an object is to be shown; its description follows.",
                ),
            ],
            outputs=[
                io.String.Output("prompt", display_name="prompt"),
                io.String.Output("negative", display_name="negative"),
                io.Int.Output("seed", display_name="seed"),
                io.String.Output(
                    "file", display_name="file", tooltip="Where the picture belongs, in the input folder."
                ),
                io.Int.Output("count", display_name="count", tooltip="How many members the cast has."),
            ],
        )

    @classmethod
    def execute(cls, story: Story, index: int, character_words: str, object_words: str) -> io.NodeOutput:
        member = plan_member(need_story(story), index, character_words, object_words)
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
                    tooltip="About a picture that is there: replace it if this node has made it and leave your own alone, replace"
                    " any, or keep what is there. What is replaced, or may not replace, lies in `previous`.",
                ),
                io.String.Input(
                    "prompt", default="", optional=True, tooltip="Goes into the file, to tell what it was made from."
                ),
            ],
            outputs=[io.Image.Output("picture", display_name="images")],
            is_output_node=True,
        )

    @classmethod
    def validate_inputs(cls, file: str | None = None) -> bool | str:
        if file is not None:  # None: it comes out of another node, and is checked when it is there
            try:
                inside_input(file)
            except VideoGenError as error:
                return str(error)
        return True

    @classmethod
    def execute(cls, images: torch.Tensor, file: str, existing: str, prompt: str = "") -> io.NodeOutput:
        check_images(images)
        if len(images) != 1:
            raise VideoGenError(
                "frames-invalid", f"`images` are {len(images)} pictures, expected one: set the batch size to 1"
            )
        path = inside_input(file)
        if existing == KEEP and path.exists():
            written = path
        else:
            pixels = to_rgb(images[0], 0)
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
    """An image by its name inside ComfyUI's input folder: a shared workflow must not reach outside it.

    Raises:
        VideoGenError: `path-invalid`.
    """
    folder = Path(folder_paths.get_input_directory()).resolve()
    name = file.strip().replace("\\", "/")
    if not name:
        raise VideoGenError("path-invalid", "`file` is empty", "Connect it to the output `file` of Cast Member.")
    path = (folder / name).resolve()
    if not path.is_relative_to(folder):
        raise VideoGenError("path-invalid", f"`file` is {file!r}, expected a name inside {folder}")
    require_image_suffix(path)
    return path


def _name_in_input(path: Path) -> str:
    return path.relative_to(Path(folder_paths.get_input_directory()).resolve()).as_posix()


NODES = [VideoGenCastMember, VideoGenSaveReference]
