"""Which names this server may be called by: a page of a stranger must not reach it by a name that the stranger owns.

With DNS rebinding such a name has this machine's address, so that to a browser our answers are the stranger's own. The ``Host``
of the request still has the name.
"""

from __future__ import annotations

import ipaddress
import os
import re
import socket
from collections.abc import Iterable, Iterator

#: Environment variable with more names, separated by commas: ``render.example.com``, ``.example.com`` with all names below it, or
#: ``*`` for any.
VARIABLE = "VIDEOGEN_ALLOWED_HOSTS"
#: Domains in which nobody can register a name: what is in them is in this network.
_LOCAL_DOMAINS = ("local", "lan", "home.arpa", "internal", "localdomain")
#: A name or an address, and perhaps a port; nothing else is in a ``Host``.
_HOST = re.compile(r"(?:\[(?P<address>[0-9a-f:.]+(?:%[a-z0-9._-]+)?)\]|(?P<name>[a-z0-9._-]{1,253}))(?::[0-9]{1,5})?")


def explain_foreign_host(header: str | None, listening: str = "") -> str:
    """Why a request with this ``Host`` is refused; "" when it is not.

    An address is always allowed: a stranger owns no page at an address of ours, and behind a router or in a container the machine
    does not know all of its addresses.

    Args:
        listening: ComfyUI's ``--listen``, names and addresses separated by commas.
    """
    name = _name_of(header or "")
    if name and (_is_address(name) or name == "localhost" or name.endswith(".localhost")):
        return ""
    if name and any(_matches(name, one) for one in (*_own_names(), *_split(listening), *_allowed())):
        return ""
    return (
        f"this server is not known as {name!r}; if that is one of its names, start ComfyUI with {VARIABLE}={name or 'NAME'}"
        if name
        else "the request does not say whom it is for"
    )


def _name_of(header: str) -> str:
    """The name or address in a ``Host``; "" when it has none."""
    found = _HOST.fullmatch(header.strip().lower())
    return (found["address"] or found["name"]).removesuffix(".") if found else ""


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name.partition("%")[0])
    except ValueError:
        return False
    return True


def _own_names() -> Iterator[str]:
    own = socket.gethostname().lower()
    short = own.partition(".")[0]
    yield from (own, short, *(f"{short}.{domain}" for domain in _LOCAL_DOMAINS))


def _allowed() -> Iterable[str]:
    return _split(os.environ.get(VARIABLE, ""))


def _split(names: str) -> list[str]:
    return [name for name in names.lower().replace(" ", "").split(",") if name]


def _matches(name: str, pattern: str) -> bool:
    pattern = pattern.removeprefix("*") if pattern.startswith("*.") else pattern
    if pattern.startswith("."):
        return name.endswith(pattern) or name == pattern[1:]
    return pattern in ("*", name)
