"""`videogen import`: a story of another program as a story of videogen."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.core.story.documents import parse_document
from custom_nodes.videogen.core.story.parser import parse_story
from custom_nodes.videogen.core.story.pasted.other_formats import import_story, recognize
from custom_nodes.videogen.media.story_file import read_story_text

from ..terminal.json_output import print_json


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the file."""
    parser.formatter_class = argparse.RawTextHelpFormatter
    parser.add_argument(
        "file",
        metavar="FILE",
        help="a story of StoryMem, a storyboard of ViMax, or a prompt or list of scenes\n"
        "in JSON as it is written for Veo or Sora",
    )
    parser.epilog = "videogen import theirs.json > story.json; then `videogen check story.json`."


def execute(arguments: argparse.Namespace) -> int:
    """Print the story as JSON on standard output, and notes on standard error. Nothing is written.

    Raises:
        VideoGenError: `story-unreadable`; `story-invalid` with all problems, where the result is no valid story.
    """
    path = Path(arguments.file)
    data = parse_document(read_story_text(path), path.name)
    imported = import_story(data)
    if imported is None or not imported.story:
        what = f"is {recognize(data)}" if recognize(data) else "is no story of another program that videogen knows"
        raise VideoGenError(
            "story-unreadable",
            f"{path.name} {what}",
            "Known are StoryMem, ViMax (storyboard.json), and prompts and scene lists for Veo and Sora."
            " `videogen check` says what is wrong with a story of videogen.",
        )
    story = parse_story(imported.story, path.name)
    print_json(imported.story, indent=2)
    for note in (*imported.notes, *story.warnings):
        print(f"Note: {note}", file=sys.stderr)
    return 0
