"""Collecting what is found while an activity is prepared or a cluster is settled (section 7)."""

from __future__ import annotations

from allocation.engine.frames import Finding, PackageRejectedError


class Findings:
    """Findings in the order in which they were made."""

    def __init__(self) -> None:
        self._found: list[Finding] = []

    def reject(self, code: str, file: str, row: int | None, message: str, field: str | None = None) -> None:
        """Record a reason to reject the package."""
        self._found.append(Finding(code, "package", file, row, message, field))

    def flag(self, code: str, file: str, row: int | None, message: str, field: str | None = None) -> None:
        """Record something that is stored with the run."""
        self._found.append(Finding(code, "flag", file, row, message, field))

    @property
    def rejected(self) -> bool:
        """Whether anything rejects the package."""
        return any(finding.severity == "package" for finding in self._found)

    def raise_if_rejected(self) -> None:
        """Raise `PackageRejectedError` with everything found so far if anything rejects the package."""
        if self.rejected:
            raise PackageRejectedError(self.as_tuple())

    def as_tuple(self) -> tuple[Finding, ...]:
        """Return all findings."""
        return tuple(self._found)
