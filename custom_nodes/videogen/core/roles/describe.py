"""Roles in sentences, for people: short ones for a check, and what has to be named."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from .table import RoleTable


def summarize(table: RoleTable) -> str:
    """All clear roles with their inputs in one line; "" where there are none."""
    return "; ".join(
        f"{role.value} {', '.join(f'{place.node}.{place.input}' for place in finding.places if not place.free)}"
        for role, finding in table.findings.items()
        if not all(place.free for place in finding.places)
    )


def find_unclear(table: RoleTable, named: Collection[str] = ()) -> Iterator[str]:
    """What a binding has to name, a sentence each.

    Args:
        named: roles that a binding names already.
    """
    for role, candidates in table.ambiguous.items():
        inputs = [place for one in candidates for place in one.places]
        if role.value not in named:
            yield (
                f"{role.value}: {len(inputs)} inputs may have this role and have different values"
                f" ({', '.join(f'{place.node}.{place.input}' for place in inputs)}); name one, such as"
                f" --bind {role.value}={inputs[0].node}.{inputs[0].input}"
            )
    if len(table.output) > 1:
        yield (
            f"output: nodes {', '.join(table.output)} save a clip; name the one that is the segment, such as"
            f" --bind output={table.output[-1]}"
        )
