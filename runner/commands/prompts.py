"""`videogen prompts`: what each segment says to a model, in the form that the model was trained on."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.core.model_profiles.model import Profile
from custom_nodes.videogen.core.model_profiles.schema import PLAIN
from custom_nodes.videogen.core.prompts.compile import compile_prompt
from custom_nodes.videogen.core.prompts.model import CompiledPrompt, Given
from custom_nodes.videogen.core.prompts.pictures import name_pictures
from custom_nodes.videogen.core.segment.plan import SegmentPlan, plan_segment
from custom_nodes.videogen.core.segment.references import cast_roles
from custom_nodes.videogen.core.story.model import Story
from custom_nodes.videogen.core.story.selection import parse_selection
from custom_nodes.videogen.core.story.validation import did_you_mean
from custom_nodes.videogen.media.profiles.library import load_profiles, profile_folders, shipped_profiles
from custom_nodes.videogen.media.story_file import LoadedStory

from ..rendering.jobs import ConvertedWorkflow, JobMaker, WorkflowChoices
from ..terminal.json_output import print_json
from ..workflows.own_workflows import WorkflowUse, list_uses, load_own_workflows
from ..workflows.workflow import Workflow, convert_workflow, load_workflow
from .server_options import add_server_arguments, open_server
from .story_options import add_bind_argument, add_story_file, find_story


@dataclass(frozen=True)
class _Written:
    """Who a story is written for, and how.

    Attributes:
        model: as JSON has it; of `title`, `how` and what else is known.
        compile: the prompts of a segment.
        notes: on all segments.
    """

    model: dict[str, Any]
    compile: Callable[[SegmentPlan], CompiledPrompt]
    notes: Sequence[str] = ()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the story, the workflow or the model, which segments, the form of the output, and the server."""
    parser.formatter_class = argparse.RawTextHelpFormatter
    parser.epilog = (
        "With --model no ComfyUI is needed. docs/any-workflow.md lists the models, and how each is written to."
    )
    add_story_file(parser)
    parser.add_argument(
        "--workflow", metavar="W", help="workflow file, or the name of a shipped one: its model is recognized"
    )
    parser.add_argument(
        "--model", metavar="NAME", help="a model by the name of its profile, such as ltx-2.5,\ninstead of a workflow"
    )
    parser.add_argument("--segments", metavar="LIST", help="only these segments, such as 1,4,8-11")
    add_bind_argument(parser, "an input of the workflow, as for `videogen run`")
    parser.add_argument("--json", action="store_true", help="print the prompts as JSON")
    add_server_arguments(
        parser, "a running ComfyUI that knows the workflow's nodes\n(default: one is started, which takes about 15 s)"
    )


def execute(arguments: argparse.Namespace) -> int:
    """Print the prompt and the negative prompt of each segment, and what was cut or left out.

    Raises:
        VideoGenError: `option-invalid`, `selection-invalid`, the codes of stories, workflows and profiles, or why the server
            cannot be used.
    """
    if bool(arguments.workflow) == bool(arguments.model):
        raise VideoGenError(
            "option-invalid",
            "--workflow and --model are both given" if arguments.model else "there is neither --workflow nor --model",
            "Give one of them, such as --workflow video_wan2_2_14B_t2v or --model wan-t2v.",
        )
    workflow = load_workflow(Path(arguments.workflow)) if arguments.workflow else None
    loaded = find_story(arguments, workflow)
    story = loaded.story
    numbers = _selected(arguments.segments, len(story.segments))
    if workflow is None:
        written = dict.fromkeys(numbers, _for_model(arguments.model, story))
    else:
        written = _for_workflows(arguments, workflow, loaded, set(numbers))
    prompts = [(number, written[number].compile(plan_segment(story, number))) for number in numbers]
    (_print_json if arguments.json else _print)(story, written, prompts)
    return 0


def _selected(text: str | None, count: int) -> Sequence[int]:
    if text is None:
        return range(1, count + 1)
    try:
        return parse_selection(text, count)
    except ValueError as error:
        raise VideoGenError("selection-invalid", f"--segments {text}: {error}") from None


