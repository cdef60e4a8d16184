"""Secrets are told by name, by value and by form, and what is none stays as it is."""

from __future__ import annotations

import base64
import json
import shlex
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from custom_nodes.videogen.core.redaction import (
    HIDDEN,
    Redactor,
    find_argument_secrets,
    find_graph_secrets,
    hide_in_arguments,
    hide_in_setting,
    hide_in_workflow,
    is_secret_name,
)

SECRET = "sk-5f2a'9c\"41e7"
NAMES = [
    "api_key",
    "apiKey",
    "API_KEY",
    "apikey",
    "APIKEY",
    "api-key",
    "ApiKey",
    "x-api-key",
    "authToken",
    "auth_token",
    "token",
    "password",
    "passwd",
    "pwd",
    "secret",
    "client_secret",
    "credential",
    "credentials",
    "Authorization",
    "Proxy-Authorization",
    "cookie",
    "openai_key",
    "OPENAI_KEY",
    "hf_token",
    "access_token",
    "accessKey",
    "private_key",
    "bearer",
    "user_password",
    "license_key",
    "stability_api_key",
    "geminiKey",
    "civitai_token",
    # Run together, so that no word of it is a secret's.
    "openaiapikey",
    "myaccesstokenvalue",
    "slackwebhookurl",
    "dbpasswordfile",
    "userlicensekeytext",
    "sessionToken",
    "aws_secret_access_key",
    "passphrase",
    "auth",
    "basic_auth",
    "jwt",
    "signing_key",
]
OTHER_NAMES = [
    "max_tokens",
    "tokens",
    "tokenizer",
    "token_normalization",
    "token_merging_ratio",
    "num_tokens",
    "chroma_key",
    "sort_key",
    "key",
    "keyframe",
    "keyframes",
    "author",
    "monkey",
    "compass",
    "pass",
    "second_pass",
    "prompt",
    "seed",
    "text",
    "ckpt_name",
    "pattern",
    "weight",
    "width",
    "foreign_key",
    "negative",
    "cfg",
]


@pytest.mark.parametrize("name", [*NAMES, "My Node.api_key", "My Node.Api Key", "5.apiKey", "OpenAI Chat.openai_key"])
def test_names_of_secrets_in_any_spelling(name: str) -> None:
    assert is_secret_name(name)
    assert hide_in_setting(f"{name}={SECRET}") == f"{name}={HIDDEN}"


@pytest.mark.parametrize("name", OTHER_NAMES)
def test_other_names_stay(name: str) -> None:
    assert not is_secret_name(name)
    assert hide_in_setting(f"3.{name}=25") == f"3.{name}=25"


def forms_of(secret: str) -> list[str]:
    """The ways in which a secret can stand in a text."""
    return [
        secret,
        json.dumps(secret),
        quote(secret, safe=""),
        shlex.quote(secret),
        f"https://h/?x={quote(secret, safe='')}",
    ]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.text(st.characters(codec="utf-8", exclude_categories=("C",)), min_size=12, max_size=40))
def test_a_known_value_is_hidden_wherever_and_however_it_appears(secret: str) -> None:
    redactor = Redactor([secret])
    for form in forms_of(secret):
        assert secret.strip() not in redactor.hide_values(f"a {form} b")
    data = {"x": [secret, {secret: 1}], "y": f"({secret})"}
    assert secret.strip() not in json.dumps(redactor.hide(data), ensure_ascii=False)
    encoded = f"a {secret} b".encode()
    masked = redactor.mask(encoded)
    assert secret.encode() not in masked
    assert len(masked) == len(encoded)


def test_the_second_part_of_a_header_is_known_too() -> None:
    basic = base64.b64encode(b"anna:hunter2hunter2").decode()
    redactor = Redactor([f"Bearer {SECRET}", f"Basic {basic}"])
    assert redactor.hide_values(f"the server says {SECRET} and {basic} and hunter2hunter2") == (
        f"the server says {HIDDEN} and {HIDDEN} and {HIDDEN}"
    )


