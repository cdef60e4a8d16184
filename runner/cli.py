"""The command line: the list of its verbs. A verb's module is imported when the verb is chosen."""

from __future__ import annotations

import argparse
import importlib
import logging
import os
import sys
import tempfile
import traceback
from collections.abc import Sequence
from typing import Any

from custom_nodes.videogen.core.errors import SEGMENTS_FAILED, VideoGenError, find_former_code
from custom_nodes.videogen.core.redaction import SECRETS, find_argument_secrets, is_secret_name
from custom_nodes.videogen.core.server_address import find_server_secrets
from custom_nodes.videogen.core.similar_names import SimilarNames

from .terminal.json_output import print_json
from .terminal.lasting_streams import find_lost_output, lasting_streams
from .terminal.redacted_output import redacted_output
from .terminal.streams import plain_streams

INTERRUPTED = 130

#: Verb → what it does. Its module in `commands` has `add_arguments(parser)` and `execute(arguments)`, which returns the exit
#: status.
VERBS = {
    "run": "render a story's segments and make its film",
    "film": "make the film again from the segments of a run directory",
    "check": "list everything that is missing or wrong, without rendering",
    "roles": "show which inputs of a workflow a segment decides",
    "adopt": "put a story into a workflow, for the editor",
    "prompts": "print what each segment says to a model, in the form that the model was trained on",
    "convert": "print a workflow in API format",
    "import": "print a story of another program as a story of videogen",
    "report": "write report.html and report.json of a run directory again",
    "score": "measure how consistent a character is in videos, and how steadily they move",
    "bench": "measure what videogen costs, compared with its peers",
    "doctor": "show what this machine has: ComfyUI, GPU, ffmpeg",
}
#: Verbs whose result is in files; of the others it is what they print.
RESULT_IN_FILES = {"run", "film", "adopt", "report", "bench"}


#: From Python 3.14 on argparse colors its help by itself, in text that goes to the same door as everybody's.
_PLAIN: dict[str, Any] = {"color": False} if sys.version_info >= (3, 14) else {}


class _VerbParser(argparse.ArgumentParser):
    """A verb's parser, which learns the verb's arguments when it is first used: `videogen --help` imports no verb."""

    def __init__(self, *, verb: str, **options: Any) -> None:
        super().__init__(**options, **_PLAIN)
        self._verb: str | None = verb

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        verb, self._verb = self._verb, None
        if verb is not None:
            module = importlib.import_module(f"{__package__}.commands.{verb}")
            module.add_arguments(self)
            self.set_defaults(execute=module.execute)
        namespace, unknown = super().parse_known_args(args, namespace)
        if unknown:
            # Here, and not in the parser of all verbs, whose usage does not show this verb's options.
            known = [option for option in self._option_string_actions if option.startswith("--")]
            close = SimilarNames().find(unknown[0].partition("=")[0], known)
            self.error(f"unrecognized arguments: {' '.join(unknown)}" + (f" (did you mean {close}?)" if close else ""))
        return namespace, unknown


def build_parser() -> argparse.ArgumentParser:
    """The parser of all verbs."""
    parser = argparse.ArgumentParser(
        prog="videogen",
        description="Render multi-segment films with ComfyUI from the command line,"
        " with consistent characters, locations and lighting.",
        epilog="Exit status: 0 all done, 1 some segments failed, 2 bad input, 3 no server, 4 internal error,"
        " 130 interrupted. `videogen COMMAND --help` lists a command's options.",
        **_PLAIN,
    )
    parser.add_argument("--verbose", action="store_true", help="log every call; show the trace of an internal error")
    verbs = parser.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=_VerbParser)
    for verb, text in VERBS.items():
        verbs.add_parser(verb, verb=verb, help=text, description=f"{text[0].upper()}{text[1:]}.")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Returns:
        The exit status. Every error ends as a message; a trace is only shown with ``--verbose``.
    """
    # In this order: a `PlainConsole` writes past the plain streams, and must not get past the other ones.
    with lasting_streams(), redacted_output(), plain_streams():
        _note_secrets(sys.argv[1:] if argv is None else argv)
        arguments = argparse.Namespace(verbose=False, command="")
        return _note_lost_output(_run(argv, arguments), arguments.command)


def _note_lost_output(status: int, verb: str) -> int:
    """The exit status: an answer that could not be written is none, but a film is there whether its path was printed or not."""
    lost = find_lost_output()
    if lost is None:
        return status
    print(f"videogen: standard output could not be written: {lost}", file=sys.stderr)
    return status or (0 if verb in RESULT_IN_FILES else SEGMENTS_FAILED)


def _note_secrets(arguments: Sequence[str]) -> None:
    """Remember the secrets that can be told before anything is read: those of the command line and of the environment."""
    for value in (*find_argument_secrets(arguments), *find_server_secrets(arguments)):
        SECRETS.add(value)
    for name, value in os.environ.items():
        if name not in ("PWD", "OLDPWD") and len(value) >= 8 and is_secret_name(name):
            SECRETS.add(value)


def _run(argv: Sequence[str] | None, arguments: argparse.Namespace) -> int:
    try:
        build_parser().parse_args(argv, arguments)
        logging.basicConfig(
            level=logging.DEBUG if arguments.verbose else logging.WARNING, format="%(name)s: %(message)s"
        )
        return int(arguments.execute(arguments))
    except VideoGenError as error:
        return _report_error(error, arguments)
    except KeyboardInterrupt:
        print("videogen: interrupted; run the same command again to resume", file=sys.stderr)
        return INTERRUPTED
    except Exception as error:
        return _report_error(_explain_internal_error(error, arguments.verbose), arguments)


def _report_error(error: VideoGenError, arguments: argparse.Namespace) -> int:
    error = VideoGenError(error.code, SECRETS.hide_in_text(error.message), SECRETS.hide_in_text(error.hint))
    if getattr(arguments, "json", None) is True:  # of `bench` it is a file
        event = {"event": "error", "code": error.code, "message": error.message, "hint": error.hint}
        if former_code := find_former_code(error.code):
            event["former_code"] = former_code
        print_json(event)
    print(f"videogen: {error}", file=sys.stderr)
    return error.exit_status


def _explain_internal_error(error: Exception, verbose: bool) -> VideoGenError:
    """The message on an exception that no command expects; its trace is shown, or written into a file."""
    hint = "Please report it with this trace."
    if verbose:
        traceback.print_exception(error)
    else:
        try:
            with tempfile.NamedTemporaryFile(
                "w", prefix="videogen-error-", suffix=".txt", encoding="utf-8", delete=False
            ) as file:
                file.write(SECRETS.hide_in_text("".join(traceback.format_exception(error))))
            hint = f"Please report it with its trace, which is in {file.name}."
        except OSError:
            hint = "`videogen --verbose …` shows the trace; please report it."
    return VideoGenError("runner-failed", f"internal error in videogen: {type(error).__name__}: {error}", hint)


if __name__ == "__main__":
    sys.exit(main())
