"""What the events of a journal have in common: their names, their fields, and their registry."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar, get_origin, get_type_hints

import msgspec

#: Fields of a record in addition to those of its event.
ENVELOPE = ("event", "time")


@functools.cache
def _types_of(event: type) -> dict[str, Any]:
    return get_type_hints(event)


def require_types(record: Mapping[str, Any], types: Mapping[str, Any]) -> None:
    """Refuse values that are of another type than their field. None is what an older version did not write.

    Raises:
        ValueError: which field, and what it says.
    """
    for name, kind in types.items():
        value = record.get(name)
        if value is not None and get_origin(kind) is not ClassVar:
            try:
                msgspec.convert(value, kind)
            except msgspec.ValidationError as error:
                raise ValueError(f"its {name} is {repr(value)[:80]}: {error}") from None


class Event:
    """Base of all events.

    Attributes:
        event_name: what the journal calls it.
        durable: it must outlast a power cut; the others outlast a kill of the process. A verified file must never be rendered
            again, and a prompt that was submitted must be looked for: its server may be another machine, which has
            rendered it meanwhile. That is two writes to the disk for each segment, some milliseconds. What else a power
            cut takes away is found again: how a prompt has ended at its server, a finished file by its hash.
        optional: names of the fields that are written only where they say something.
    """

    event_name: ClassVar[str] = ""
    durable: ClassVar[bool] = False
    optional: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(
        cls, *, event: str = "", durable: bool = False, optional: tuple[str, ...] = (), **more: Any
    ) -> None:
        super().__init_subclass__(**more)
        if event:
            cls.event_name, cls.durable, cls.optional = event, durable, optional
            EVENTS[event] = cls

    def to_fields(self) -> dict[str, Any]:
        """The event's own fields, in the order in which they are written."""
        found = {item.name: getattr(self, item.name) for item in fields(self)}  # type: ignore[arg-type]
        return {name: value for name, value in found.items() if value or name not in self.optional}

    @classmethod
    def from_fields(cls, data: Mapping[str, Any]) -> Event:
        """The event of a record. A field that an older version did not write is None; unknown fields are left out.

        Raises:
            ValueError: a field has a value of another type, or the event of a segment does not have the segment's number.
        """
        known = {item.name: data.get(item.name) for item in fields(cls)}  # type: ignore[arg-type]
        if "segment" in known and (type(known["segment"]) is not int or known["segment"] < 1):
            raise ValueError(f"its segment is {known['segment']!r}, expected a number from 1")
        require_types(known, _types_of(cls))  # type: ignore[arg-type]
        return cls(**known)


@dataclass(frozen=True, kw_only=True)
class UnknownEvent(Event):
    """An event of another version, which changes no state."""


#: Every event by its name.
EVENTS: dict[str, type[Event]] = {}
