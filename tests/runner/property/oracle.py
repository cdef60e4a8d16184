"""What must hold after every run, whatever was done to it."""

from __future__ import annotations

from collections.abc import Iterator

from custom_nodes.videogen.media.probe import probe_video
from tests.runner.property.child import DISK_FULL
from tests.runner.property.world import RunRecord, World
from tests.support.servers.model.chronicle import Execution
from tests.support.servers.model.graphs import IMPOSSIBLE
from tests.support.servers.model.prompt_faults import PROMPT_FAULTS
from tests.support.videos import read_codes


def check_run(world: World, run: RunRecord) -> None:
    """Raise an AssertionError with everything that is wrong after a run, and what led to it."""
    with world.chronicle.lock:
        wrong = [
            *_check_end(world, run),
            *_check_segments(world, run),
            *_check_nothing_twice(world, run),
            *_check_nothing_unfetched(world, run),
            *_check_nothing_left_running(world, run),
            *_check_journal(world),
        ]
    if wrong:
        log = (world.folder / f"run_{run.number}.log").read_text(encoding="utf-8")
        story = f"{world.tell()}\n\nwhat run {run.number} said:\n{log}"
        raise AssertionError("\n".join(["", *(f"WRONG: {text}" for text in wrong), "", story]))


def check_film(world: World) -> None:
    """The film shows the segments in their order."""
    codes = read_codes(world.directory / "film.mp4")
    shown = list(dict.fromkeys(codes))
    assert shown == list(world.numbers), f"the film shows {shown}\n{world.tell()}"


def renderable(world: World, number: int) -> bool:
    """Whether a segment, and all that it begins from, is one that a healthy server can render."""
    while world.prompts[number - 1] != IMPOSSIBLE:
        if number not in world.continues:
            return True
        number -= 1
    return False


def _well(run: RunRecord) -> list[str]:
    """Servers that have been well for the whole of a run."""
    return [name for name in run.order if not run.trouble[name] and not run.struck[name]]


def _may_stop(run: RunRecord) -> bool:
    """Whether a run met what ends a run: a full disk, heat, an interruption by another client."""
    if run.crash is not None and run.crash.how == DISK_FULL:
        return True
    return any(PROMPT_FAULTS[fault].stops for name in run.order for fault in run.struck[name])


def _check_end(world: World, run: RunRecord) -> Iterator[str]:
    lacking = any("lacks the model" in word for name in run.order for word in run.trouble[name])
    if run.ended.how == "ended" and run.ended.status not in (0, 1, 3, *([2] if lacking and not _well(run) else [])):
        yield f"the run ends with status {run.ended.status}: {run.ended.message}"
    errors = world.events("runner-error")
    if errors:
        yield f"internal error: {errors[-1]['message']}\n{errors[-1]['trace']}"
    if run.ended.how != "ended" or _may_stop(run):
        return
    expected = [number for number in run.selection if renderable(world, number)]
    missing = [number for number in expected if not _is_current(world, number)]
    struck = [fault for name in run.order for fault in run.struck[name]]
    trouble = [word for name in run.order for word in run.trouble[name]]
    if _well(run) and missing:
        yield f"{', '.join(_well(run))} could render everything, and these are missing: {missing}"
    elif (
        missing
        and run.ended.status != 3
        and len(struck) + len([word for word in trouble if word not in struck]) <= 1
        and _passes(run, struck)
    ):
        yield f"one fault, {struck}, and these are missing: {missing}"
    if _well(run) and run.ended.status != (0 if len(expected) == len(run.selection) else 1):
        yield f"a server was well, and the run ends with status {run.ended.status}"


def _passes(run: RunRecord, struck: list[str]) -> bool:
    """Whether the servers come back from these: one of the run's own is started again, but gets no model by that."""
    if any("lacks the model" in word for name in run.order for word in run.trouble[name]):
        return False
    return run.own or not {"hang", "dead context", "crash"} & set(struck)


def _is_current(world: World, number: int) -> bool:
    """Whether a segment's file is what the story asks for now."""
    content = world.content_of(number)
    first = world.seed_of(number)
    return (content.get("prompt"), content.get("style")) == (world.prompts[number - 1], world.style) and (
        first <= content["seed"] < first + 50
    )


