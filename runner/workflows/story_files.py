"""What a story makes videogen read, upload and write: told by `videogen check`, before anything of it happens."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.core.segment.references import mask_name, reference_names, story_cast
from custom_nodes.videogen.media.story_file import LoadedStory
from custom_nodes.videogen.media.story_folder import check_picture, read_picture

from .story_images import StoryImages


def list_story_files(
    loaded: LoadedStory, workflows: Sequence[Path], run_directory: Path
) -> tuple[list[str], list[VideoGenError]]:
    """A line for each file that a run reads, uploads or writes, and what is wrong with those that it would upload.

    Args:
        workflows: the files of the workflows.
        run_directory: where the run would write, by default.
    """
    read = [f"Reads    {path.absolute()}" for path in (*loaded.files, *workflows)]
    images = StoryImages(loaded.folder, loaded.story.slug)
    uploaded, problems = [], []
    names = {
        name
        for entity in story_cast(loaded.story)
        for name in (*reference_names(loaded.story.slug, entity), mask_name(entity))
    }
    for name in sorted(filter(None, names)):
        try:
            image = images.find(name)
            if image is None:
                continue
            check_picture(image.path, read_picture(image.path))
        except VideoGenError as error:
            problems.append(error)
            continue
        uploaded.append(f"Uploads  {image.path} ({image.bytes:,} bytes) as input/{image.name}, if the workflow uses it")
    written = [
        f"Writes   {run_directory.absolute()}: videos, journal and report",
        f"Writes   output/videogen/{loaded.story.slug} on the server, and what else the workflow saves there",
    ]
    return [*read, *uploaded, *written], problems
