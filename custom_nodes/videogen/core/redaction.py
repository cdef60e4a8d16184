"""Secrets out of everything that is written or shown: told by their names, by their values, and by their forms."""

from __future__ import annotations

import json
import re
import shlex
import threading
from base64 import b64decode
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

#: What stands in place of a secret.
HIDDEN = "***"
#: A shorter value is only hidden where its name tells it: elsewhere it could be part of anything. One that is not much longer
#: is only looked for as a word of its own.
MIN_LENGTH, SAFE_LENGTH = 4, 8
#: Entries whose own entries are inputs, widgets or variables: there a name can tell a secret.
_NAMED = frozenset(("inputs", "widgets_values", "headers", "environment"))

_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
#: A name is a secret's if it has one of these words, or, run together, one of these in it.
_SECRET_WORDS = frozenset(
    [
        "password",
        "passwd",
        "passphrase",
        "passcode",
        "pwd",
        "secret",
        "secrets",
        "credential",
        "credentials",
        "authorization",
        "authentication",
        "auth",
        "bearer",
        "apikey",
        "authtoken",
        "accesstoken",
        "jwt",
        "cookie",
        "cookies",
        "token",
        "pat",
    ]
)
_SECRET_PARTS = (
    *("password", "passphrase", "secret", "credential", "apikey", "accesskey", "privatekey", "authkey", "licensekey"),
    *("authtoken", "accesstoken", "apitoken", "bearertoken", "refreshtoken", "sessiontoken", "idtoken", "sessionid"),
    *("authorization", "signingkey", "encryptionkey", "subscriptionkey", "webhookurl"),
)
#: "token" as part of these is one of a text or an image.
_TOKENS_OF_MODELS = frozenset(
    [
        "max",
        "min",
        "num",
        "number",
        "count",
        "normalization",
        "weight",
        "weights",
        "merge",
        "merging",
        "downsampling",
        "limit",
        "length",
        "size",
        "index",
        "id",
        "interpretation",
        "concat",
        "image",
        "text",
        "prompt",
        "pad",
        "padding",
        "class",
        "trigger",
        "new",
    ]
)
#: What a key is the key of; any other "… key" is a secret's.
_OTHER_KEYS = frozenset(
    [
        "chroma",
        "luma",
        "color",
        "colour",
        "sort",
        "dict",
        "dictionary",
        "primary",
        "foreign",
        "hot",
        "frame",
        "music",
        "map",
        "lookup",
        "image",
        "data",
        "json",
        "cache",
        "state",
        "object",
        "output",
        "input",
        "group",
        "index",
        "main",
        "metadata",
        "meta",
        "file",
        "node",
        "model",
        "lora",
        "layer",
        "style",
        "prompt",
        "text",
        "batch",
        "mask",
    ]
)
#: Parameters of addresses besides those with a secret's name.
_SIGNATURES = frozenset(["sig", "signature", "key", "code"])

_ADDRESS_USER = re.compile(r"(\b[a-z][a-z0-9+.-]*://[^\s/:@?#'\"]*):([^\s/@?#'\"]+)@", re.IGNORECASE)
_ADDRESS_USER_ONLY = re.compile(r"(\bhttps?://)([^\s/:@?#'\"]{8,})@", re.IGNORECASE)
_PARAMETER = re.compile(r"([?&;])([\w.\-\[\]%]+)=([^\s&;#'\"<>]+)")
_HEADER = re.compile(
    r"(?i)\b((?:proxy-)?authorization|(?:set-)?cookie|x-[\w-]*(?:key|token|auth|secret)[\w-]*)(['\"]?\s*[:=]\s*['\"]?)"
    r"((?:bearer|basic|token|digest|negotiate|apikey)\s+)?([^\s'\"\\,}<>]+)"
)
_BEARER = re.compile(r"(?i)\b(bearer\s+)([\w.~+/=-]{6,})")
#: Keys that are known by their look, of services that workflows and models are fetched from.
_KNOWN_FORMS = re.compile(
    r"\b(?:sk-[\w-]{16,}|hf_\w{20,}|gh[pousr]_\w{20,}|github_pat_\w{20,}|AIza[\w-]{30,}|xox[abprs]-[\w-]{10,}|r8_\w{20,}|AKIA[A-Z0-9]{16})\b"
)
_COOKIES = re.compile(r"(?i)\b((?:set-)?cookie['\"]?\s*:\s*)[^\n'\"]+")


