"""JSON and YAML to plain data: what is read, and what is refused with its place."""

import os
import sys

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.core.story.documents import parse_document


def refusal(text: str, name: str = "film.json") -> str:
    with pytest.raises(VideoGenError) as caught:
        parse_document(text, name)
    assert caught.value.code == "story-unreadable"
    return str(caught.value)


def test_json_and_yaml_give_the_same_data():
    data = {"title": "Über Äpfel", "fps": 3, "segments": [{"prompt": "Ein Gärtner gießt den Baum."}]}
    as_json = '{"title": "Über Äpfel", "fps": 3, "segments": [{"prompt": "Ein Gärtner gießt den Baum."}]}'
    as_yaml = "title: Über Äpfel\nfps: 3\nsegments:\n  - prompt: Ein Gärtner gießt den Baum.\n"
    assert parse_document(as_json, "film.json") == parse_document(as_yaml, "film.yaml") == data


@pytest.mark.parametrize("name", ["film.yaml", "FILM.YML", "story"])
def test_yaml_is_known_by_its_name_or_by_not_looking_like_json(name):
    assert parse_document("- prompt: x", name) == [{"prompt": "x"}]


def test_json_without_a_telling_name_is_known_by_its_first_character():
    assert parse_document('\n [{"prompt": "x"}]', "story") == [{"prompt": "x"}]


@pytest.mark.parametrize("name", ["film.json", "film.yaml"])
def test_a_byte_order_mark_does_not_matter(name):
    assert parse_document('\ufeff[{"prompt": "x"}]', name) == [{"prompt": "x"}]


@pytest.mark.parametrize("text", ["", " \n\t", "\ufeff"])
def test_an_empty_file(text):
    assert refusal(text) == "film.json is empty\nWrite a story into it; docs/story-format.md shows one."


# ---------------------------------------------------------------------- what is not JSON


def test_not_json_names_line_and_column_and_shows_the_place():
    assert refusal('[\n  {"prompt": "x"}\n  {"prompt": "y"}\n]') == (
        'film.json is not JSON: Expecting \',\' delimiter in line 3, column 3, at: {"prompt": "y"}\n'
        "Usually a comma is missing or superfluous. YAML is read from files that end in .yaml."
    )


def test_the_place_is_shown_in_a_file_that_is_one_long_line():
    text = "[" + '{"prompt": "x"}, ' * 1000 + '{"prompt" "here"}]'
    message = refusal(text)
    column = text.index('"here"') + 1
    assert f"in line 1, column {column}" in message
    assert '{"prompt" "here"}]' in message
    assert len(message) < 300


def test_a_line_separator_within_a_text_does_not_shift_the_place():
    # U+2028 ends a line for str.splitlines(), and not for JSON.
    assert ', at: "b" 1' in refusal('{"a": "\u2028",\n "b" 1}')


def test_doubled_keys_in_json():
    assert refusal('{"title": "a", "title": "b"}') == (
        "film.json: the key 'title' is repeated in one object\nKeep one of them."
    )


@pytest.mark.parametrize("opening", ["[", '{"a":'])
def test_deep_nesting_in_json(opening):
    assert refusal(opening * 100_000) == "film.json is nested too deeply"


def test_a_number_with_too_many_digits():
    assert refusal(f'{{"seed": {"9" * 5000}}}') == "film.json has a number of more than 4,300 digits"


def test_a_file_that_is_no_story():
    assert (
        refusal(" " * 10 + "x" * 20_000_000)
        == "film.json has 20,000,010 characters, at most 20,000,000 are allowed in a story"
    )


# ---------------------------------------------------------------------- what is not YAML


@pytest.mark.parametrize(
    "tagged",
    [
        "a: !!python/object/apply:os.system [ls]",
        "a: !!python/name:os.system",
        "!!python/object/new:os.path.join {}",
        "a: !thing b",
    ],
)
def test_yaml_that_builds_objects(tagged):
    message = refusal(tagged, "film.yaml")
    assert "film.yaml has a YAML tag that builds an object in line 1, column " in message
    assert message.endswith("Remove the tag (the word that begins with an exclamation mark).")


