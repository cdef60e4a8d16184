"""Faults that strike a prompt while a model server runs it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.support.servers.model.prompts import Prompt, PromptRunner


@dataclass(frozen=True)
class PromptFault:
    """A fault.

    Attributes:
        error: class and message of the exception that ends the prompt.
        begin: done to the server when the prompt begins.
        spoil: done to the prompt's outputs.
        quiet: the prompt's socket events are lost.
        loses_answer: the prompt arrives, and the answer to its submission does not.
        stops: the run ends with it, as the table of retries has it.
    """

    name: str
    error: tuple[str, str] | None = None
    begin: Callable[[PromptRunner, Prompt], None] = lambda server, prompt: None
    spoil: Callable[[PromptRunner, dict[str, Any]], None] | None = None
    quiet: bool = False
    loses_answer: bool = False
    stops: bool = False


def _kill_context(server: PromptRunner, prompt: Prompt) -> None:
    server.dead_context = True


def _hang(server: PromptRunner, prompt: Prompt) -> None:
    server.hung = True
    server.trouble.append("hung")


def _interrupt(server: PromptRunner, prompt: Prompt) -> None:
    server.end(prompt, "interrupted", {})


def _cut_downloads(server: PromptRunner, prompt: Prompt) -> None:
    server.cut_downloads = 2


def _file_of(server: PromptRunner, outputs: dict[str, Any]) -> tuple[str, str]:
    saved = outputs["4"]["images"][0]
    return saved["subfolder"], saved["filename"]


def _damage(server: PromptRunner, outputs: dict[str, Any]) -> None:
    place = _file_of(server, outputs)
    server.files[place] = server.files[place][:-200] + bytes(200)


def _remove(server: PromptRunner, outputs: dict[str, Any]) -> None:
    del server.files[_file_of(server, outputs)]


def _leave_out(server: PromptRunner, outputs: dict[str, Any]) -> None:
    del outputs["4"]


_ALL = (
    PromptFault("node error", ("ValueError", "shapes do not match")),
    PromptFault("out of memory", ("torch.OutOfMemoryError", "Allocation on device")),
    PromptFault("dead context", begin=_kill_context),
    PromptFault("hang", begin=_hang),
    PromptFault("restart", begin=lambda server, prompt: server.restart(2)),
    PromptFault("crash", begin=lambda server, prompt: server.crash()),
    PromptFault("out of reach", begin=lambda server, prompt: server.vanish(3)),
    PromptFault("answer lost", loses_answer=True),
    PromptFault("socket broken", begin=lambda server, prompt: server.disconnect()),
    PromptFault("events lost", quiet=True),
    PromptFault("output damaged", spoil=_damage),
    PromptFault("output missing", spoil=_remove),
    PromptFault("nothing saved", spoil=_leave_out),
    PromptFault("downloads cut", begin=_cut_downloads),
    PromptFault("disk full", ("OSError", "[Errno 28] No space left on device"), stops=True),
    PromptFault("too hot", ("videogen.core.errors.TooHotError", "GPU 0 is at 95 °C"), stops=True),
    PromptFault("interrupted by another", begin=_interrupt, stops=True),
)
PROMPT_FAULTS = {fault.name: fault for fault in _ALL}
