"""Secrets in the address of a server: a server may be known by its path alone, ``https://host/b7c1…f2/``."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence

from .redaction import HIDDEN, MIN_LENGTH, is_secret_name

#: A part of a path that may be drawn at random, and how often small letters, capitals and digits take turns in one.
_DRAWN = re.compile(r"[\w.~+=-]{8,}", re.ASCII)
_RUNS = re.compile(r"[a-z]+|[A-Z]+|[0-9]+")
_MIN_TURNS = 3
#: Names that are followed by a secret, in a path without an ``=``.
_BEFORE_SECRETS = frozenset(["token", "tokens", "key", "keys", "auth", "secret", "secrets", "t", "k", "s"])


def find_path_secrets(address: str) -> list[str]:
    """The parts of an address's path that give access, as far as they can be told: each as it stands there.

    Told are ``…/token/VALUE``, ``…/token=VALUE``, and what looks drawn at random: eight characters and more in which digits,
    small letters and capitals take turns. A word that gives access cannot be told from one that does not.
    """
    found = []
    before = ""
    for part in _split_path(address):
        name, equals, value = part.partition("=")
        if equals and is_secret_name(name):
            found.append(value)
        elif (before.lower() in _BEFORE_SECRETS and len(part) >= MIN_LENGTH) or _looks_drawn(part):
            found.append(part)
        before = part
    return [value for value in found if len(value) >= MIN_LENGTH and HIDDEN not in value]


def find_server_secrets(arguments: Sequence[str]) -> list[str]:
    """`find_path_secrets` of the addresses of ``--server`` in a command line."""
    found = []
    before = ""
    for argument in arguments:
        option, equals, value = argument.partition("=")
        if _is_server(before):
            value = argument
        elif not (equals and _is_server(option)):
            value = ""
        found += find_path_secrets(value if "://" in value else f"http://{value}")
        before = argument
    return found


def _is_server(option: str) -> bool:
    # argparse takes unambiguous beginnings of options too.
    return len(option) > 5 and "--server".startswith(option)


def hide_in_server(address: str) -> str:
    """An address as it is written and shown: ``https://host/***5f2a/``.

    The digits tell two servers on one host apart, from run to run. They are those of 16 bits: of a value that was drawn at random
    they tell next to nothing. What `find_path_secrets` finds none in stays as it is.
    """
    scheme, separator, rest = address.partition("://")
    host, *parts = rest.split("/")
    secrets = set(find_path_secrets(address))
    shown = [_hide_part(part, secrets) for part in parts]
    return f"{scheme}{separator}{'/'.join([host, *shown])}"


def _hide_part(part: str, secrets: set[str]) -> str:
    place = re.split(r"[?#]", part, maxsplit=1)[0]
    for value in (place, place.partition("=")[2]):
        if value in secrets:
            digits = hashlib.sha256(_unquote(value).encode("utf-8", "surrogatepass")).hexdigest()[:4]
            return f"{place.removesuffix(value)}{HIDDEN}{digits}{part[len(place) :]}"
    return part


def _split_path(address: str) -> list[str]:
    """The parts of the path, as they are written; of what has no scheme, none."""
    return re.split(r"[?#]", address.partition("://")[2], maxsplit=1)[0].split("/")[1:]


def _unquote(part: str) -> str:
    return re.sub(r"%([0-9A-Fa-f]{2})", lambda found: chr(int(found[1], 16)), part)


def _looks_drawn(part: str) -> bool:
    text = _unquote(part)
    if not _DRAWN.fullmatch(text):
        return False
    turns = sum(max(0, len(_RUNS.findall(word)) - 1) for word in re.split(r"[^0-9A-Za-z]+", text))
    return turns >= _MIN_TURNS
