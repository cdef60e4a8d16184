"""The command line of a run as its files keep it: without secrets, and as it resumes the run."""

from __future__ import annotations

import shlex
from typing import Any

from custom_nodes.videogen.core.redaction import HIDDEN, hide_in_arguments, hide_in_setting


def resume_command(command: str | None) -> str | None:
    """The command that continues a run: the one that began it, without ``--fresh``, which would begin it again.

    None for a command that is not ours: nobody is told to type what another has written into ``run.json``.
    """
    if not command:
        return command
    try:
        words = shlex.split(command)
    except ValueError:
        return None
    if words[:1] != ["videogen"]:
        return None
    # argparse takes unambiguous beginnings of options too; --fr could be --frames.
    kept = [word for word in words if not (len(word) > 4 and "--fresh".startswith(word))]
    # Quoted again: the record may be somebody else's, and `videogen run; …` would be two commands.
    return shlex.join(kept)


def hide_in_command(command: str | None) -> str | None:
    if not command:
        return command
    try:
        return shlex.join(hide_in_arguments(shlex.split(command)))
    except ValueError:
        return HIDDEN


def hide_in_settings(settings: dict[str, Any] | None) -> dict[str, Any] | None:
    if not settings:
        return settings
    return {
        name: [hide_in_setting(str(item)) for item in value] if isinstance(value, list) else value
        for name, value in settings.items()
    }
