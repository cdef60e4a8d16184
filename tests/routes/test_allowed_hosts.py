"""Names by which the pack's endpoints may be called: those of this machine, and those that its owner allows."""

from __future__ import annotations

import socket

import pytest

from custom_nodes.videogen.routes.allowed_hosts import VARIABLE, explain_foreign_host

FOREIGN = [
    "evil.example",
    "evil.example:8188",
    "127.0.0.1.evil.example:8188",
    "localhost.evil.example",
    "evillocalhost",
    "localhost@evil.example",
    "evil.example/localhost",
    "evil.example#localhost",
    "evil.example:port",
    "127.0.0.1:8188, evil.example",
    "[::1].evil.example",
    "xn--lcalhost-54a.example",
    "render-box.evil.example",
    "render-boxx",
    "évil",
    "\x1b[2J",
    "",
    None,
]
OWN = [
    "127.0.0.1",
    "127.0.0.1:8188",
    "[::1]:8188",
    "[fe80::1%25eth0]:8188",
    "192.168.1.5:8188",
    "203.0.113.9",
    "localhost",
    "LocalHost:8188",
    "localhost.",
    "comfy.localhost:8188",
    "render-box:8188",
    "RENDER-BOX.local",
    "render-box.lan",
    "render-box.office.example",
]


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "Render-Box.office.example")
    monkeypatch.delenv(VARIABLE, raising=False)


@pytest.mark.parametrize("header", FOREIGN, ids=repr)
def test_a_name_of_somebody_else_is_refused(header: str | None) -> None:
    assert explain_foreign_host(header)
    assert "\x1b" not in explain_foreign_host(header)


@pytest.mark.parametrize("header", OWN)
def test_addresses_and_names_of_this_machine_are_its_own(header: str) -> None:
    assert explain_foreign_host(header) == ""


@pytest.mark.parametrize(
    ("allowed", "header", "is_allowed"),
    [
        ("render.example.com", "render.example.com:443", True),
        ("render.example.com", "Render.Example.Com", True),
        ("render.example.com", "other.example.com", False),
        ("a.example, render.example.com ,b.example", "render.example.com", True),
        (".example.com", "deep.render.example.com", True),
        ("*.example.com", "example.com", True),
        (".example.com", "evilexample.com", False),
        ("*", "any.example", True),
        ("*", "", False),
        (",", "any.example", False),
    ],
)
def test_the_owner_can_allow_more(monkeypatch: pytest.MonkeyPatch, allowed: str, header: str, is_allowed: bool) -> None:
    monkeypatch.setenv(VARIABLE, allowed)
    assert (explain_foreign_host(header) == "") == is_allowed


def test_what_comfyui_listens_on_is_its_name() -> None:
    assert explain_foreign_host("comfy.office.example:8188", "127.0.0.1,comfy.office.example") == ""
    assert explain_foreign_host("comfy.office.example:8188", "0.0.0.0,::")


def test_a_refusal_says_what_would_help() -> None:
    text = explain_foreign_host("render.example.com:8188")
    assert "'render.example.com'" in text
    assert f"{VARIABLE}=render.example.com" in text
