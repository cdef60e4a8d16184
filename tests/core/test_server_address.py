"""What gives access in the address of a server: told by its place or its look, and hidden in the name of the server."""

from __future__ import annotations

import pytest

from custom_nodes.videogen.core.server_address import find_path_secrets, find_server_secrets, hide_in_server

HEX = "5f2a9c41e7b04d3a8a6f00c1d2e3f4a5"
SECRETS = [
    HEX,
    "550e8400-e29b-41d4-a716-446655440000",
    "b7C1x9Zq",
    "xKqZvTwRmPbN",
    "eyJhbGciOiJIUzI1NiJ9.e30.Zm9v",
    "a%2Bb7C1x9Zq%3D",
]
ORDINARY = [
    "",
    "comfy",
    "comfyui-0.33.0",
    "ComfyUI",
    "stable-diffusion-xl",
    "proxy/8188",
    "user/anna/proxy/8188",
    "instances/render-01",
    "gpu2",
    "my-team_server.v2",
    "Übung/a b",
]


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("form", ["https://host/{}", "http://host:8188/{}/comfy", "https://[::1]/a/{}"])
def test_what_looks_drawn_at_random_is_a_secret(secret: str, form: str) -> None:
    address = form.format(secret)
    assert find_path_secrets(address) == [secret]
    shown = hide_in_server(address)
    assert secret not in shown
    assert shown == form.format(shown[shown.index("***") :][:7])
    assert hide_in_server(shown) == shown, "a name from a record is a name"
    assert find_path_secrets(shown) == []


@pytest.mark.parametrize(
    "form", ["https://host/token/{}/x", "https://host/token={}", "https://host/Key/{}", "https://h/t/{}"]
)
def test_a_word_is_a_secret_by_its_place(form: str) -> None:
    assert find_path_secrets(form.format("t0ken")) == ["t0ken"]
    assert "t0ken" not in hide_in_server(form.format("t0ken"))


@pytest.mark.parametrize("path", ORDINARY)
def test_other_paths_stay_as_they_are(path: str) -> None:
    address = f"https://render.example:8443/{path}"
    assert find_path_secrets(address) == []
    assert hide_in_server(address) == address


def test_two_servers_on_one_host_have_two_names() -> None:
    assert hide_in_server(f"https://host/{HEX}") != hide_in_server(f"https://host/{HEX[::-1]}")


@pytest.mark.parametrize("text", ["", "host", "no address", "http://[::1", "http://", "://x", f"host/{HEX}"])
def test_what_is_no_address_is_left_alone(text: str) -> None:
    assert hide_in_server(text) == text
    assert find_path_secrets(text) == []


@pytest.mark.parametrize(
    "arguments",
    [
        ["--server", f"https://host/{HEX}/"],
        [f"--server=https://host/{HEX}"],
        ["--serv", f"host/{HEX}"],
        ["--server", "http://a", "--server", f"https://host/x/{HEX}?a=b"],
    ],
)
def test_those_of_a_command_line_are_found(arguments: list[str]) -> None:
    assert find_server_secrets(["run", *arguments, "--out", f"runs/{HEX}"]) == [HEX]
