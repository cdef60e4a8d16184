"""docs/any-workflow.md tells the truth about profiles and dialects."""

import re
from pathlib import Path

import pytest

from custom_nodes.videogen.core.model_profiles.parser import parse_profiles
from custom_nodes.videogen.core.model_profiles.schema import DIALECTS, FIGURE_KEYS, GROUP_KEYS
from custom_nodes.videogen.media.profiles.library import shipped_profiles

DOCS = (Path(__file__).parents[3] / "docs" / "any-workflow.md").read_text(encoding="utf-8")
#: Profiles that the page has an example of, instead of all.
_PARTNERS = "partners"


def test_the_example_is_a_profile() -> None:
    (text,) = re.findall(r"```yaml\n(family:.*?)```", DOCS, re.DOTALL)
    (profile,) = parse_profiles(text, "my-model.yaml")
    assert profile.name == "my-model-i2v"
    assert None not in (profile.frames, profile.rate, profile.size, profile.sound)
    assert profile.memory


@pytest.mark.parametrize("group", GROUP_KEYS)
def test_the_page_has_every_key(group: str) -> None:
    (row,) = re.findall(rf"^\| `{group}` \| (.*) \|$", DOCS, re.MULTILINE)
    for key in (*GROUP_KEYS[group], *(FIGURE_KEYS if group == "memory" else ())):
        assert f"`{key}`" in row or key == "source"


@pytest.mark.parametrize("dialect", DIALECTS)
def test_the_page_has_every_dialect(dialect: str) -> None:
    assert re.search(rf"^\| `{dialect}` \|", DOCS, re.MULTILINE)


def test_the_page_has_every_model() -> None:
    assert [one.name for one in shipped_profiles() if one.family != _PARTNERS and f"`{one.name}`" not in DOCS] == []
