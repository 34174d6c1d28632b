"""Who asks about which months, by which tree."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from accounts.statements import rows_of
from allocation.policies.nodes import Kind

if TYPE_CHECKING:
    from accounts.months import Period
    from accounts.policies import Viewer
    from allocation.selectors.publications import Published


class View(enum.StrEnum):
    """By which tree months are rolled up. What may be seen is decided as-was in both.

    Regrouping follows today's tree as far as the viewer knows it: a node that they see today takes in what stands below
    it today; one that they saw in earlier months only keeps those months as they were.
    """

    AS_WAS = "as_was"
    AS_IS = "as_is"


SWITCHED_OFF = "switched_off"
"""Stands among the kinds of a viewer's roles where multi-account management is off in some directory."""


@dataclass(frozen=True, slots=True)
class Question:
    """Who asks about which months, and what is published for them.

    `role_kinds` are the kinds of nodes on which the viewer's roles stand, and `SWITCHED_OFF`: a hint that leaves out
    parts of a statement which would find nothing. It never widens anything; the roles themselves are read by every
    statement.
    """

    viewer: Viewer
    published: Published
    period: Period
    role_kinds: frozenset[str] = frozenset({*Kind, SWITCHED_OFF})
    view: View = View.AS_WAS

    def params(self) -> dict[str, Any]:
        """Parameters that every statement has."""
        return {
            "viewer": self.viewer.user_id,
            "now": self.viewer.now,
            "start": self.period.start,
            "bound": self.period.bound,
            "today": self.viewer.month,
            **self.published.arrays(self.period),
        }


ROLE_KINDS = f"""
SELECT DISTINCT node_kind FROM accounts_viewer_roots(%(viewer)s, %(now)s, 'see')
UNION ALL
SELECT '{SWITCHED_OFF}' WHERE EXISTS (SELECT FROM accounts_resourcedirectory WHERE NOT multi_account_management)
"""  # noqa: S608 fixed texts


def role_kinds(*, viewer: Viewer) -> frozenset[str]:
    """Find out on what kinds of nodes roles stand, and whether a directory is switched off; nothing for operators."""
    if viewer.is_operator:
        return frozenset()
    return frozenset(kind for (kind,) in rows_of(ROLE_KINDS, {"viewer": viewer.user_id, "now": viewer.now}))
