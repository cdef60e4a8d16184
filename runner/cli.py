"""The command line: the list of its verbs. A verb's module is imported when the verb is chosen."""

from __future__ import annotations

import argparse
import difflib
import importlib
import json
import logging
import sys
import tempfile
import traceback
from collections.abc import Sequence
from typing import Any

from custom_nodes.videogen.core.errors import VideoGenError, find_former_code

INTERRUPTED = 130

#: Verb → what it does. Its module in `commands` has `add_arguments(parser)` and `execute(arguments)`, which returns the exit
#: status.
VERBS = {
    "run": "render a story's segments and make its film",
    "film": "make the film again from the segments of a run directory",
    "check": "list everything that is missing or wrong, without rendering",
    "convert": "print a workflow in API format",
    "report": "write report.html and report.json of a run directory again",
    "score": "measure how consistent a character is in videos, and how steadily they move",
    "bench": "measure what videogen costs, compared with its peers",
    "doctor": "show what this machine has: ComfyUI, GPU, ffmpeg",
}


class _VerbParser(argparse.ArgumentParser):
    """A verb's parser, which learns the verb's arguments when it is first used: `videogen --help` imports no verb."""

    def __init__(self, *, verb: str, **options: Any) -> None:
        super().__init__(**options)
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
            close = difflib.get_close_matches(unknown[0].partition("=")[0], known, n=1)
            self.error(
                f"unrecognized arguments: {' '.join(unknown)}" + (f" (did you mean {close[0]}?)" if close else "")
            )
        return namespace, unknown


def build_parser() -> argparse.ArgumentParser:
    """The parser of all verbs."""
    parser = argparse.ArgumentParser(
        prog="videogen",
        description="Render multi-segment films with ComfyUI from the command line,"
        " with consistent characters, locations and lighting.",
        epilog="Exit status: 0 all done, 1 some segments failed, 2 bad input, 3 no server, 4 internal error,"
        " 130 interrupted. `videogen COMMAND --help` lists a command's options.",
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
    arguments = argparse.Namespace(verbose=False)
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
    except BrokenPipeError:
        # The reader of our output went away (`videogen … | head`).
        sys.stderr.close()
        return 0
    except Exception as error:
        return _report_error(_explain_internal_error(error, arguments.verbose), arguments)


def _report_error(error: VideoGenError, arguments: argparse.Namespace) -> int:
    if getattr(arguments, "json", None) is True:  # of `bench` it is a file
        event = {"event": "error", "code": error.code, "message": error.message, "hint": error.hint}
        if former_code := find_former_code(error.code):
            event["former_code"] = former_code
        print(json.dumps(event, ensure_ascii=False), flush=True)
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
                traceback.print_exception(error, file=file)
            hint = f"Please report it with its trace, which is in {file.name}."
        except OSError:
            hint = "`videogen --verbose …` shows the trace; please report it."
    return VideoGenError("runner-failed", f"internal error in videogen: {type(error).__name__}: {error}", hint)


if __name__ == "__main__":
    sys.exit(main())
