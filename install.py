#!/usr/bin/env python3
"""Set up videogen: the runner, a ComfyUI, torch, and the node pack inside that ComfyUI.

  python3 install.py                        set up
  python3 install.py --run [ARGS ...]       set up, then render the demo (ARGS go to `videogen run`)
  python3 install.py --test [ARGS ...]      set up with the test tools, then run all tests (ARGS go to pytest)
  python3 install.py --comfyui PATH ...     use an installed ComfyUI, with its Python and its models
  python3 install.py --embedded ...         go back to the ComfyUI inside .videogen/
  python3 install.py --comfyui-version X    another version of the ComfyUI inside .videogen/
  python3 install.py --with diffusers ...   also what CogVideoX, SkyReels and FramePack need
  python3 install.py --newest ...           the newest packages in range, instead of the tested versions
  python3 install.py --pinned ...           go back to the tested versions

Everything is in .videogen/, next to this file; deleting that folder undoes it. Only what is missing is done: after a
failure or an interruption the same command continues. Needs Python 3.10 and nothing else.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import platform
import shlex
import signal
import subprocess
import sys
import time
import traceback
from pathlib import Path
from typing import NoReturn

# Checked here, before anything is imported that an old Python cannot read. Python 3.7 must be able to read this file.
if sys.version_info < (3, 10):  # noqa: UP036
    print("install.py needs Python 3.10 or newer; this is %s." % platform.python_version(), file=sys.stderr)  # noqa: UP031
    sys.exit(1)

# Python adds it by itself, but not with -I, PYTHONSAFEPATH or in ComfyUI's portable build.
sys.path.insert(0, str(Path(__file__).resolve().parent))

from runner.setup import browser, checks, environment
from runner.setup.comfyui import existing, frontend, mask_network, pack_link, release, templates, torch_build
from runner.setup.console import Console
from runner.setup.errors import SetupError, explain
from runner.setup.extras import EXTRAS, choose_extras, list_requirements, plan_extras
from runner.setup.steps import Step, carry_out, is_done
from runner.setup.versions import COMFYUI_AT_LEAST, RELEASE_OF, Release
from runner.setup.workspace import WINDOWS, Workspace
from runner.terminal.streams import plain_streams

ROOT = Path(__file__).resolve().parent
#: Each has servers, models and a browser of its own: two to three gigabytes.
MAX_TEST_PROCESSES = 4


def plan(
    workspace: Workspace, theirs: existing.Existing | None, releases: list[Release], options: argparse.Namespace
) -> list[Step]:
    """All steps, in their order. `theirs`: the ComfyUI to use instead of one of `releases` in .videogen/."""
    testing, renew = options.test is not None, options.comfyui_version is not None
    gpus = torch_build.list_gpus()
    runner = environment.plan_runner(workspace, testing)
    extras = choose_extras(workspace, options.extras, testing=testing and not theirs)
    if theirs:
        downloads = [runner, existing.plan_packages(workspace, theirs, list_requirements(workspace, extras))]
    else:  # ComfyUI first: the tested versions of all packages depend on its version
        downloads = [release.plan_comfyui(workspace, releases, renew), runner, torch_build.plan_torch(workspace, gpus)]
        downloads += [release.plan_requirements(workspace)]
        downloads += [plan_extras(workspace, extras)] if extras else []
    steps = [
        environment.plan_venv(workspace),
        checks.plan_network(workspace, downloads),
        *downloads,
        pack_link.plan_link(theirs.path if theirs else workspace.comfyui, workspace.pack),
        torch_build.plan_device(workspace, theirs, gpus),
        mask_network.plan_mask_network(workspace, theirs.path if theirs else workspace.comfyui),
    ]
    for_tests = [
        browser.plan_chromium(workspace),
        frontend.plan_frontend(workspace),
        templates.plan_templates(workspace),
    ]
    return [*steps, *for_tests] if testing else steps


def choose_versions(workspace: Workspace, options: argparse.Namespace) -> None:
    """The newest packages or the tested ones: as asked for, else as last time."""
    if options.newest or options.pinned:
        workspace.record["packages"] = "newest" if options.newest else "pinned"
    elif workspace.newest:
        print("Using the newest packages, as last time (--pinned: the tested versions).", file=sys.stderr)


def set_up(workspace: Workspace, options: argparse.Namespace) -> bool:
    """Do what is missing. Returns whether anything was."""
    embedded = options.embedded or options.comfyui_version is not None
    theirs = existing.choose_comfyui(workspace, options.comfyui, options.python, embedded)
    releases = release.choose_releases(workspace, options.comfyui_version)
    choose_versions(workspace, options)
    steps = plan(workspace, theirs, releases, options)
    pending = [step for step in steps if not is_done(workspace, step)]
    if pending:
        checks.check_disk(workspace, pending)
        workspace.console.say(f"Setting up videogen in {workspace.folder}")
        workspace.write_log(
            f"{time.ctime()}: {shlex.join(own_arguments(sys.argv))}, Python {sys.version}, {platform.platform()}"
        )
    for step in steps:
        if not is_done(workspace, step):  # asked again, because the steps before it may have changed that
            carry_out(workspace, step)
    workspace.save(
        comfyui=str(theirs.path if theirs else workspace.comfyui),
        python=theirs.python if theirs else workspace.python,
        args=["--cpu"] if workspace.record["device"] == "cpu" else [],
        version=theirs.version if theirs else workspace.release.version,
        source="existing" if theirs else workspace.record.get("embedded_from", "wheel"),
    )
    if theirs and options.test is not None and "torch" not in workspace.list_installed():
        print("Tests that need torch find none in .videogen/venv; --embedded would put it there.", file=sys.stderr)
    return bool(pending)


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        usage="python3 install.py [--comfyui PATH [--python EXE] | --embedded | --comfyui-version X] "
        "[--with NAME] [--newest | --pinned] [--run ... | --test ...]",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--comfyui", metavar="PATH", help=f"an installed ComfyUI, {COMFYUI_AT_LEAST} or newer")
    which.add_argument("--embedded", action="store_true", help="use the one in .videogen/ again")
    known = ", ".join(RELEASE_OF)
    which.add_argument(
        "--comfyui-version", metavar="X", help=f"set up this version in .videogen/: {known} or {release.NEWEST}"
    )
    parser.add_argument("--python", metavar="EXE", help="the Python that runs it, if it is not found next to it")
    parser.add_argument(
        "--with",
        dest="extras",
        action="append",
        default=[],
        choices=list(EXTRAS),
        help="also install packages that only some nodes need, now and from then on: "
        + "; ".join(f"{name} ({purpose})" for name, purpose in EXTRAS.items()),
    )
    versions = parser.add_mutually_exclusive_group()
    versions.add_argument("--newest", action="store_true", help="the newest packages in range")
    versions.add_argument("--pinned", action="store_true", help="the tested versions again")
    then = parser.add_mutually_exclusive_group()
    then.add_argument("--run", nargs=argparse.REMAINDER, help="render; all arguments after it go to the runner")
    then.add_argument("--test", nargs=argparse.REMAINDER, help="test; all arguments after it go to pytest")
    options = parser.parse_args(arguments)
    if options.python and not options.comfyui:
        parser.error("--python names the Python that runs the ComfyUI of --comfyui PATH: give both")
    return options


def own_arguments(arguments: list[str]) -> list[str]:
    """The arguments of install.py itself: those after --run are the runner's, and can have keys and passwords in them."""
    for place, argument in enumerate(arguments):
        if argument.partition("=")[0] in ("--run", "--test"):
            return [*arguments[:place], argument.partition("=")[0], "..."][: place + 2]
    return arguments


