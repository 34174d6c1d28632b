"""Findings while a package is read: collected, capped with the count told, printed as JSON lines."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Final

from allocation.engine.frames import Finding

if TYPE_CHECKING:
    from collections.abc import Iterable

LISTED_PER_CODE: Final = 1000
"""Findings of one code and file that are listed one by one; the rest is counted."""

_SHOWN_CHARACTERS: Final = 60


class Findings:
    """What was found so far."""

    def __init__(self) -> None:
        self._listed: list[Finding] = []
        self._counts: Counter[tuple[str, str, str | None]] = Counter()
        self._rejected = False

    def rejected(self) -> bool:
        """Whether a finding rejects the package."""
        return self._rejected

    def reject(
        self, code: str, file: str | None, message: str, *, row: int | None = None, field: str | None = None
    ) -> None:
        """Record what rejects the package."""
        self.add(Finding(code, "package", file, row, message, field))

    def flag(self, code: str, file: str | None, message: str, *, row: int | None = None) -> None:
        """Record what is worth knowing."""
        self.add(Finding(code, "flag", file, row, message))

    def add(self, finding: Finding, *, most: int = LISTED_PER_CODE) -> None:
        """Record a finding made elsewhere; beyond `most` of its code and file it is only counted."""
        kind = (finding.code, finding.severity, finding.file)
        self._counts[kind] += 1
        self._rejected = self._rejected or finding.severity == "package"
        if self._counts[kind] <= most or finding.row is None:
            self._listed.append(finding)

    def count(self, finding: Finding, further: int) -> None:
        """Count `further` findings of the same code, severity and file that are not listed."""
        self._counts[(finding.code, finding.severity, finding.file)] += further
        self._rejected = self._rejected or finding.severity == "package"

    def extend(self, findings: Iterable[Finding]) -> None:
        """Record findings made elsewhere, once each."""
        known = set(self._listed)
        for finding in findings:
            if finding not in known:
                self.add(finding)

    def all(self) -> tuple[Finding, ...]:
        """Return the findings in the order they were made, and one more for each code that was capped."""
        listed = Counter((finding.code, finding.severity, finding.file) for finding in self._listed)
        rest = [
            Finding(code, severity, file, None, f"{count - listed[kind]} more of {count} are not listed")
            for kind, count in self._counts.items()
            if count > listed[kind]
            for code, severity, file in [kind]
        ]
        return (*self._listed, *rest)


def shown(text: str) -> str:
    """Return text of a file for a message: quoted, escaped, shortened."""
    short = text if len(text) <= _SHOWN_CHARACTERS else text[: _SHOWN_CHARACTERS - 1] + "…"
    return json.dumps(short.encode("utf-8", "backslashreplace").decode(), ensure_ascii=False)


def json_line(finding: Finding) -> str:
    """Return the finding as one JSON object on one line (section 7), with the column in `field`."""
    return json.dumps(
        {
            "code": finding.code,
            "severity": finding.severity,
            "file": finding.file,
            "row": finding.row,
            "field": finding.field,
            "message": finding.message,
        }
    )
