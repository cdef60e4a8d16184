"""ComfyUI's real editor in a real Chromium."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import requests

from runner.comfyui.installation import PROJECT
from runner.setup.comfyui.frontend import FRONTEND

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

#: The name in tests of the editor that ComfyUI itself has; others have their version in it.
OWN_EDITOR = "own editor"
VIEWPORT = (1920, 1080)
CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
CHROMIUM_FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
#: Errors that an editor without our pack logs too: files that do not exist yet, translations of help pages, and a
#: fault of its own while it starts.
STOCK_ERRORS = (
    re.compile(r"404 \(Not Found\) \(\S+/(api/userdata\S*|user\.css|favicon\.ico|docs/\w+/en\.md)\)"),
    re.compile(r"TypeError: Cannot read properties of undefined \(reading 'id'\)\s+at onChange \(\S+/assets/index-"),
    # The dialog of missing models asks how large they are, which takes the internet.
    re.compile(r"Error fetching file size: TypeError: Failed to fetch"),
    # An editor that is newer than its ComfyUI asks for what that one does not have.
    re.compile(r"404 \(Not Found\) \(\S+/api/(jobs|assets|releases|features)\b"),
    re.compile(r"JobsApiError: Failed to fetch jobs: 404"),
    re.compile(r"404 \(Not Found\) \(\S+/templates/index_logo\.json\)"),
)

#: Widgets, pictures and videos come to nodes of Nodes 2.0 one after the other: they have their size when it stays.
_SETTLED = """async () => {
    const frame = () => new Promise(done => requestAnimationFrame(done));
    const measure = () => JSON.stringify(app.graph.nodes.map(node => {
        const box = document.querySelector(`[data-node-id="${node.id}"]`)?.getBoundingClientRect();
        return box && [box.x, box.y, box.width, box.height];
    }));
    let last = '', same = 0;
    for (let tries = 0; tries < 300 && same < 6; tries++) {
        await frame();
        const now = measure();
        same = now === last && !now.includes('null') ? same + 1 : 0;
        last = now;
    }
    return same >= 6;
}"""
#: Of each node with its title, in the graph's units.
_BOXES = """nodes2 => {
    const {scale, offset} = app.canvas.ds, canvas = app.canvas.canvas.getBoundingClientRect();
    return Object.fromEntries(app.graph.nodes.map(node => {
        if (!nodes2) return [node.id, Array.from(node.getBounding())];
        const box = document.querySelector(`[data-node-id="${node.id}"]`).getBoundingClientRect();
        const place = [(box.x - canvas.x) / scale - offset[0], (box.y - canvas.y) / scale - offset[1]];
        return [node.id, [...place, box.width / scale, box.height / scale]];
    }));
}"""

_READY = """() => {
    const manager = window.app?.extensionManager;
    return manager && !manager.spinner && window.app.canvas && window.app.graph
        && manager.workflow.activeWorkflow && !manager.workflow.isBusy;
}"""


def find_newer_editor() -> Path:
    """The files of the editor that install.py fetches for these tests, newer than ComfyUI's own.

    Raises:
        LookupError: it is not there.
    """
    folder = PROJECT / ".videogen" / "frontends" / FRONTEND
    if not (folder / "index.html").exists():
        raise LookupError(f"there is no editor in {folder}; `python3 install.py --test` fetches it")
    return folder


def find_chromium() -> str | None:
    """The Chromium on the PATH."""
    return next((path for name in CHROMIUM_NAMES if (path := shutil.which(name))), None)


@contextlib.contextmanager
def running_browser() -> Iterator[Browser]:
    """Chromium: the one on the PATH, else Playwright's own.

    Raises:
        LookupError: there is neither, or Playwright is missing.
    """
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        raise LookupError("Playwright is not installed") from None
    with sync_playwright() as playwright:
        chromium = find_chromium() or playwright.chromium.executable_path
        if not os.path.exists(chromium):
            raise LookupError("there is no Chromium: none on the PATH, and Playwright has not installed its own")
        browser = playwright.chromium.launch(executable_path=chromium, args=list(CHROMIUM_FLAGS))
        try:
            yield browser
        finally:
            browser.close()


class Editor:
    """The editor's page, once it is ready.

    Args:
        nodes2: whether nodes are elements of the page (the setting "Nodes 2.0"), or are drawn on its canvas.
    """

    def __init__(self, page: Page, url: str, *, nodes2: bool = False) -> None:
        self.page = page
        self.url = url
        self.nodes2 = nodes2
        #: What the page has logged as errors, without the stock ones.
        self.errors: list[str] = []
        page.on("console", self._note_message)
        page.on("pageerror", lambda error: self._note(f"{error}\n{error.stack or ''}"))

    def open(self) -> Editor:
        """Load the page and wait until it can be used. It reaches this server only: tests run without the internet."""
        self.page.route(lambda address: not address.startswith(self.url), lambda route: route.abort())
        settings = {"Comfy.TutorialCompleted": True, "Comfy.VueNodes.Enabled": self.nodes2}
        requests.post(f"{self.url}/api/settings", json=settings, timeout=30).raise_for_status()
        self.page.add_init_script("localStorage.vueNodesBannerDismissed = 'true'")
        self.page.goto(self.url, wait_until="domcontentloaded")
        self.page.wait_for_function(_READY, timeout=60_000)
        return self

    def load(self, workflow: dict[str, Any]) -> None:
        """Open a workflow, the way the editor opens a file."""
        self.page.evaluate("workflow => app.loadGraphData(workflow)", workflow)
        self.page.wait_for_function(_READY)
        self.wait_for_drawing()

    def close_dialogs(self) -> None:
        """Close what the editor says about a workflow that was opened, such as which models are missing."""
        dialogs = self.page.locator(".p-dialog")
        while dialogs.count():
            dialogs.last.locator(".p-dialog-close-button").click()
            dialogs.last.wait_for(state="detached")
        overlay = self.page.get_by_test_id("error-overlay")
        if overlay.count():
            overlay.get_by_test_id("error-overlay-dismiss").click()
            overlay.wait_for(state="detached")

    def missing_models(self) -> Locator:
        """What the editor shows of the models that an opened workflow lacks: a dialog, or a panel behind a message."""
        dialog = self.page.locator(".p-dialog")
        message = self.page.get_by_test_id("error-overlay-see-errors")
        dialog.or_(message).first.wait_for()
        if dialog.count():
            return dialog
        message.click()
        panel = self.page.get_by_test_id("properties-panel")
        panel.get_by_text("Missing Models").first.wait_for()
        return panel

    def wait_for_drawing(self) -> None:
        """Wait until nodes have been drawn with what was changed."""
        self.page.evaluate("() => { app.canvas.setDirty(true, true); app.canvas.draw(true, true); }")
        self.page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
        if self.nodes2 and not self.page.evaluate(_SETTLED):
            raise AssertionError("nodes are missing on the page, or do not come to rest")

    def prompt(self) -> dict[str, Any]:
        """The graph in API format, by the editor itself."""
        return self.page.evaluate("async () => (await app.graphToPrompt()).output")

    def run(self) -> None:
        """Queue the workflow, as the button *Run* does. (What it returns differs from version to version.)"""
        self.page.evaluate("async () => { await app.queuePrompt(0); }")

    def export(self) -> dict[str, Any]:
        """The workflow as File → Export writes it: slots compressed, with the view that it was left at."""
        return self.page.evaluate(
            """async () => {
                const {workflow} = await app.graphToPrompt();
                const {scale, offset: [x, y]} = app.canvas.ds;
                workflow.extra = {...workflow.extra, ds: {scale, offset: [x, y]}};
                return JSON.parse(JSON.stringify(workflow));
            }"""
        )

    def boxes(self) -> dict[str, list[float]]:
        """The place of each node with its title: [x, y, width, height] in the graph's units, by node id."""
        return self.page.evaluate(_BOXES, self.nodes2)

    def view(self) -> tuple[float, float, float]:
        """Scale and offset of the view: a point x of the graph is at (x + offset) * scale of the canvas."""
        return tuple(self.page.evaluate("() => [app.canvas.ds.scale, ...app.canvas.ds.offset]"))

    def widgets(self, kind: str) -> dict[str, Any]:
        """The values of the widgets of the only node of a class, those that only show something left out."""
        return self.page.evaluate(
            """kind => Object.fromEntries(
                app.graph.nodes.find(node => node.type === kind).widgets
                    .filter(widget => widget.serialize !== false).map(widget => [widget.name, widget.value])
            )""",
            kind,
        )

    def set_widget(self, kind: str, widget: str, value: Any) -> None:
        """Set a widget that is drawn on the canvas, as a click on it does."""
        self.page.evaluate(
            """([kind, name, value]) => {
                const widget = app.graph.nodes.find(node => node.type === kind).widgets.find(item => item.name === name);
                widget.value = value;
                widget.callback?.(value);
            }""",
            [kind, widget, value],
        )

    def type_text(self, kind: str, widget: str, text: str) -> None:
        """Put the caret into a multi-line widget, and type or paste over what is in it."""
        if not self.nodes2:
            handle = self.page.evaluate_handle(
                """([kind, name]) => app.graph.nodes.find(node => node.type === kind)
                    .widgets.find(item => item.name === name).element""",
                [kind, widget],
            )
            handle.as_element().fill(text)
            return
        number, index = self.page.evaluate(
            """([kind, name]) => {
                const node = app.graph.nodes.find(node => node.type === kind);
                return [node.id, node.widgets.filter(item => item.element).findIndex(item => item.name === name)];
            }""",
            [kind, widget],
        )
        self.page.locator(f'[data-node-id="{number}"] textarea').nth(index).fill(text)

    def screenshot(self, path: Path | None = None) -> bytes:
        self.wait_for_drawing()
        return self.page.screenshot(path=path)

    def _note_message(self, message: Any) -> None:
        address = message.location.get("url", "")
        if message.type == "error" and ("Failed to load" not in message.text or address.startswith(self.url)):
            self._note(f"{message.text} ({address})")

    def _note(self, text: str) -> None:
        if not any(stock.search(text) for stock in STOCK_ERRORS):
            self.errors.append(text)


def dump_workflow(workflow: dict[str, Any]) -> str:
    """A workflow as the text of a file: the result of the editor's JSON.stringify(workflow, null, 2)."""
    return json.dumps(workflow, ensure_ascii=False, indent=2)
