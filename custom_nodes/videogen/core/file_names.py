r"""Names of files that come from others: judged as text, before any file system is asked.

On Windows asking is too much already: to look at ``\\host\share\x`` sends the user's credentials to that host, ``CON`` waits for
the keyboard, and ``C:x`` is another place than it seems.
"""

from __future__ import annotations

import re

#: Names that are devices on Windows, with any suffix. The digits are those that Windows takes for digits.
_DEVICES = re.compile(r"(?i)(?:con|prn|aux|nul|conin\$|conout\$|clock\$|(?:com|lpt)[0-9¹²³])\s*(?:[.:].*)?", re.DOTALL)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_ESCAPED = "which a backslash and a letter make in JSON and in double quotes of YAML; write / between folders"
#: Bytes of a name that every file system takes.
MAX_BYTES = 255


def explain_bad_path(path: str) -> str:
    """Why a relative path, with slashes of either kind, can be used on no machine; "" when it can.

    ``..`` is allowed: whether it leaves a folder depends on the folder. A leading slash is refused.
    """
    text = path.replace("\\", "/")
    if _CONTROL.search(text):
        escaped = re.search(r"[\a\b\t\n\v\f\r]", text)
        return "it has a control character" + (f", {_ESCAPED}" if escaped else "")
    if text.startswith(("//", "/??/")):
        return "it names another machine or a device"
    if text.startswith("/"):
        return "it begins at the root"
    if re.match(r"[A-Za-z]:", text):
        return "it names a drive"
    return next(filter(None, map(_explain_part, text.split("/"))), "")


def explain_path_out(path: str) -> str:
    """`explain_bad_path` for a path below a folder, of which no part may be ``..``."""
    leads_out = ".." in path.replace("\\", "/").split("/")
    return explain_bad_path(path) or ("it leads to another folder" if leads_out else "")


def explain_bad_name(name: object) -> str:
    """Why something is not the plain name of a file, the same one on every system; "" when it is."""
    if not isinstance(name, str) or not name:
        return "it is not a name"
    if name in (".", ".."):
        return "it is a folder's own name or that of the folder above"
    if any(character in name for character in "/\\:"):
        return "it leads to another folder, drive or stream"
    if _CONTROL.search(name):
        return "it has a control character"
    if len(name.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        return f"it has more than {MAX_BYTES} bytes"
    return _explain_part(name)


def _explain_part(part: str) -> str:
    if part in ("", ".", ".."):
        return ""
    if _DEVICES.fullmatch(part):
        return f"{part!r} is a device on Windows"
    if part[-1] in ". ":
        return f"{part!r} ends with a dot or a blank, which Windows leaves out"
    return ""
