"""The command line of a run as its files keep it: without secrets, and as it resumes the run."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from typing import Any

HIDDEN = "***"
_SECRET_INPUT = re.compile(r"(?i)^((?:--set=)?[^=\s]*[._](?:api_?key|auth_token|token|secret|password)=).+$", re.DOTALL)


def resume_command(command: str | None) -> str | None:
    """The command that continues a run: the one that began it, without ``--fresh``, which would begin it again."""
    if not command:
        return command
    try:
        words = shlex.split(command)
    except ValueError:
        return command
    # argparse takes unambiguous beginnings of options too; --fr could be --frames.
    kept = [word for word in words if not (len(word) > 4 and "--fresh".startswith(word))]
    return command if kept == words else shlex.join(kept)


def hide_secrets(arguments: Sequence[str]) -> list[str]:
    """Replace headers and keys in a command line: it is stored in files that people send around.

    ``--header 'Authorization: Bearer …'`` keeps the header's name, ``--set 5.api_key=…`` the input's.
    """
    hidden: list[str] = []
    for argument in arguments:
        option, equals, value = argument.partition("=")
        before = hidden[-1] if hidden else ""
        if _is_header(before):
            hidden.append(_hide_header(argument))
        elif equals and _is_header(option):
            hidden.append(f"{option}={_hide_header(value)}")
        else:
            hidden.append(_SECRET_INPUT.sub(rf"\1{HIDDEN}", argument))
    return hidden


def _is_header(option: str) -> bool:
    # argparse takes unambiguous beginnings of options too; --he could be --help.
    return len(option) > 4 and "--header".startswith(option)


def _hide_header(line: str) -> str:
    name, colon, _ = line.partition(":")
    return f"{name}: {HIDDEN}" if colon else HIDDEN


def hide_in_command(command: str | None) -> str | None:
    if not command:
        return command
    try:
        return shlex.join(hide_secrets(shlex.split(command)))
    except ValueError:
        return command


def hide_in_settings(settings: dict[str, Any] | None) -> dict[str, Any] | None:
    if not settings:
        return settings
    return {
        name: hide_secrets([str(item) for item in value]) if isinstance(value, list) else value
        for name, value in settings.items()
    }
