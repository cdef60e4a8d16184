"""`videogen adopt`: a workflow of others with the story's nodes in it, for the editor."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from custom_nodes.videogen.core.adoption.adopt import Wishes, adopt
from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.core.model_profiles.parser import parse_profiles
from custom_nodes.videogen.core.model_values.model_workflow import NamedInput
from custom_nodes.videogen.media.profiles.library import (
    load_profiles,
    profile_folders,
    read_folder_texts,
    shipped_profiles,
)
from custom_nodes.videogen.media.story_file import load_story_data

from ..workflows.bindings import find_bindings, find_kept, find_output, parse_binding
from ..workflows.workflow import convert_workflow, load_workflow
from .server_options import add_server_arguments, open_server
from .story_options import add_bind_argument


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the workflow, the story, the file to write, and which server knows the workflow's nodes."""
    parser.formatter_class = argparse.RawTextHelpFormatter
    parser.add_argument("workflow", metavar="WORKFLOW", help="workflow file, or the name of an official template")
    parser.add_argument(
        "--output", "-o", metavar="FILE", help="the file to write (default: the workflow's name and _story.json)"
    )
    parser.add_argument(
        "--story", metavar="STORY", help="story to put into it, JSON or YAML\n(default: the workflow's own prompt)"
    )
    add_bind_argument(parser, "input that has a role, such as prompt=6.text;\nNAME=keep leaves it as it is")
    add_server_arguments(
        parser, "a running ComfyUI that knows the workflow's nodes\n(default: one is started, which takes about 15 s)"
    )


def execute(arguments: argparse.Namespace) -> int:
    """Write the workflow with Story, Segment and Fit to Model, connected to what a segment decides.

    Raises:
        VideoGenError: `workflow-unreadable`, `workflow-invalid`, `binding-invalid`, `option-invalid` for a file that exists, or
            why the server cannot be used.
    """
    for text in arguments.bindings:
        parse_binding(text)
    path = Path(arguments.workflow)
    workflow = load_workflow(path)
    output = Path(arguments.output or f"{workflow.path.stem}_story.json")
    if output.exists():
        raise VideoGenError("option-invalid", f"{output} exists", "Name another file with -o, or delete it.")
    if workflow.ui is None:
        raise VideoGenError(
            "workflow-invalid",
            f"{workflow.path} is in API format, which has no layout for the editor",
            "Open it in the editor and save it with File → Save; `videogen run` takes it as it is.",
        )
    story = None
    if arguments.story:
        loaded = load_story_data(Path(arguments.story))
        story = loaded.story, json.dumps(loaded.data, ensure_ascii=False, indent=2)
    with open_server(arguments) as client:
        object_info = client.object_info()
    graph = convert_workflow(workflow, object_info, warn=_note)
    folders = profile_folders(workflow.path)
    known = {profile.name for profile in shipped_profiles()}

    def find_profile_text(name: str) -> str:
        for text in read_folder_texts(folders[0]) if name not in known else ():
            profiles = parse_profiles(text, folders[0].name)
            if [profile.name for profile in profiles] == [name]:
                return text
        return ""

    wishes = Wishes(
        workflow.path.stem.replace("_", " "),
        story,
        [
            NamedInput(one.value, one.target.node_id, one.target.name)
            for one in find_bindings(arguments.bindings, graph, object_info)
        ],
        find_kept(arguments.bindings),
        find_output(arguments.bindings, graph),
        find_profile_text,
    )
    adopted = adopt(workflow.ui, graph, object_info, load_profiles(folders), wishes)
    try:
        with output.open("x", encoding="utf-8") as file:
            json.dump(adopted.ui, file, ensure_ascii=False, indent=1)
    except OSError as error:
        raise VideoGenError("option-invalid", f"{output} cannot be written: {error.strerror or error}") from None
    for note in adopted.notes:
        _note(note)
    print(output)
    return 0


def _note(text: str) -> None:
    print(f"Note: {text}")
