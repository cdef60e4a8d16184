"""Fixtures that several folders of tests share."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from custom_nodes.videogen.core.errors import VideoGenError
from tests.support.editor import VIEWPORT, Editor, running_browser
from tests.support.groups import GroupScheduling, place_of
from tests.support.needs import skip_or_fail
from tests.support.servers.comfy import ComfyServer, running_server

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

OUR_LOGGERS = ("custom_nodes", "runner", "install")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "allow_errors: something may be logged as an error in this test")
    # A shell starts background jobs with Ctrl-C ignored, and the runners under test would inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if processes := int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "0")):
        # Before anything imports torch, and for the servers that tests start: otherwise each would take all cores.
        os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // processes)))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest groups first, for several processes."""
    items.sort(key=lambda item: place_of(item.nodeid))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> GroupScheduling | None:
    """With ``--dist loadscope``: what shares a server stays in one process, not only what shares a module."""
    return GroupScheduling(config, log) if config.getvalue("dist") == "loadscope" else None


# ------------------------------------------------------------------ a real ComfyUI


@pytest.fixture(scope="session")
def comfy_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ComfyServer]:
    """One real ComfyUI for all tests; its log is shown with a test that fails."""
    with contextlib.ExitStack() as stack:
        try:
            server = stack.enter_context(running_server(tmp_path_factory.mktemp("comfyui")))
        except VideoGenError as error:
            if error.code != "not-installed":
                raise
            skip_or_fail(str(error))
        yield server


# ------------------------------------------------------------------ a real browser


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium. A module's own: Playwright keeps an event loop running, which asyncio.run() elsewhere would trip over."""
    with contextlib.ExitStack() as stack:
        try:
            chromium = stack.enter_context(running_browser())
        except LookupError as error:
            skip_or_fail(str(error))
        yield chromium


@pytest.fixture
def browser_page(browser: Browser) -> Iterator[Page]:
    """An empty page in a context of its own."""
    with browser.new_context(viewport={"width": VIEWPORT[0], "height": VIEWPORT[1]}) as context:
        yield context.new_page()


@pytest.fixture(scope="module")
def editor(browser: Browser, comfy_server: ComfyServer) -> Iterator[Editor]:
    """The editor of the shared server, opened once a module (it takes some seconds)."""
    with browser.new_context(viewport={"width": VIEWPORT[0], "height": VIEWPORT[1]}) as context:
        yield Editor(context.new_page(), comfy_server.url).open()


# ------------------------------------------------------------------ errors in logs


class _ErrorCollector(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(f"{record.name}: {self.format(record)}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """A test fails when our code has logged an error in it, unless it is marked `allow_errors`."""
    collector = _ErrorCollector()
    loggers = [logging.getLogger(name) for name in OUR_LOGGERS]
    for logger in loggers:
        logger.addHandler(collector)
    try:
        result = yield
    finally:
        for logger in loggers:
            logger.removeHandler(collector)
    if collector.messages and item.get_closest_marker("allow_errors") is None:
        pytest.fail("logged as an error:\n" + "\n".join(collector.messages), pytrace=False)
    return result


_LOG_START = pytest.StashKey[int]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[Any]) -> Iterator[Any]:
    """With a test that fails comes what the server has logged since it began."""
    server = getattr(item, "funcargs", {}).get("comfy_server")
    if isinstance(server, ComfyServer) and call.when == "setup":
        item.stash[_LOG_START] = server.log_size()
    report = yield
    if isinstance(server, ComfyServer) and report.failed:
        log = server.log_since(item.stash.get(_LOG_START, 0))
        report.sections.append(("ComfyUI's log", log[-20_000:]))
    return report