def _for_model(name: str, story: Story) -> _Written:
    """A model that ships with a profile; it gets all the pictures that it takes and the story has."""
    profile = next((one for one in shipped_profiles() if one.name == name), None)
    if profile is None:
        names = [one.name for one in shipped_profiles()]
        meant = did_you_mean(name, names) or f"; there are {', '.join(names)}"
        raise VideoGenError(
            "option-invalid",
            f"--model {name!r} is the name of no profile that ships{meant}",
            "For a model of your own, name its workflow with --workflow.",
        )
    most = profile.inputs.references or 0

    def compile_segment(plan: SegmentPlan) -> CompiledPrompt:
        files = [role.names[0] for role in cast_roles(plan) if role.names][:most]
        segment, takes = story.segment(plan.number), profile.inputs
        given = Given(
            first_frame=segment.begins_with_picture and takes.first_frame is True,
            last_frame=bool(segment.last_frame) and takes.last_frame is True,
            references=name_pictures(plan, files),
        )
        return compile_prompt(story, plan.number, profile, given)

    return _Written(_describe(profile, ""), compile_segment)


def _for_workflows(
    arguments: argparse.Namespace, workflow: Workflow, loaded: LoadedStory, numbers: Collection[int]
) -> dict[int, _Written]:
    """Segments by the workflows that they are rendered with."""
    uses = list_uses(loaded.story, workflow, load_own_workflows(loaded, workflow))
    with open_server(arguments) as client:
        object_info = client.object_info()
    # Profiles are a user's own: a story brings none.
    profiles = load_profiles(profile_folders(workflow.path))
    written: dict[int, _Written] = {}
    for use in uses:
        wanted = [number for number in use.numbers if number in numbers]
        if wanted:
            bindings = () if use.is_own else arguments.bindings
            choices = WorkflowChoices(bindings=bindings, profiles=profiles)
            written |= dict.fromkeys(wanted, _for_workflow(use, loaded, object_info, choices))
    return written


def _for_workflow(
    use: WorkflowUse, loaded: LoadedStory, object_info: dict[str, Any], choices: WorkflowChoices
) -> _Written:
    workflow = use.workflow
    converted = ConvertedWorkflow(convert_workflow(workflow, object_info), object_info)
    maker = JobMaker(loaded, converted, choices, hash_input=lambda name: "", numbers=use.numbers)
    prompts = maker.roles.prompts
    if prompts is None:
        composed = "this is the text as the story composes it: no prompt was found, or one for images is bound"
        if maker.segment_nodes:
            composed = "the workflow's Segment node composes the prompt"
        return _Written(
            {"name": None, "title": workflow.path.stem, "how": composed, "known": False},
            lambda plan: CompiledPrompt(plan.prompt, plan.negative, PLAIN),
            [composed, *maker.roles.notes],
        )
    how = maker.roles.recognized.how if maker.roles.recognized else ""
    return _Written(_describe(prompts.profile, how), prompts.compile, maker.roles.notes)


def _describe(profile: Profile, how: str) -> dict[str, Any]:
    return {"name": profile.name, "title": profile.title, "how": how, "known": profile.known}


def _print(story: Story, written: Mapping[int, _Written], prompts: Sequence[tuple[int, CompiledPrompt]]) -> None:
    for number, prompt in prompts:
        title = written[number].model["title"]
        print(f"Segment {number} of {len(story.segments)}, {title}, dialect {prompt.dialect}\n")
        print(prompt.text or "(no text)")
        if prompt.negative:
            print(f"\nNegative: {prompt.negative}")
        for note in prompt.notes:
            print(f"\nNote: {note}" if note is prompt.notes[0] else f"Note: {note}")
        print()
    for note in _list_notes(written):
        print(f"Note: {note}")


def _list_notes(written: Mapping[int, _Written]) -> list[str]:
    return list(dict.fromkeys(note for one in written.values() for note in one.notes))


def _print_json(story: Story, written: Mapping[int, _Written], prompts: Sequence[tuple[int, CompiledPrompt]]) -> None:
    # That of the first segment that has none of its own; of the others each says it.
    main = next((written[number] for number, _ in prompts if not story.segment(number).workflow), None)
    main = main or written[prompts[0][0]]
    segments = [
        {
            "number": number,
            "id": story.segment(number).id,
            "dialect": prompt.dialect,
            "prompt": prompt.text,
            "negative": prompt.negative,
            "notes": list(prompt.notes),
            **({} if written[number].model == main.model else {"model": written[number].model}),
        }
        for number, prompt in prompts
    ]
    print_json({"model": main.model, "segments": segments, "notes": _list_notes(written)}, indent=2)
