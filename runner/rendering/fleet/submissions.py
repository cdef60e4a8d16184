"""What an earlier runner has left with the servers: where each prompt is, so that it is fetched or waited for there."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.core.server_address import hide_in_server
from custom_nodes.videogen.core.story.selection import format_selection

from ...comfyui.servers import Server
from ..attempts import Attempts, find_prompt
from ..run_log import RunLog
from ..scheduler import Task

#: What a server may say of a prompt that it can go on with, the best first; see `find_prompt`.
_USABLE = ("success", "queued", "error")


def find_submissions(tasks: Sequence[Task], servers: Sequence[Server], attempts: Attempts, log: RunLog) -> None:
    """Find the servers that have the prompts of an earlier runner, and reserve the tasks for them.

    The server that the journal names is asked first, then all others: an address may have changed. A prompt that is there
    twice is canceled where it is of no use. With one server nothing is asked, unless a former attempt was left behind there: its
    thread looks before it submits.
    """
    _tell_of_others(tasks, servers, log)
    attempts.cancel_outdated(tasks)
    for task in tasks:
        found = _find_submission(task, servers, attempts) if task.may_be_on_server and len(servers) > 1 else ""
        if task.left_behind:
            _find_left_behind(task, found, servers, attempts)


def _find_left_behind(task: Task, found: str, servers: Sequence[Server], attempts: Attempts) -> None:
    """Take up a former attempt whose server was away, or not in the run, when the last one was submitted; or cancel it.

    Args:
        found: what a server says of the last one: a former attempt that has gone further is worth more.
    """
    by_name = {server.name: server for server in servers}
    for submitted in reversed(task.left_behind):
        server = by_name.get(hide_in_server(str(submitted.get("server"))))
        if server is None:
            continue
        with contextlib.suppress(VideoGenError):  # its thread will find out
            prompt_id = str(submitted.get("prompt_id"))
            state = server.session.find(prompt_id)
            if _is_better(state, found):
                if found == "queued":
                    by_name[task.reserved_for].session.client.cancel(attempts.prompt_id(task))
                attempts.take_up(task, submitted)
                task.reserved_for, found = server.name, state
            elif state == "queued" and task.reserved_for != server.name:
                server.session.client.cancel(prompt_id)


def _is_better(state: str, found: str) -> bool:
    """Whether an attempt in this state is to be taken up instead of the last one; not one that has failed, or is not known."""
    order = [*_USABLE, ""]
    return state in ("success", "queued") and order.index(state) < order.index(found)


def _find_submission(task: Task, servers: Sequence[Server], attempts: Attempts) -> str:
    """Reserve a task for the server that has its last attempt.

    Returns:
        What that server says of it, see `_USABLE`; "" where none has it.
    """
    prompt_id = attempts.prompt_id(task)
    found: dict[str, str] = {}
    asked_all = True
    # In a stable order but for the first: the same run finds the same.
    for server in sorted(servers, key=lambda server: server.name != task.submitted_to):
        try:
            found[server.name] = find_prompt(server.session, prompt_id)
        except VideoGenError:
            asked_all = False  # its thread will find out, and look again when it is back
            continue
        if found[server.name] == _USABLE[0]:
            break
    usable = [state for state in _USABLE if not (task.canceled and state == "error")]
    holders = sorted((name for name in found if found[name] in usable), key=lambda name: _USABLE.index(found[name]))
    if holders:
        task.reserved_for = holders[0]
        for server in servers:
            if found.get(server.name) == "queued" and server.name != holders[0]:
                server.session.client.cancel(prompt_id)
        return found[holders[0]]
    if asked_all and not any(found.values()):
        task.may_be_on_server = False
    return ""


def _tell_of_others(tasks: Sequence[Task], servers: Sequence[Server], log: RunLog) -> None:
    """Say which prompts are with servers that this run does not have."""
    names = {server.name for server in servers}
    missing: dict[str, list[int]] = {}
    for task in tasks:
        if task.may_be_on_server and task.submitted_to.startswith("http") and task.submitted_to not in names:
            missing.setdefault(task.submitted_to, []).append(task.number)
    for name, numbers in missing.items():
        some = f"segments {format_selection(numbers)} were" if len(numbers) > 1 else f"segment {numbers[0]} was"
        log.say(
            f"Note: {some} submitted to {name}, which is not among the servers of this run; rendered again elsewhere"
        )