def is_secret_name(name: str) -> bool:
    """Whether a name is one of a secret, however it is spelled: ``api_key``, ``apiKey``, ``My Node.api-key``, ``OPENAI_KEY``."""
    words = [word.lower() for word in _WORDS.findall(name.rpartition(".")[2] or name)]
    together = "".join(words).replace("secretar", "")  # a person
    if any(part in together for part in _SECRET_PARTS):
        return True
    for place, word in enumerate(words):
        if word == "token":
            if not _TOKENS_OF_MODELS & {*words[:place], *words[place + 1 :]}:
                return True
        elif word in _SECRET_WORDS:
            return True
    return len(words) > 1 and words[-1] == "key" and words[-2] not in _OTHER_KEYS


class Redactor:
    """Knows the secrets of a process, and takes them out of texts and plain data; may be used from any thread."""

    def __init__(self, values: Iterable[str] = ()) -> None:
        self._lock = threading.Lock()
        self._values: frozenset[str] = frozenset()
        self._pattern: re.Pattern[str] | None = None
        for value in values:
            self.add(value)

    @property
    def values(self) -> frozenset[str]:
        """The secrets, in every form in which they can appear."""
        return self._values

    def add(self, value: str) -> None:
        """Remember a secret; one shorter than `MIN_LENGTH` is not looked for."""
        forms = {value, value.strip()}
        scheme, blank, rest = value.strip().partition(" ")
        if blank and scheme.isalpha():
            forms.add(rest.strip())  # of "Bearer …" and the like, a text may repeat the second part alone
            forms |= _decode_basic(scheme, rest)
        # Of cookies, a text may repeat the value of one alone.
        cookies = (part.partition("=")[2].strip() for part in value.split(";"))
        forms |= {cookie for cookie in cookies if len(cookie) >= SAFE_LENGTH}
        for form in tuple(forms):
            forms |= {_percent_encode(form), json.dumps(form)[1:-1], shlex.quote(form)}
        with self._lock:
            self._values |= {form for form in forms if len(form) >= MIN_LENGTH and form != HIDDEN}
            longest_first = sorted(self._values, key=len, reverse=True)
            self._pattern = re.compile("|".join(map(_as_pattern, longest_first))) if longest_first else None

    def clear(self) -> None:
        """Forget all secrets."""
        with self._lock:
            self._values, self._pattern = frozenset(), None

    def hide_values(self, text: str) -> str:
        """A text without the secrets that are known."""
        return self._pattern.sub(HIDDEN, text) if self._pattern is not None else text

    def hide_in_text(self, text: str) -> str:
        """A text for people, such as an error or a log, without known secrets and without what looks like one."""
        text = hide_in_addresses(self.hide_values(text))
        text = _COOKIES.sub(rf"\1{HIDDEN}", text)
        text = _PARAMETER.sub(_hide_parameter, text)
        text = _HEADER.sub(lambda found: f"{found[1]}{found[2]}{found[3] or ''}{HIDDEN}", text)
        text = _BEARER.sub(rf"\1{HIDDEN}", text)
        return _KNOWN_FORMS.sub(HIDDEN, text)

    def hide(self, data: Any, *, texts: Collection[str] = (), keep: Collection[str] = (), named: bool = False) -> Any:
        """Plain data without the secrets that are known, and without those of inputs and headers that their names tell.

        Args:
            texts: names of entries that are texts for people, see `hide_in_text`.
            keep: names of entries at the top that stay as they are.
            named: the entries at the top are inputs or headers themselves.
        """
        if isinstance(data, str):
            return self.hide_values(data)
        if isinstance(data, Mapping):
            return {
                self.hide_values(name) if isinstance(name, str) else name: value
                if name in keep
                else self._hide_entry(str(name), value, texts, named)
                for name, value in data.items()
            }
        if isinstance(data, (list, tuple)):
            return [self.hide(item, texts=texts) for item in data]
        return data

    def _hide_entry(self, name: str, value: Any, texts: Collection[str], named: bool) -> Any:
        if isinstance(value, str):
            if named and value and is_secret_name(name):
                return HIDDEN
            if name in texts:
                return self.hide_in_text(value)
            return hide_in_addresses(self.hide_values(value)) if named else self.hide_values(value)
        if name in texts and isinstance(value, (list, tuple)):
            return [
                self.hide_in_text(item) if isinstance(item, str) else self.hide(item, texts=texts) for item in value
            ]
        return self.hide(value, texts=texts, named=name in _NAMED)

    def is_in(self, data: bytes) -> bool:
        """Whether bytes have one of the secrets in them; of short ones, which can be anything there, it is not asked."""
        return any(value in data for value in self._as_bytes())

    def mask(self, data: bytes) -> bytes:
        """Bytes with asterisks in place of the secrets, as many as there were bytes."""
        for value in self._as_bytes():
            data = data.replace(value, b"*" * len(value))
        return data

    def _as_bytes(self) -> list[bytes]:
        long = sorted((value for value in self._values if len(value) >= SAFE_LENGTH), key=len, reverse=True)
        return [value.encode("utf-8", "surrogatepass") for value in long]


