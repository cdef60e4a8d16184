"""VideoGenSaveEmbeds and VideoGenLoadEmbeds: embeddings of images in files of the input folder."""

from __future__ import annotations

from pathlib import Path

import folder_paths
from comfy_api.latest import io

from ...comfyui.attention.image_embeds import EMBEDS_ENDING, check_embeds, read_embeds, write_embeds
from ...comfyui.sockets import EmbedsSocket
from ...comfyui.widgets import from_input_folder, validate
from ...core.errors import VideoGenError
from ...media.path_inside import name_inside, path_inside, walk_files
from ...media.probe import hash_file


class VideoGenSaveEmbeds(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="VideoGenSaveEmbeds",
            display_name="Save Embeds",
            category="videogen/characters",
            description="Writes embeddings of pictures into the input folder, where Load Embeds finds them.",
            inputs=[
                EmbedsSocket.Input("embeds", tooltip="From Encode Embeds or Combine Embeds."),
                io.String.Input(
                    "file",
                    default=f"embeds/anna{EMBEDS_ENDING}",
                    tooltip=f"Name inside the input folder, with the ending {EMBEDS_ENDING}. An older file goes to `previous`.",
                ),
            ],
            outputs=[
                EmbedsSocket.Output("saved", display_name="embeds"),
                io.String.Output("name", display_name="file", tooltip="Name of the file in the input folder."),
            ],
            is_output_node=True,
        )

    @classmethod
    def validate_inputs(cls, file: str | None) -> bool | str:
        return validate(place_of, file)

    @classmethod
    def execute(cls, embeds: object, file: str) -> io.NodeOutput:
        path = place_of(file)
        tensor = check_embeds(embeds, "embeds")
        write_embeds(path, tensor)
        name = name_inside(Path(folder_paths.get_input_directory()), path)
        result = {"file": name, "pictures": len(tensor), "bytes": path.stat().st_size, "sha256": hash_file(path)}
        return io.NodeOutput(tensor, name, ui={"videogen": [result]})


class VideoGenLoadEmbeds(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="VideoGenLoadEmbeds",
            display_name="Load Embeds",
            category="videogen/characters",
            description="Loads embeddings of pictures from the input folder, also those that ComfyUI_IPAdapter_plus has saved.",
            inputs=[
                from_input_folder(
                    io.Combo.Input(
                        "file",
                        options=list_embeds(),
                        optional=True,  # or else ComfyUI itself would report an empty folder, without saying what belongs there
                        tooltip=f"A file with the ending {EMBEDS_ENDING} in the input folder or below it.",
                    )
                ),
            ],
            outputs=[EmbedsSocket.Output(display_name="embeds")],
        )

    @classmethod
    def validate_inputs(cls, file: str | None = "") -> bool | str:
        return validate(find_embeds, file)

    @classmethod
    def fingerprint_inputs(cls, file: str | None = "") -> str | float:
        return (
            hash_file(find_embeds(file)) if file else float("nan")
        )  # never equal to itself: the file is not known yet

    @classmethod
    def execute(cls, file: str = "") -> io.NodeOutput:
        return io.NodeOutput(read_embeds(find_embeds(file)))


def place_of(file: str) -> Path:
    """The path of a file of embeddings inside ComfyUI's input folder.

    Raises:
        VideoGenError: `path-invalid`, for another ending or a place outside the folder.
    """
    path = path_inside(Path(folder_paths.get_input_directory()), file.strip(), "`file`")
    if path.suffix.lower() != EMBEDS_ENDING or path.stem.startswith("."):
        raise VideoGenError("path-invalid", f"`file` is {file!r}, expected a name that ends in {EMBEDS_ENDING}")
    return path


def list_embeds() -> list[str]:
    """Files of embeddings in the input folder and below, without what `previous` folders keep."""
    folder = Path(folder_paths.get_input_directory())
    found = (path for path in walk_files(folder) if path.suffix.lower() == EMBEDS_ENDING)
    return sorted(name_inside(folder, path) for path in found if path.parent.name != "previous")


def find_embeds(file: str) -> Path:
    """The path of a file of embeddings that exists.

    Raises:
        VideoGenError: `path-invalid`.
    """
    if not file:
        raise VideoGenError(
            "path-invalid",
            f"no file is chosen; {folder_paths.get_input_directory()} has {len(list_embeds())} with the ending {EMBEDS_ENDING}",
            "Write one with Save Embeds.",
        )
    path = place_of(file)
    if not path.is_file():
        raise VideoGenError(
            "path-invalid",
            f"the embeddings {file!r} are not in {folder_paths.get_input_directory()}",
            "Put the file there, or write it with Save Embeds.",
        )
    return path


NODES = [VideoGenSaveEmbeds, VideoGenLoadEmbeds]
