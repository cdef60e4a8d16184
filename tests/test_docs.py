"""README and docs/ name what exists: links, files, commands, options, exit statuses, examples."""

from __future__ import annotations

import argparse
import re
import shlex
from pathlib import Path
from urllib.parse import unquote

import pytest

from custom_nodes.videogen.core.errors import ERROR_CODES
from custom_nodes.videogen.core.story.parser import parse_story_text
from runner.cli import INTERRUPTED, build_parser

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]
#: Files that a path in a page can be relative to the repository.
_PATH = re.compile(r"`((?:runner|tests|docs|workflows|stories|custom_nodes|install\.py|README\.md)(?:/[\w./*-]+)?)`")


def find_anchors(page: Path) -> set[str]:
    """The fragments of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_links_lead_somewhere(page: Path) -> None:
    for address in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if "://" in address:
            continue
        file, _, fragment = address.partition("#")
        target = (page.parent / unquote(file)).resolve() if file else page
        assert target.exists(), address
        if fragment:
            assert fragment in find_anchors(target), address


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_paths_exist(page: Path) -> None:
    for path in _PATH.findall(page.read_text(encoding="utf-8")):
        assert list(ROOT.glob(path.rstrip("/"))), path


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_commands_and_their_options_exist(page: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each line of a code block that begins with ``videogen`` is read by the real parser."""
    blocks = re.findall(r"```\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    for line in "\n".join(blocks).splitlines():
        if not line.strip().startswith("videogen "):
            continue
        # What follows a comment sign or a gap explains the command.
        command = re.split(r"#| {2,}(?!--|my_story)", line.strip().replace("videogen run   ", "videogen run "))[0]
        assert is_understood(shlex.split(command)[1:]), f"{command}: {capsys.readouterr().err}"


def is_understood(arguments: list[str]) -> bool:
    try:
        build_parser().parse_args(arguments)
    except SystemExit as ended:
        return ended.code == 0
    return True


def test_readme_lists_every_command() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    (verbs,) = [action for action in build_parser()._actions if isinstance(action, argparse._SubParsersAction)]
    assert [verb for verb in verbs.choices if f"videogen {verb}" not in text] == []


def test_readme_lists_every_exit_status() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    listed = {int(status) for status in re.findall(r"^\| (\d+) \|", text, re.MULTILINE)}
    assert listed == {0, INTERRUPTED, *(code.exit_status for code in ERROR_CODES.values())}


def test_the_story_in_readme_is_a_story() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"^   ```yaml\n(.*?)^   ```$", text, re.DOTALL | re.MULTILINE)
    story = parse_story_text("\n".join(line[3:] for line in block.splitlines()), "my_story.yaml")
    assert (len(story.segments), story.warnings) == (2, ())


def test_error_codes_in_the_pages_exist() -> None:
    text = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
    (named,) = re.findall(r"^\*\*`([a-z-]+)`\.\*\*", text, re.MULTILINE)
    assert named in ERROR_CODES