#: The secrets of this process: whatever reads one adds it, and whatever writes or shows something asks it.
SECRETS = Redactor()


def hide_in_addresses(text: str) -> str:
    """A text without the passwords, tokens and signatures in the addresses of it."""
    if "://" not in text:
        return text
    text = _ADDRESS_USER.sub(rf"\1:{HIDDEN}@", text)
    text = _ADDRESS_USER_ONLY.sub(rf"\1{HIDDEN}@", text)
    return _PARAMETER.sub(_hide_parameter, text)


def find_address_secrets(text: str) -> set[str]:
    """The passwords, tokens and signatures in the addresses of a text, as far as they cannot be a word of another text."""
    if "://" not in text:
        return set()
    found = {match[2] for pattern in (_ADDRESS_USER, _ADDRESS_USER_ONLY) for match in pattern.finditer(text)}
    found |= {match[3] for match in _PARAMETER.finditer(text) if _is_secret_parameter(match[2])}
    return {value for value in found if len(value) >= SAFE_LENGTH}


def find_graph_secrets(graph: Mapping[str, Any]) -> set[str]:
    """The secrets of a graph in API format: values of inputs with a secret's name, and what is in addresses."""
    found = set()
    for node in graph.values():
        inputs = node.get("inputs") if isinstance(node, Mapping) else None
        for name, value in inputs.items() if isinstance(inputs, Mapping) else ():
            if isinstance(value, str) and value and value != HIDDEN:
                found |= {value} if is_secret_name(name) else find_address_secrets(value)
    return found


def hide_in_workflow(workflow: Any, secrets: Collection[str]) -> Any:
    """A workflow as the editor saves it, where widgets have no names: without these values, and as `hide_in_addresses` has it."""
    if isinstance(workflow, str):
        return HIDDEN if workflow in secrets else hide_in_addresses(workflow)
    if isinstance(workflow, Mapping):
        return {
            name: HIDDEN
            if isinstance(value, str) and value and name not in ("name", "type", "label") and is_secret_name(str(name))
            else hide_in_workflow(value, secrets)
            for name, value in workflow.items()
        }
    if isinstance(workflow, (list, tuple)):
        return [hide_in_workflow(item, secrets) for item in workflow]
    return workflow


