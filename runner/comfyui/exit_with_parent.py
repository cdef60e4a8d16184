"""Runs a Python script that must not outlive its parent: ``python exit_with_parent.py main.py ARGUMENTS``.

It runs in ComfyUI's Python and imports nothing of the project. The parent holds the other end of standard input and
never writes; when it ends, in whatever way, the operating system closes that end.
"""

import os
import runpy
import sys
import threading


def exit_with_parent() -> None:
    sys.stdin.buffer.read()
    os._exit(1)


if __name__ == "__main__":
    threading.Thread(target=exit_with_parent, daemon=True).start()
    script = os.path.abspath(sys.argv[1])
    sys.argv = sys.argv[1:]
    # As `python main.py` would have it: the script's folder first, this file's folder not at all.
    sys.path[0] = os.path.dirname(script)
    runpy.run_path(script, run_name="__main__")
