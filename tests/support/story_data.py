"""Stories as plain data, and what is wrong with them."""

import copy

import pytest
from hypothesis import HealthCheck, settings

from custom_nodes.videogen.core.errors import ProblemList
from custom_nodes.videogen.core.story.parser import parse_story

QUICK = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
ONE = [{"prompt": "A cat."}]
FOUR = [{"prompt": "A cat."}] * 4


def problems(data, **options) -> list[str]:
    """What is wrong with a story: "where: message", one each."""
    with pytest.raises(ProblemList) as caught:
        parse_story(data, **options)
    assert caught.value.code == "story-invalid"
    assert caught.value.exit_status == 2
    return [str(problem) for problem in caught.value.problems]


def story(**fields):
    return {"segments": copy.deepcopy(FOUR), **fields}


def segment(**fields):
    return [{"prompt": "A cat.", **fields}]


def segments_with_timespans(*timespans):
    return [{"prompt": "A cat.", "timespan": timespan} for timespan in timespans]


def found_problems(data) -> list[str]:
    """The problems of a story, without the colon after an empty place; none for a valid one."""
    try:
        parse_story(data)
    except ProblemList:
        return [line.removeprefix(": ") for line in problems(data)]
    return []


def read_from(files):
    """A folder as a dictionary: names outside it are refused, as the real one does."""

    def read(name):
        if ".." in name or name.startswith("/"):
            raise ValueError(f"{name!r} is outside the story's folder")
        if name not in files:
            raise ValueError(f"there is no file {name!r} in the story's folder")
        return files[name]

    return read