def hand_over(command: list[str]) -> int:
    """Become that command: its exit status is ours, and a Ctrl-C is its own."""
    sys.stdout.flush()
    os.chdir(ROOT)
    if not WINDOWS:
        os.execv(command[0], command)
    process = subprocess.Popen(command)
    while True:
        with contextlib.suppress(KeyboardInterrupt):
            return process.wait()


def report(error: SetupError, workspace: Workspace) -> None:
    lines = [f"install.py: '{workspace.failed}' failed." if workspace.failed else "install.py cannot continue."]
    lines += [f"  {line}" for line in str(error).splitlines()]
    lines += [f"What to do: {error.hint}"] if error.hint else []
    if workspace.failed:
        lines.append(f"All the output is in {workspace.log}. The same command continues from here.")
    Console(sys.stderr).say("\n".join(lines))


def main(arguments: list[str] | None = None, workspace: Workspace | None = None) -> int:
    with plain_streams():
        return install(arguments, workspace)


def install(arguments: list[str] | None, workspace: Workspace | None) -> int:
    options = parse(sys.argv[1:] if arguments is None else arguments)
    workspace = workspace or Workspace(ROOT)
    try:
        with workspace.lock():
            worked = set_up(workspace, options)
    except SetupError as error:
        report(error, workspace)
        return 1
    except KeyboardInterrupt:
        print("\nInterrupted. The same command continues from here.", file=sys.stderr)
        return 130
    except OSError as error:
        report(SetupError(*explain(f"{type(error).__name__}: {error}")), workspace)
        return 1
    except Exception as error:
        workspace.write_log(traceback.format_exc())
        report(
            SetupError(f"Internal error in install.py: {error!r}", f"Please report it, with {workspace.log}."),
            workspace,
        )
        return 1
    if options.run is not None:
        return hand_over([workspace.python, "-m", "runner", "run", *options.run])
    if options.test is not None:
        return hand_over([workspace.python, "-m", "pytest", *(options.test or in_several_processes())])
    state = "Ready" if worked else "Everything is set up"
    workspace.console.say(f"{state}: ComfyUI {workspace.record['version']} in {workspace.record['comfyui']}.")
    workspace.console.say("Render the demo: python3 install.py --run")
    return 0


def in_several_processes() -> list[str]:
    """Options of pytest for the whole suite: what shares a server stays in one process, and the longest come first."""
    processes = min(os.cpu_count() or 1, MAX_TEST_PROCESSES)
    return ["-n", str(processes), "--dist", "loadscope", "--no-loadscope-reorder"] if processes > 1 else []


def interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, interrupt)
    sys.exit(main())
