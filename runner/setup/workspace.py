"""The folder .videogen/: its record, log and lock, the commands that run there, and pip in its virtual environment."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .console import Console
from .errors import CommandError, explain
from .lock import hold_lock
from .requirements import canonical, constraints_path, read_dependencies
from .versions import RELEASES, TORCH_PINS, Release, release_in

WINDOWS = os.name == "nt"

PROBE_VENV = "import sys, sysconfig, pip; print('%d.%d' % sys.version_info[:2], sysconfig.get_path('purelib'))"


def python_of(environment: Path) -> Path:
    """The Python of a virtual environment."""
    return environment / ("Scripts/python.exe" if WINDOWS else "bin/python")


class Workspace:
    """The contents of .videogen/, and commands run there."""

    def __init__(self, root: Path, console: Console | None = None) -> None:
        self.root, self.folder, self.console = root, root / ".videogen", console or Console()
        self.venv, self.comfyui = self.folder / "venv", self.folder / "comfyui"
        self.log, self.downloads = self.folder / "install.log", self.folder / "downloads"
        self.python, self.pack = str(python_of(self.venv)), root / "custom_nodes" / "videogen"
        self.lock_file = -1
        self.failed = ""  # title of the step that failed
        self.environment = ""  # "3.11 /…/site-packages" of the venv, once that runs
        self.record: dict[str, Any] = {}
        with contextlib.suppress(OSError, ValueError, TypeError):
            self.record = dict(json.loads((self.folder / "install.json").read_text("utf-8")))
        self.steps: dict[str, str] = self.record.setdefault("steps", {})

    def save(self, **values: Any) -> None:
        """Write install.json, from which the runner knows its ComfyUI: whole or not at all."""
        self.record.update(values)
        path, text = self.folder / "install.json", json.dumps(self.record, indent=2) + "\n"
        if not path.exists() or path.read_text("utf-8") != text:
            path.with_suffix(".tmp").write_text(text, "utf-8")
            os.replace(path.with_suffix(".tmp"), path)

    def write_log(self, text: str) -> None:
        with self.log.open("a", encoding="utf-8") as log:
            log.write(f"\n# {text}\n")

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the lock, without which nothing in here may change."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with hold_lock(self.folder / "install.lock") as self.lock_file:
            shutil.rmtree(self.folder / "tmp", ignore_errors=True)  # what a killed one left
            try:
                yield
            finally:
                self.lock_file = -1
                shutil.rmtree(self.folder / "tmp", ignore_errors=True)

    # ------------------------------------------------------------------ commands

    def run_command(self, command: list[str], locked: bool = False) -> str:
        """Run a command, with its output in the log, and return the output. `locked`: it shares our lock."""
        env = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "PYTHONHOME")}
        env.update(PIP_USER="0", DEBIAN_FRONTEND="noninteractive", PYTHONUTF8="1")
        if not WINDOWS:  # pip unpacks gigabytes in the temporary folder, and /tmp is often memory
            (self.folder / "tmp").mkdir(exist_ok=True)
            env["TMPDIR"] = str(self.folder / "tmp")
        # If this process is killed, its pip lives on. That must keep the lock, or a second pip would write at the same time.
        keep = (self.lock_file,) if locked and self.lock_file >= 0 and not WINDOWS else ()
        self.write_log(shlex.join(command))
        start = self.log.stat().st_size
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.root, env=env, pass_fds=keep
            )
            try:
                while True:
                    with contextlib.suppress(subprocess.TimeoutExpired):
                        status = process.wait(timeout=0.5)
                        break
                    self.console.tick()
            except BaseException:
                # It may have received the same Ctrl-C and be cleaning up.
                for end in (process.terminate, process.kill):
                    with contextlib.suppress(subprocess.TimeoutExpired):
                        process.wait(timeout=3)
                        break
                    end()
                process.wait()
                raise
        output = self.log.read_bytes()[start:].decode("utf-8", "replace")
        if status:
            raise CommandError(*explain(output))
        return output

    def pip(self, *arguments: str, python: str = "") -> str:
        self.discard_unfinished()
        command = [python or self.python, "-m", "pip", "--disable-pip-version-check", "--no-input", *arguments]
        return self.run_command(command, locked=True)

    def pip_install(self, *arguments: str) -> None:
        """pip install into the venv, where nothing may replace torch or leave the ranges that the runner asks for."""
        constraints = self.folder / "constraints.txt"
        limits = [*TORCH_PINS, *self.release.limits, *self.read_dependencies("dependencies")]
        constraints.write_text("\n".join(limits) + "\n", "utf-8")
        self.pip("install", "--progress-bar", "off", "-c", str(constraints), *arguments)

    def pip_install_tested(self, *arguments: str) -> None:
        """`pip_install` with the tested version of each package, or with the newest in range (`newest`).

        Not for torch: its own index has only some versions of the packages that torch needs.
        """
        if self.newest:
            self.pip_install("--upgrade", *arguments)
            return
        pins = self.find_pins()
        try:
            self.pip_install(*(["-c", str(pins)] if pins else []), *arguments)
        except CommandError as error:
            hint = f"If a version in {pins} is no longer available: --newest installs the newest versions in range."
            raise CommandError(str(error), error.hint or (hint if pins else "")) from error

    def discard_unfinished(self) -> None:
        """Forget packages of the venv that a killed pip left half written: pip would take them for installed.

        INSTALLER is the first file that pip writes after all of a package's own.
        """
        for path in self.list_dist_info():
            if not (path / "INSTALLER").exists():
                shutil.rmtree(path)

    # ------------------------------------------------------------------ contents

    def look_at_venv(self) -> str:
        """Version and site-packages of the venv as its own Python says them; empty when that does not run."""
        if not self.environment:
            with contextlib.suppress(OSError, subprocess.SubprocessError):
                command = [self.python, "-I", "-c", PROBE_VENV]
                found = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
                self.environment = found.stdout.strip()
        return self.environment

    def list_dist_info(self) -> list[Path]:
        packages = self.look_at_venv().partition(" ")[2]
        return list(Path(packages).glob("*.dist-info")) if packages else []

    def list_installed(self) -> dict[str, str]:
        """{canonical name: version} of the packages that are completely in the venv."""
        names = [path.stem.rpartition("-") for path in self.list_dist_info() if (path / "INSTALLER").exists()]
        return {canonical(name): version for name, _, version in names}

    @property
    def comfyui_in_place(self) -> Release | None:
        """The release of ComfyUI that is in .videogen/comfyui, completely."""
        return release_in(self.comfyui)

    @property
    def release(self) -> Release:
        """The release whose packages the venv has: that in .videogen/comfyui, else the newest."""
        return self.comfyui_in_place or RELEASES[0]

    @property
    def newest(self) -> bool:
        """Whether the newest versions are used instead of the tested ones, since --newest and until --pinned."""
        return self.record.get("packages") == "newest"

    def find_pins(self) -> Path | None:
        """The constraints file of the venv's Python and the ComfyUI; None where there is none, and with `newest`."""
        path = constraints_path(self.root, self.look_at_venv().partition(" ")[0], self.release.version)
        return path if path.exists() and not self.newest else None

    def describe_versions(self) -> str:
        """A remark on the versions that are installed; empty for the tested ones."""
        if self.newest:
            return "newest versions"
        python = self.look_at_venv().partition(" ")[0]
        return (
            ""
            if self.find_pins()
            else f"newest versions in range, because none were tested with Python {python} and ComfyUI {self.release.version}"
        )

    def read_pins(self) -> str:
        pins = self.find_pins()
        return pins.read_text("utf-8") if pins else ""

    def read_dependencies(self, key: str) -> list[str]:
        """A list of requirements in this project's pyproject.toml."""
        return read_dependencies((self.root / "pyproject.toml").read_text("utf-8"), key)