def hide_in_arguments(arguments: Sequence[str], redactor: Redactor = SECRETS) -> list[str]:
    """A command line without its secrets: values of headers, of inputs with a secret's name, passwords in addresses."""
    hidden: list[str] = []
    for argument in arguments:
        option, equals, value = argument.partition("=")
        before = hidden[-1] if hidden else ""
        if _is_header(before):
            hidden.append(_hide_header(argument))
        elif equals and _is_header(option):
            hidden.append(f"{option}={_hide_header(value)}")
        elif before == "--set":
            hidden.append(hide_in_setting(argument, redactor))
        elif equals and option == "--set":
            hidden.append(f"--set={hide_in_setting(value, redactor)}")
        else:
            hidden.append(redactor.hide_in_text(argument))
    return hidden


def hide_in_setting(text: str, redactor: Redactor = SECRETS) -> str:
    """``NODE.INPUT=VALUE`` without its value, where that is a secret."""
    name, equals, value = text.partition("=")
    is_secret = bool(equals and value) and is_secret_name(name) and not names_variable(value)
    return f"{name}={HIDDEN}" if is_secret else redactor.hide_in_text(text)


def find_argument_secrets(arguments: Sequence[str]) -> set[str]:
    """The secrets in a command line."""
    found = set()
    before = ""
    for argument in arguments:
        option, equals, value = argument.partition("=")
        if _is_header(before):
            found.add(argument.partition(":")[2].strip())
        elif equals and _is_header(option):
            found.add(value.partition(":")[2].strip())
        elif "--set" in (before, option):
            name, _, setting = (argument if before == "--set" else value).partition("=")
            if is_secret_name(name) and not names_variable(setting):
                found.add(setting)
        found |= {match[2] for match in _ADDRESS_USER.finditer(argument)} | find_address_secrets(argument)
        # Whatever option it was meant for: a misspelled one is repeated in a message.
        found |= {match[2] for match in _BEARER.finditer(argument)} | {match[4] for match in _HEADER.finditer(argument)}
        before = argument
    return found - {"", HIDDEN}


def names_variable(value: str) -> bool:
    """Whether a value is ``env:NAME``: a secret that stands in the environment variable NAME."""
    return re.fullmatch(r"env:[A-Za-z_][A-Za-z0-9_]*", value) is not None


def _percent_encode(text: str) -> str:
    """As in an address."""
    return "".join(
        chr(byte) if (chr(byte).isalnum() and byte < 128) or byte in b"-._~" else f"%{byte:02X}"
        for byte in text.encode("utf-8", "surrogatepass")
    )


def _as_pattern(value: str) -> str:
    escaped = re.escape(value)
    return escaped if len(value) >= SAFE_LENGTH else rf"(?<!\w){escaped}(?!\w)"


def _decode_basic(scheme: str, rest: str) -> set[str]:
    if scheme.lower() != "basic":
        return set()
    try:
        user_password = b64decode(rest.strip(), validate=True).decode()
    except ValueError:
        return set()
    return {user_password, user_password.partition(":")[2]}


def _hide_parameter(found: re.Match[str]) -> str:
    return f"{found[1]}{found[2]}={HIDDEN}" if _is_secret_parameter(found[2]) else found[0]


def _is_secret_parameter(name: str) -> bool:
    name = name.lower()
    return is_secret_name(name) or name in _SIGNATURES or name.endswith(("-signature", "-credential"))


def _is_header(option: str) -> bool:
    # argparse takes unambiguous beginnings of options too; --he could be --help.
    return len(option) > 4 and "--header".startswith(option)


def _hide_header(line: str) -> str:
    name, colon, _ = line.partition(":")
    return f"{name}: {HIDDEN}" if colon else HIDDEN
