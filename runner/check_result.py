"""The result of a check: problems and notes."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class CheckResult:
    """The findings of a check.

    Attributes:
        problems: paragraphs for people; each of them prevents a run.
        notes: sentences for people that need no action.
    """

    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, other: CheckResult) -> None:
        """Append the findings of another check."""
        self.problems += other.problems
        self.notes += other.notes
