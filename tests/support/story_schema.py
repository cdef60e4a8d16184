"""The JSON Schema of stories, the parser, and stories to try on both."""

import json
from pathlib import Path

import jsonschema
from hypothesis import HealthCheck, settings

from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.core.story.parser import parse_story

STORIES = Path(__file__).parents[2] / "stories"
QUICK = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
SCHEMA = json.loads((STORIES / "story.schema.json").read_text(encoding="utf-8"))
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)
APPLE_TREE = json.loads((STORIES / "apple_tree.json").read_text(encoding="utf-8"))


def read(name: str) -> str:
    return "Warm light." if name.endswith(".md") else '[{"prompt": "x"}]'


def parser_accepts(data) -> bool:
    try:
        parse_story(data, "film.json", read)
    except VideoGenError:
        return False
    return True


def schema_accepts(data) -> bool:
    return VALIDATOR.is_valid(data)


def story(**fields):
    return {"segments": [{"prompt": "x"}] * 3, **fields}


def segment(**fields):
    return [{"prompt": "x", **fields}]


def character(**fields):
    return story(characters={"anna": fields})
