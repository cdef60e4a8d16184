"""Which fields of the journal name files, and where in the run directory these may be.

A journal may come from somebody else. A name in it is that of a file in its own folder, or the event is refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from custom_nodes.videogen.core.file_names import explain_bad_name, explain_path_out

Record = Mapping[str, Any]


def require_own_files(record: Record) -> None:
    """Refuse an event that names a file outside of its folder.

    Raises:
        ValueError: which field, and what it says.
    """
    for check in CHECKS.get(str(record.get("event")), ()):
        check(record)


def _in_folders(field: str, *folders: str) -> Callable[[Record], None]:
    """A file directly in one of these folders; "" stands for the run directory."""

    def check(record: Record) -> None:
        name = record.get(field)
        if name is None or name == "":
            return
        for folder in folders:
            if isinstance(name, str) and name.startswith(folder) and not explain_bad_name(name[len(folder) :]):
                return
        places = " or ".join(folder or "a name" for folder in folders)
        raise ValueError(f"its {field} is {name!r}, expected {places if not folders[0] else f'a file in {places}'}")

    return check


def _in_references(record: Record) -> None:
    """A file in references/ or below: these have the names that the story gives them."""
    name = record.get("name")
    reason = explain_path_out(name) if isinstance(name, str) else "it is not a name"
    if reason and name is not None:
        raise ValueError(f"its name is {name!r}: {reason}")


def _hash(record: Record) -> None:
    """A part of it becomes the name of a file on a server."""
    found = record.get("sha256")
    if found is not None and (not isinstance(found, str) or not re.fullmatch(r"[0-9a-f]{1,64}", found)):
        raise ValueError(f"its sha256 is {found!r}, expected hexadecimal digits")


def _keys(record: Record) -> None:
    """A part of a key becomes one of the name of a file in results/."""
    for field in ("key", "former"):
        key = record.get(field)
        if key is not None and key != "" and (not isinstance(key, str) or explain_bad_name(key)):
            raise ValueError(f"its {field} is {key!r}, expected a hash")


def _mapping(record: Record, field: str) -> Record:
    found = record.get(field)
    if found is not None and not isinstance(found, dict):
        raise ValueError(f"its {field} is {found!r}, expected an object")
    return found or {}


def _result(record: Record) -> None:
    """What a segment's file is, the scores that it was judged by, and the takes that it was chosen from."""
    for check in (_SEGMENT_FILE, _hash, _keys):
        check(record)
    _SCORES(_mapping(record, "continuity"))
    for field, check_file in (("takes", _TAKE_FILE), ("sounds", _SEGMENT_FILE), ("handed_over", _HANDED_OVER)):
        for item in _objects(record, field):
            check_file(item)
            _hash(item)


def _objects(record: Record, field: str) -> list[Record]:
    found = record.get(field)
    if found is not None and not (isinstance(found, list) and all(isinstance(item, dict) for item in found)):
        raise ValueError(f"its {field} are {found!r}, expected a list of objects")
    return found or []


_SEGMENT_FILE = _in_folders("file", "segments/")
_HANDED_OVER = _in_folders("file", "segments/handed_over/")
_TAKE_FILE = _in_folders("file", "segments/", "takes/")
_SCORES = _in_folders("file", "scores/")
_PART = _in_folders("part", "", "../takes/", "../results/")

#: Event → the checks of its fields. A test goes through the fields of all events, so that none is forgotten.
CHECKS: dict[str, tuple[Callable[[Record], None], ...]] = {
    "film-done": (_in_folders("file", ""), _hash),
    "segment-take": (_PART, _in_folders("scores_file", "scores/"), lambda record: _result(_mapping(record, "result"))),
    "segment-verified": (_PART, _result),
    "segment-done": (_result,),
    "segment-restored": (_PART, _result),
    "segment-adopted": (_result,),
    "segment-submitted": (_keys,),
    "segment-rekeyed": (_keys,),
    "segment-failed": (_keys,),
    "attempt-failed": (_keys,),
    "reference-submitted": (_in_references,),
    "reference-failed": (_in_references,),
    "reference-cancelled": (_in_references,),
    "reference-done": (_in_references, _hash),
}
