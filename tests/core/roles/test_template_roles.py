"""Roles in ComfyUI's official templates, against a table that was written by looking at each graph."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from custom_nodes.videogen.core.roles.finder import find_roles
from custom_nodes.videogen.core.roles.table import Place, Role, RoleTable
from tests.support.graphs.templates import convert_template, find_template_files
from tests.support.graphs.video_models import read_schemas

_TABLE: dict[str, dict[str, Any]] = yaml.safe_load(
    (Path(__file__).parents[2] / "data" / "template_roles.yaml").read_text(encoding="utf-8")
)


@pytest.fixture(scope="module")
def schemas() -> dict[str, Any]:
    return read_schemas()


@pytest.fixture(scope="module")
def files() -> dict[str, Path]:
    return find_template_files()


def describe(table: RoleTable) -> dict[str, Any]:
    """A table of roles as the file has it."""
    found: dict[str, Any] = {"output": list(table.output)}
    found |= {role.value: [_name(place) for place in finding.places] for role, finding in table.findings.items()}
    if table.ambiguous:
        found["ambiguous"] = {
            role.value: [_name(candidate.places[0]) for candidate in candidates]
            for role, candidates in table.ambiguous.items()
        }
    return found


def _name(place: Place) -> str:
    return f"{place.node}.{place.input}{' free' if place.free else ''}"


def in_any_order(table: dict[str, Any]) -> dict[str, Any]:
    """With the inputs of a role sorted; only references have an order."""
    return {
        role: in_any_order(places)
        if isinstance(places, dict)
        else places
        if role == Role.REFERENCE.value
        else sorted(places)
        for role, places in table.items()
    }


@pytest.mark.parametrize("name", _TABLE)
def test_roles_are_those_that_a_person_finds(name: str, files: dict[str, Path], schemas: dict[str, Any]) -> None:
    table = find_roles(convert_template(files[name], schemas), schemas)
    assert in_any_order(describe(table)) == in_any_order(_TABLE[name])


def test_the_table_has_all_video_templates_and_many_of_partners_and_images(files: dict[str, Path]) -> None:
    assert {name for name in files if name.startswith("video_")} <= _TABLE.keys()
    videos = [name for name in _TABLE if name.startswith("api_") and not _is_image(name)]
    assert len(videos) >= 60
    assert sum(map(_is_image, _TABLE)) >= 20


def _is_image(name: str) -> bool:
    return not name.startswith("video_") and not {"duration", "frames", "input_video", "first_frame"} & {
        *_TABLE[name],
        *_TABLE[name].get("ambiguous", {}),
    }


def test_all_other_templates_are_read_too(files: dict[str, Path], schemas: dict[str, Any]) -> None:
    assert len(files) >= 600
    for name in files.keys() - _TABLE.keys():
        graph = convert_template(files[name], schemas)
        table = find_roles(graph, schemas)
        places = [place for finding in table.findings.values() for place in finding.places]
        places += [place for some in table.ambiguous.values() for candidate in some for place in candidate.places]
        for place in places:
            assert place.free == (place.input not in graph[place.node]["inputs"]), (name, place)
