"""The editors that users have. What opens one runs in two: ComfyUI's own with nodes on the canvas, a newer one with Nodes 2.0.

With ``VIDEOGEN_BROWSER=full`` in the environment it runs in each of them with both renderers.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from runner.setup.comfyui.frontend import FRONTEND
from tests.browser.plan_video import FIRST_FRAME_FILE
from tests.support.editor import OWN_EDITOR, VIEWPORT, Editor, find_newer_editor
from tests.support.needs import skip_or_fail
from tests.support.servers.comfy import ComfyServer, running_server

if TYPE_CHECKING:
    from playwright.sync_api import Browser

OWN, NEWER = OWN_EDITOR, f"editor {FRONTEND}"


#: Each editor, and whether it has Nodes 2.0.
EDITORS = [(OWN, False), (NEWER, True)]
if os.environ.get("VIDEOGEN_BROWSER") == "full":
    EDITORS = [(OWN, False), (OWN, True), (NEWER, False), (NEWER, True)]


def _describe(editor: tuple[str, bool]) -> str:
    return f"{editor[0]}-{'nodes 2.0' if editor[1] else 'on the canvas'}"


@pytest.fixture(scope="package", params=EDITORS, ids=_describe)
def which_editor(request: pytest.FixtureRequest) -> tuple[str, bool]:
    """One of `EDITORS`."""
    return request.param


@pytest.fixture(scope="package")
def frontend(which_editor: tuple[str, bool]) -> str:
    """Which editor the server has."""
    return which_editor[0]


@pytest.fixture(scope="package")
def comfy_server(
    frontend: str, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ComfyServer]:
    """The server that all tests share, with ComfyUI's own editor, and one of these tests alone, with the newer editor.

    It has the picture that shipped workflows of video models begin with: editors say it where such a one is missing.
    """
    if frontend == OWN:
        shared = request.getfixturevalue("comfy_server")
        _put_first_frame(shared)
        yield shared
        return
    try:
        folder = find_newer_editor()
    except LookupError as error:
        skip_or_fail(str(error))
    with running_server(tmp_path_factory.mktemp("newer-editor"), frontend=folder) as server:
        _put_first_frame(server)
        yield server


def _put_first_frame(server: ComfyServer) -> None:
    Image.new("RGB", (96, 64), (90, 140, 90)).save(server.folder / "input" / FIRST_FRAME_FILE)


@pytest.fixture(scope="module")
def editor(browser: Browser, comfy_server: ComfyServer, which_editor: tuple[str, bool]) -> Iterator[Editor]:
    """An editor with one of its renderers, opened once a module (it takes some seconds)."""
    with browser.new_context(viewport={"width": VIEWPORT[0], "height": VIEWPORT[1]}) as context:
        yield Editor(context.new_page(), comfy_server.url, nodes2=which_editor[1]).open()
