"""Steps of the set-up: when one is done, and how it is carried out."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .errors import Skipped
from .workspace import Workspace


@dataclass
class Step:
    """A piece of the set-up. It is done when its output is there and came from the same inputs."""

    name: str
    title: str | Callable[[], str]
    work: Callable[[], str | None]  # may return a detail for the end of the line
    present: Callable[[], bool]
    inputs: Callable[[], str] = lambda: "present"
    gigabytes: float = 0.0


def fingerprint(*inputs: Any) -> str:
    """Inputs of a step in a form that install.json can keep."""
    return hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()[:16]


def is_done(workspace: Workspace, step: Step) -> bool:
    return step.present() and workspace.steps.get(step.name, "present") == step.inputs()


def carry_out(workspace: Workspace, step: Step) -> None:
    """Do the work of a step, show that, and write down from which inputs it came."""
    console, title = workspace.console, step.title if isinstance(step.title, str) else step.title()
    console.begin(title)
    try:
        detail = step.work()
    except Skipped as reason:
        console.finish("!", f", {reason}")
        return
    except BaseException:
        workspace.failed = title
        console.finish("✗", "")
        raise
    console.finish("✓", f", {detail}" if detail else "")
    if step.present():
        workspace.steps[step.name] = step.inputs()
        workspace.save()