def test_yaml_does_not_run_anything(tmp_path):
    proof = tmp_path / "proof"
    refusal(f"a: !!python/object/apply:os.mkdir ['{proof}']", "film.yaml")
    assert not os.path.lexists(proof)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("title: a\ntitle: b", "film.yaml is not YAML: the key 'title' is repeated in line 2, column 1"),
        ("a:\n  b: 1\n  b: 2", "film.yaml is not YAML: the key 'b' is repeated in line 3, column 3"),
        ("a: [1", "film.yaml is not YAML: expected ',' or ']', but got '<stream end>' in line 1, column 6"),
        ("a: b: c", "film.yaml is not YAML: mapping values are not allowed here in line 1, column 5"),
        ("a: 1\n---\na: 2", "film.yaml is not YAML: but found another document in line 2, column 1"),
        ("? [a]\n: b", "film.yaml is not YAML: found unhashable key in line 1, column 3"),
        ("a: \x01", "film.yaml is not YAML: unacceptable character #x0001"),
        pytest.param("- " * 5000, "film.yaml is nested too deeply", id="deep"),
        ("&a {<<: *a}", "film.yaml is not YAML: a mapping that merges itself in line 1, column 1"),
        (
            "- &a\n  <<: &b {<<: [{x: 1}, *a]}",
            "film.yaml is not YAML: a mapping that merges itself in line 1, column 3",
        ),
        ("<<: 3", "film.yaml is not YAML: expected a mapping or list of mappings for merging"),
        # Each of these was a crash, or had no place.
        (
            "a: !!bool perhaps",
            "a value that cannot be read as bool (text needs quotes), found text ('perhaps') in line 1, column 4",
        ),
        ("a: !!int ''", "a value that cannot be read as int (text needs quotes), found text ('') in line 1, column 4"),
        (
            "a: !!float ''",
            "a value that cannot be read as float (text needs quotes), found text ('') in line 1, column 4",
        ),
        (
            "a: !!timestamp soon",
            "a value that cannot be read as timestamp (text needs quotes), found text ('soon') in line 1",
        ),
        (
            "title: !!timestamp 2025-13-45",
            "a value that cannot be read as timestamp (text needs quotes), found text ('2025-13-45') in line 1",
        ),
        pytest.param(
            f"seed: {'9' * 5000}", "a value that cannot be read as int (text needs quotes), found text ('999", id="long"
        ),
        ("!!map x", "film.yaml is not YAML: expected a mapping node, but found scalar in line 1, column 1"),
    ],
)
def test_what_is_not_yaml(text, message):
    assert message in refusal(text, "film.yaml")


def test_anchors_and_merge_keys_save_writing():
    text = """
    x-street: &street {negative: cars, technical: "Totale, statisch"}
    segments:
      - {<<: *street, prompt: eins}
      - {<<: *street, prompt: zwei, negative: people}
    """
    assert parse_document(text, "film.yaml")["segments"] == [
        {"negative": "cars", "technical": "Totale, statisch", "prompt": "eins"},
        {"negative": "people", "technical": "Totale, statisch", "prompt": "zwei"},
    ]


def test_a_key_that_overrides_a_merged_one_is_not_doubled():
    # The bug: `mid` is merged into the segment before it is read itself, and then it seemed to have `negative` twice.
    text = """
    x-a: {base: &base {negative: a}, deeper: {still: {mid: &mid {<<: *base, negative: b}}}}
    segments: [{<<: *mid, prompt: x}]
    """
    assert parse_document(text, "film.yaml")["segments"] == [{"negative": "b", "prompt": "x"}]


def test_merging_that_explodes_is_stopped():
    levels = "".join(f"b{i}: &b{i} {{<<: [{', '.join([f'*b{i - 1}'] * 10)}]}}\n" for i in range(1, 12))
    assert "merging copies more than 100,000 keys" in refusal(f"b0: &b0 {{k: 1}}\n{levels}", "film.yaml")


def test_many_merges_of_one_mapping_are_counted_together():
    base = ", ".join(f"k{i}: 1" for i in range(1000))
    text = f"x-base: &base {{{base}}}\nsegments:\n" + "".join("  - {<<: *base}\n" for _ in range(101))
    assert "merging copies more than 100,000 keys" in refusal(text, "film.yaml")


def test_the_limit_on_merging_does_not_depend_on_how_the_library_merges(monkeypatch):
    # PyYAML 6.0.4 merges in another way than 6.0.3 did: nothing explodes there, and nothing was refused.
    monkeypatch.setattr(yaml.SafeLoader, "flatten_mapping", lambda self, node: None)
    levels = "".join(f"b{i}: &b{i} {{<<: [{', '.join([f'*b{i - 1}'] * 10)}]}}\n" for i in range(1, 12))
    assert "merging copies more than 100,000 keys" in refusal(f"b0: &b0 {{k: 1}}\n{levels}", "film.yaml")


@given(
    st.text(max_size=60) | st.text("{}[]:,-&*!<>|#'\"%@ \nab01", max_size=30),
    st.sampled_from(["a.json", "a.yaml", "a"]),
)
def test_any_text_is_read_or_refused(text, name):
    try:
        parse_document(text, name)
    except VideoGenError as error:
        if error.code != "story-unreadable":
            raise


def test_the_recursion_limit_is_left_alone():
    before = sys.getrecursionlimit()
    refusal("[" * 100_000)
    assert sys.getrecursionlimit() == before
