"""Which tests run in one process, when several run them: those that share a server, else those of a file."""

from __future__ import annotations

from xdist.scheduler.loadscope import LoadScopeScheduling

from runner.setup.comfyui.frontend import FRONTEND

NEWER_EDITOR = f"browser, editor {FRONTEND}"
#: Folders whose tests share a ComfyUI: one process runs them all, so that it is started once. The longest come first.
SHARING_A_SERVER = {"server": "server", "browser": "browser", "faults": "faults", "server/any_workflow": "wan"}
_ORDER = ["server", "browser", "faults", NEWER_EDITOR, "wan"]
#: Rooms of files that take minutes. One that came last would be waited for by all other processes.
_LONG = ("tests/runner/property/", "tests/comfyui/")


def group_of(test: str) -> str:
    """The group of a test by its id, ``tests/browser/test_editor.py::test_it[editor 1.58.1-nodes 2.0]``."""
    file = test.partition("::")[0]
    rooms = file.removeprefix("tests/").split("/")
    if (
        rooms[0] == "browser" and f"[editor {FRONTEND}" in test
    ):  # not the shared server's: these have one for themselves
        return NEWER_EDITOR
    return SHARING_A_SERVER.get("/".join(rooms[:2])) or SHARING_A_SERVER.get(rooms[0], file)


def place_of(test: str) -> int:
    """Where the group of a test is in the order."""
    group = group_of(test)
    if group in _ORDER:
        return _ORDER.index(group)
    return len(_ORDER) + (not test.startswith(_LONG))


class GroupScheduling(LoadScopeScheduling):
    """Gives each process whole groups.

    Not ``--dist loadgroup``: it writes the groups into the tests' ids, which pytest 9.2 does not let xdist 3.8 do, so that
    every process started every server.
    """

    def _split_scope(self, nodeid: str) -> str:
        return group_of(nodeid)
