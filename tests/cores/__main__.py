"""Run the tests that talk to ComfyUI on other ComfyUIs, each with the Python that runs it.

  VIDEOGEN_COMFYUI_DIRS=/a/ComfyUI:/b/ComfyUI .videogen/venv/bin/python -m tests.cores [FOLDER …] [pytest's options]

tests/README.md describes it. Prints how many tests of each folder passed; ends with status 1 if any failed.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from runner.comfyui.installation import INSTALL_VARIABLE, PROJECT
from runner.setup.errors import SetupError
from tests.cores.named import NAMED, Core, copy_core, find_core, named_folders, packages_lacking, write_record

#: Tests that import ComfyUI or ask one.
FOLDERS = ("comfyui", "nodes", "tensor", "metrics", "routes", "server", "faults", "browser")


@dataclass(frozen=True)
class Figures:
    """How the tests of one folder ended."""

    total: int
    failed: int
    skipped: int
    seconds: float

    def __str__(self) -> str:
        passed = self.total - self.failed - self.skipped
        return f"{passed} passed, {self.failed} failed, {self.skipped} skipped, {self.seconds:.0f} s"


def read_figures(report: Path, seconds: float) -> Figures:
    """Figures out of a JUnit report; without one, pytest did not get as far as a test."""
    if not report.exists():
        return Figures(1, 1, 0, seconds)
    counts = {"tests": 0, "failures": 0, "errors": 0, "skipped": 0}
    for suite in ElementTree.parse(report).getroot().iter("testsuite"):
        for name in counts:
            counts[name] += int(suite.get(name, "0"))
    return Figures(counts["tests"], counts["failures"] + counts["errors"], counts["skipped"], seconds)


def run_folder(core: Core, record: Path, folder: str, options: list[str]) -> Figures:
    """Run the tests of one folder, or of one file, with pytest's output as it is."""
    report = record.with_name("report.xml")
    report.unlink(missing_ok=True)
    began = time.monotonic()
    subprocess.run(
        [str(core.python), "-m", "pytest", folder, f"--junitxml={report}", "-p", "no:cacheprovider", *options],
        cwd=PROJECT,
        env={**os.environ, INSTALL_VARIABLE: str(record), NAMED: ""},
        check=False,
    )
    return read_figures(report, time.monotonic() - began)


def run_core(folder: Path, names: list[str], arguments: list[str], options: list[str]) -> dict[str, Figures]:
    """Run the tests on a copy of one ComfyUI.

    Raises:
        SetupError: it cannot be used as it is.
    """
    core = find_core(folder)
    if lacking := packages_lacking(core.python):
        wanted = " ".join(f"'{requirement}'" for requirement in lacking)
        raise SetupError(f"{core.python} lacks packages of the tests.", f"{core.python} -m pip install {wanted}")
    found = {}
    with tempfile.TemporaryDirectory(prefix="videogen-core-") as scratch:
        copied = copy_core(core, Path(scratch) / "ComfyUI")
        record = write_record(copied, Path(scratch) / "install.json", arguments)
        for name in names:
            found[name] = run_folder(copied, record, name, options)
            print(f"=== ComfyUI {core.version}, {name}: {found[name]}", flush=True)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.cores", description=__doc__, allow_abbrev=False)
    parser.add_argument("folders", nargs="*", default=[f"tests/{name}" for name in FOLDERS], metavar="FOLDER")
    parser.add_argument("--front-end-root", metavar="DIR", help="another editor: the `static` folder of its package")
    parser.add_argument("--device", choices=("cpu", "gpu"), default="cpu", help="what the servers compute on")
    options, for_pytest = parser.parse_known_args()
    arguments = ["--cpu"] if options.device == "cpu" else []
    if options.front_end_root:
        arguments += ["--front-end-root", os.path.abspath(options.front_end_root)]
    if not named_folders():
        parser.error(f"{NAMED} names no ComfyUI")
    lines, failed = [], False
    for folder in named_folders():
        try:
            found = run_core(folder, options.folders, arguments, for_pytest)
        except SetupError as error:
            print(f"{error}\nWhat to do: {error.hint}", file=sys.stderr)
            failed = True
            continue
        failed |= any(figures.failed for figures in found.values())
        lines += [f"{folder}  {name}: {figures}" for name, figures in found.items()]
    print("\n".join(lines))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
