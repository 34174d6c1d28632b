"""What an import of directories did, or why it did nothing."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from accounts.services.refusal import Refusal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from accounts.months import Period
    from accounts.services.directory_document import Fault


class DocumentRefused(Refusal):
    """The document has faults; nothing was written."""

    code = "DOCUMENT_REFUSED"

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__(f"{len(faults)} faults in the document")
        self.faults = tuple(faults)


class ConflictsWithTree(Refusal):
    """What the document says contradicts nodes that it does not name, such as an account in a group that would end."""

    code = "CONFLICTS_WITH_TREE"


@dataclass
class ImportReport:
    """What an import did: for each kind of row how many were created, changed or ended; all zero the second time.

    `changed_months` are the months whose tree differs now, by provider code.
    """

    counts: dict[str, int] = field(default_factory=dict)
    changed_months: dict[str, list[Period]] = field(default_factory=dict)

    @property
    def changed(self) -> bool:
        """Whether anything was written."""
        return any(self.counts.values())