def _check_segments(world: World, run: RunRecord) -> Iterator[str]:
    states = world.journal().segments
    for number, state in states.items():
        path = world.directory / str(state.result.get("file", "-"))
        if state.state != "done":
            continue
        if not path.is_file():
            if number in run.selection and run.ended.how == "ended" and run.ended.status == 0:
                yield f"segment {number} is done, and has no file"
            continue
        if number in run.selection and run.ended.how == "ended" and run.ended.status == 0:
            info = probe_video(path, decode=True)
            if info.frames != 12:
                yield f"segment {number} has {info.frames} frames"
            content = world.content_of(number)
            if content["number"] != number:
                yield f"the file of segment {number} is that of segment {content['number']}"
            if content["seed"] != state.result["seed"]:
                yield f"segment {number}: the journal says seed {state.result['seed']}, the file {content['seed']}"
    if run.ended.how == "ended" and run.ended.status == 0:
        left = [path.name for path in world.directory.rglob("*.part")]
        if left:
            yield f"left over: {left}"


def _check_nothing_twice(world: World, run: RunRecord) -> Iterator[str]:
    """No frames are rendered twice while what was rendered first can still be had."""
    executions = world.chronicle.executions
    for index, later in enumerate(executions):
        if later.run != run.number or not later.rendered:
            continue
        for place, earlier in enumerate(executions[:index]):
            if earlier.rendered and earlier.content == later.content and not _excused(world, place, index):
                yield (
                    f"{later.content} was rendered twice: by {earlier.server} (run {earlier.run}, {earlier.prompt_id[:6]})"
                    f" and by {later.server} (run {later.run}, {later.prompt_id[:6]})"
                )


def _excused(world: World, place: int, index: int) -> bool:
    """Whether what was rendered first could not be had when it was asked for again."""
    earlier, later = world.chronicle.executions[place], world.chronicle.executions[index]
    number = earlier.content["number"]
    if any(lost == number and place < at <= index for lost, at in world.losses):
        return True
    if was_fetched(world, earlier, before=later):
        return False
    if earlier.lost_at is not None and earlier.lost_at <= index:
        return True
    if earlier.server not in world.runs[later.run - 1].order:
        return True
    return any(one.trouble[earlier.server] for one in world.runs[earlier.run - 1 : later.run])


def was_fetched(world: World, execution: Execution, before: Execution | None = None) -> bool:
    """Whether what a prompt has rendered has reached the run directory, verified or judged."""
    wanted = execution.content["number"], execution.content["seed"], execution.take
    end = before.position if before is not None else None
    for event in world.events("segment-verified", "segment-take", start=execution.position, end=end):
        result = event.get("result") or event
        if (event["segment"], result["seed"], str(result["key"])[: len(execution.take)]) == wanted:
            return True
    return False


def _check_nothing_unfetched(world: World, run: RunRecord) -> Iterator[str]:
    """What a server has finished for a segment is what the segment is made of."""
    if run.ended.how != "ended" or run.ended.status != 0:
        return
    states = world.journal().segments
    for execution in world.chronicle.executions:
        number = execution.content["number"]
        state = states.get(number)
        wanted = number in run.selection and state is not None and state.key.startswith(execution.take)
        if not wanted or not execution.rendered:
            continue
        if was_fetched(world, execution) or execution.lost_at is not None or execution.server not in run.order:
            continue
        if any(one.trouble[execution.server] for one in world.runs[execution.run - 1 :]):
            continue
        if any(lost == number for lost, _ in world.losses):
            continue
        yield f"{execution.content}, which {execution.server} has finished ({execution.prompt_id[:6]}), was never fetched"


def _check_nothing_left_running(world: World, run: RunRecord) -> Iterator[str]:
    """When a run ends by itself or by Ctrl-C, no server still works for it."""
    if run.ended.how == "killed":
        return
    for name in run.order:
        server = world.servers[name]
        if server.unreachable or "unreachable" in server.trouble:
            continue
        for prompt in server.prompts:
            number = prompt.execution.content["number"]
            ours = prompt.execution.run == run.number
            # What an earlier run had submitted, and this one has rendered elsewhere, or from another text.
            again = number in run.ended.rendered
            if (ours or again) and not prompt.execution.canceled:
                yield f"{name} still has {prompt.execution.content} ({prompt.id[:6]}) in its queue"


def _check_journal(world: World) -> Iterator[str]:
    """No segment is verified twice under one key, unless its file was lost or it had another key in between."""
    last: dict[int, str] = {}
    for event in world.events("segment-verified"):
        number = event["segment"]
        again = last.get(number) == event["key"]
        if again and not any(lost == number for lost, _ in world.losses):
            yield f"segment {number} was verified twice under one key"
        last[number] = event["key"]
    for number, state in world.journal().segments.items():
        seeds = [take["seed"] for take in state.takes]
        if len(seeds) != len(set(seeds)):
            yield f"segment {number} has takes of one seed: {seeds}"
