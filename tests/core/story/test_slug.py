"""Slugs: readable, valid on every file system, the same as in earlier releases, and never shared by titles that differ."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from custom_nodes.videogen.core.segment.cast_prompts import plan_member
from custom_nodes.videogen.core.segment.references import default_reference
from custom_nodes.videogen.core.story.parser import parse_story
from custom_nodes.videogen.core.story.slug import MAX_LENGTH, fold_name, former_slug, is_device_name, slugify

LETTERS = st.text(st.characters(categories=("L", "M", "N", "P", "Z", "S")), min_size=1, max_size=80)


@pytest.mark.parametrize(
    ("title", "slug"),
    [
        ("Apple Tree", "apple_tree"),
        ("Über den Garten", "uber_den_garten"),
        ("Anna’s Garden – part 2!", "annas_garden_part_2"),
        ("Straße", "strasse"),
        ("story", "story"),
    ],
)
def test_titles_in_latin_letters_keep_the_slug_that_their_folders_have(title: str, slug: str) -> None:
    assert slugify(title) == former_slug(title) == slug


@pytest.mark.parametrize("title", ["苹果树", "櫻の木", "яблоня", "شجرة التفاح", "हिन्दी कहानी"])
def test_other_letters_stay(title: str) -> None:
    assert slugify(title) == title.replace(" ", "_")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("苹果树", "櫻の木"),
        ("Яблоня", "яблоня"),
        ("Anna 苹果", "Anna 櫻"),
        ("苹果!", "苹果?"),
        ("あ" * 100, "あ" * 101),
        ("a" * 80, "a" * 81),
        ("Łódź", "Odz"),
        ("🌳", "🌲"),
        ("!!!", "???"),
        ("①", "一"),
    ],
)
def test_different_titles_have_different_slugs(one: str, other: str) -> None:
    assert fold_name(slugify(one)) != fold_name(slugify(other))
    assert "story" not in (slugify(one), slugify(other))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(LETTERS, LETTERS)
def test_titles_that_are_not_latin_never_share_a_slug(one: str, other: str) -> None:
    if unicodedata.normalize("NFC", one) != unicodedata.normalize("NFC", other) and slugify(one) == slugify(other):
        # Only what earlier releases have put into one folder already.
        assert slugify(one) == former_slug(one) == former_slug(other)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.text(min_size=1, max_size=200))
def test_every_slug_is_a_valid_name_on_every_file_system(title: str) -> None:
    slug = slugify(title)
    assert slug
    assert len(slug) <= MAX_LENGTH
    assert len(slug.encode()) <= 255
    assert all(unicodedata.category(character)[0] in "LMN" or character == "_" for character in slug)
    assert not is_device_name(slug)
    assert slug == slugify(unicodedata.normalize("NFD", title)) or unicodedata.normalize("NFC", title) != title


@pytest.mark.parametrize("title", ["Con", "NUL", "com1", "LPT9", "aux"])
def test_names_of_devices_are_not_names_of_folders(title: str) -> None:
    assert slugify(title).startswith(f"{title.lower()}_")


def test_default_pictures_are_apart_by_story_and_are_no_devices() -> None:
    cast = {"anna": {"segments": "1"}, "con": {"segments": "1"}}
    stories = [
        parse_story({"title": title, "characters": cast, "segments": [{"prompt": "x"}]}) for title in ("苹果", "櫻")
    ]
    assert [plan_member(story, 1).file for story in stories] == ["videogen/苹果/anna.png", "videogen/櫻/anna.png"]
    assert default_reference("garden", stories[0].characters[1]) == "videogen/garden/con_.png"


def test_default_pictures_that_two_would_share_are_named_in_a_warning() -> None:
    data = {
        "characters": {"Anna": {"segments": "1"}, "ben": {"segments": "1"}},
        "objects": {"anna": {"segments": "1"}, "ben": {"segments": "1"}, "tree": {"segments": "1"}},
        "segments": [{"prompt": "x"}],
    }
    assert parse_story(data).warnings == (
        "objects.anna and characters.Anna have one default picture on Windows and macOS, anna.png;"
        " give one of them a `reference`",
        "objects.ben and characters.ben have one default picture, ben.png; give one of them a `reference`",
    )


def test_seeds_of_the_cast_are_those_of_earlier_releases() -> None:
    # A film that is half done must not get other people for its second half.
    data = {"title": "苹果", "characters": {"anna": {"segments": "1"}}, "segments": [{"prompt": "x"}]}
    assert plan_member(parse_story(data), 1).seed == plan_member(parse_story({**data, "title": "story"}), 1).seed