def test_a_short_secret_is_a_word_of_its_own_and_a_very_short_one_is_told_by_its_name_only() -> None:
    redactor = Redactor(["tree", "abc"])
    assert redactor.hide_values("a tree in the street, treetop, abc") == f"a {HIDDEN} in the street, treetop, abc"


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        ("http://anna:pa55word@host:8188/x", "http://anna:***@host:8188/x"),
        ("GET https://h/a?token=abcdef&width=3", "GET https://h/a?token=***&width=3"),
        (
            "https://s3/x?X-Amz-Signature=abcdef&X-Amz-Credential=k",
            "https://s3/x?X-Amz-Signature=***&X-Amz-Credential=***",
        ),
        ("Authorization: Bearer abcdef", "Authorization: Bearer ***"),
        ("{'Authorization': 'Basic YWJj', 'Accept': '*/*'}", "{'Authorization': 'Basic ***', 'Accept': '*/*'}"),
        ("cookie: a=b; session=c", "cookie: ***"),
        ("X-Api-Key: abcdef", "X-Api-Key: ***"),
        ("invalid key sk-abcdefghijklmnop1234", "invalid key ***"),
        ("hf_abcdefghijklmnopqrstuvwx is wrong", "*** is wrong"),
    ],
)
def test_what_looks_like_a_secret_is_hidden_in_texts(text: str, hidden: str) -> None:
    assert Redactor().hide_in_text(text) == hidden


@pytest.mark.parametrize(
    "text",
    [
        "The baker bears a tray of cookies.",
        "node 3 (KSampler): max_tokens=5 is too large",
        "http://127.0.0.1:8188/view?filename=a.png&type=output",
        "a ticket to the token economy; his password is a mystery",
        "Segment 7/33: seed 1007",
    ],
)
def test_other_texts_stay(text: str) -> None:
    assert Redactor().hide_in_text(text) == text


def test_inputs_are_told_by_name_and_the_rest_of_the_data_is_not() -> None:
    graph: dict[str, Any] = {
        "5": {"class_type": "Api", "inputs": {"api_key": SECRET, "token": ["4", 0], "max_tokens": 5}}
    }
    assert find_graph_secrets(graph) == {SECRET}
    assert Redactor().hide(graph)["5"]["inputs"] == {"api_key": HIDDEN, "token": ["4", 0], "max_tokens": 5}
    scores = {"scores": {"cookie": "pass", "secret": 0.5}}
    assert Redactor().hide(scores) == scores


def test_the_editor_s_workflow_has_secrets_in_widgets_without_names() -> None:
    workflow = {
        "nodes": [{"id": 5, "type": "Api", "widgets_values": ["gpt", SECRET]}, {"widgets_values": {"api_key": "x"}}]
    }
    hidden = hide_in_workflow(workflow, {SECRET})
    assert hidden["nodes"][0] == {"id": 5, "type": "Api", "widgets_values": ["gpt", HIDDEN]}
    assert hidden["nodes"][1] == {"widgets_values": {"api_key": HIDDEN}}


@pytest.mark.parametrize(
    "arguments",
    [
        ["--header", f"Authorization: Bearer {SECRET}"],
        [f"--header=X-Team: {SECRET}"],
        ["--set", f"My Node.api_key={SECRET}"],
        [f"--set=5.authToken={SECRET}"],
        ["--server", f"http://anna:{quote(SECRET, safe='')}@host"],
        ["--haeder", "Authorization: Bearer abcdefgh"],
    ],
)
def test_command_lines(arguments: list[str]) -> None:
    hidden = hide_in_arguments(["run", *arguments, "--out", "x"], Redactor())
    for secret in (SECRET, quote(SECRET, safe=""), "abcdefgh"):
        assert secret not in " ".join(hidden)
    assert (hidden[0], hidden[-2:]) == ("run", ["--out", "x"])
    redactor = Redactor(find_argument_secrets(["run", *arguments]))
    said = f"the server says {SECRET} {quote(SECRET, safe='')} abcdefgh"
    assert redactor.hide_values(said) != said


def test_the_name_of_a_variable_is_no_secret() -> None:
    arguments = ["--set", "5.api_key=env:MY_KEY"]
    assert hide_in_arguments(arguments, Redactor()) == arguments
    assert find_argument_secrets(arguments) == set()
