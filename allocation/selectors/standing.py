"""What is left out of a node's numbers, month by month, and why."""

from __future__ import annotations

import enum
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from accounts.statements import rows_of
from allocation.policies import NodeKey, Parts, Question, asked_for, visible_parts
from allocation.selectors.statuses import Presence

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import date

    from accounts.months import Period
    from allocation.selectors.publications import Published


class Reason(enum.StrEnum):
    """Why something is left out."""

    NOT_PERMITTED = "not_permitted"
    MULTI_ACCOUNT_DISABLED = "multi_account_disabled"
    NOT_YET_PUBLISHED = "not_yet_published"
    NOT_COVERED = "not_covered"
    BELOW_THRESHOLD = "below_threshold"


class Months(NamedTuple):
    """Half-open spans of months; None is open."""

    spans: tuple[tuple[date | None, date | None], ...]

    def __contains__(self, month: object) -> bool:
        for start, bound in self.spans:
            if (start is None or start <= month) and (bound is None or month < bound):  # type: ignore[operator] # a date
                return True
        return False


@dataclass(frozen=True, slots=True)
class Standing:
    """How one directory, group, account or resource group behind a node is visible.

    `whole`: months in which it is visible as a whole; `part`: months in which something below it is; `switched_off`:
    months hidden only because multi-account management is off, with `hidden_accounts` accounts in them.
    """

    provider_id: int
    asked: Months
    whole: Months
    part: Months
    switched_off: Months
    hidden_accounts: int


class Omission(NamedTuple):
    """Something left out: why, in which months, and of how many accounts (None where the viewer may not know)."""

    reason: Reason
    months: tuple[date, ...]
    accounts: int | None


# As-is, keys of accounts that joined later are those of their node plus 1 000 000; those that left are no part of it.
_PARTS = {
    "part_directory": "SELECT key, provider_id, directory_id, months FROM part_directory",
    "part_miscellaneous": "SELECT key, provider_id, directory_id, months FROM part_miscellaneous",
    "part_group": """SELECT part_group.key, part_group.provider_id, grouping.directory_id, part_group.months
    FROM part_group JOIN accounts_accountgroup grouping ON grouping.id = part_group.group_id""",
    "part_account": """SELECT key %% 1000000 AS key, provider_id, NULL::bigint AS directory_id, months
    FROM part_account WHERE key < 2000000""",
    "part_resource_group": """SELECT key %% 1000000 AS key, provider_id, NULL::bigint AS directory_id, months
    FROM part_resource_group WHERE key < 2000000""",
}
_SUBJECTS = {
    "directory": """SELECT key, provider_id, directory_id, NULL::bigint AS group_id, false AS directly, months, whole
    FROM asked_directory""",
    "miscellaneous": """SELECT key, provider_id, directory_id, NULL::bigint AS group_id, true AS directly, months, whole
    FROM asked_miscellaneous""",
    "group": "SELECT key, provider_id, directory_id, group_id, false AS directly, months, whole FROM asked_group",
    "account": """SELECT key, provider_id, NULL::bigint AS directory_id, NULL::bigint AS group_id, false AS directly,
           months, whole
    FROM asked_account WHERE key < 1000000
    UNION ALL
    SELECT key %% 1000000, provider_id, NULL, NULL, false, range_agg(months),
           range_agg(months) - COALESCE(range_agg(months - whole), '{}'::datemultirange)
    FROM asked_account WHERE key BETWEEN 1000000 AND 1999999 GROUP BY 1, 2""",
    "resource_group": """SELECT key, provider_id, NULL::bigint AS directory_id, NULL::bigint AS group_id,
           false AS directly, months, whole
    FROM asked_resource_group""",
}

# `see` ignores the switch: what it shows and `numbers` does not is hidden by the switch alone.
_STANDING = """
, known AS MATERIALIZED (
    SELECT held.node_kind, held.node_id, range_agg(daterange(held.valid_from, held.valid_to)) AS months
    FROM accounts_viewer_spans(%(viewer)s, %(now)s, 'see') AS held
    WHERE held.valid_from < held.valid_to
    GROUP BY held.node_kind, held.node_id
), known_directory AS MATERIALIZED (
    SELECT seen.directory_id, range_agg(seen.months) AS months
    FROM (SELECT node_id AS directory_id, months FROM known WHERE node_kind = 'resource_directory'
          UNION ALL
          SELECT directory.id, known.months
          FROM known JOIN accounts_resourcedirectory directory ON directory.enterprise_id = known.node_id
          WHERE known.node_kind = 'enterprise_parent') AS seen
    GROUP BY seen.directory_id
), part AS MATERIALIZED ({parts}
), subject AS MATERIALIZED ({subjects}
), standing AS MATERIALIZED (
    SELECT subject.key, subject.provider_id, subject.directory_id, subject.group_id, subject.directly,
           subject.months, subject.whole,
           (SELECT range_agg(part.months) FROM part
            WHERE part.key = subject.key AND part.provider_id = subject.provider_id
                AND (part.directory_id = subject.directory_id OR part.directory_id IS NULL
                     OR subject.directory_id IS NULL)
           ) AS part,
           CASE WHEN directory.multi_account_management IS FALSE
                THEN subject.months * COALESCE(known_directory.months, '{}'::datemultirange) - subject.whole
                ELSE '{}'::datemultirange END AS switched_off
    FROM subject
    LEFT JOIN accounts_resourcedirectory directory ON directory.id = subject.directory_id
    LEFT JOIN known_directory ON known_directory.directory_id = subject.directory_id
)
SELECT standing.key, standing.provider_id, standing.months, standing.whole, standing.part, standing.switched_off,
       CASE WHEN isempty(standing.switched_off) THEN 0 ELSE (
           SELECT count(DISTINCT held.account_id)
           FROM (SELECT member.account_id, daterange(member.valid_from, member.valid_to) AS months
                 FROM accounts_accountmembership member
                 WHERE standing.group_id IS NULL AND member.directory_id = standing.directory_id
                     AND member.superseded_by_id IS NULL AND (NOT standing.directly OR member.group_id IS NULL)
                 UNION ALL
                 SELECT member.account_id,
                        daterange(member.valid_from, member.valid_to) * daterange(closure.valid_from, closure.valid_to)
                 FROM accounts_groupclosure closure
                 JOIN accounts_accountmembership member ON member.group_id = closure.descendant_id
                 WHERE closure.ancestor_id = standing.group_id AND member.superseded_by_id IS NULL) AS held
           WHERE standing.switched_off && held.months
               -- Of a hundred thousand accounts hardly one has a role of its own.
               AND (held.account_id NOT IN (SELECT root.node_id FROM root WHERE root.node_kind = 'account')
                    OR NOT isempty(standing.switched_off * datemultirange(held.months)
                                   - (SELECT root.months FROM root
                                      WHERE root.node_kind = 'account' AND root.node_id = held.account_id)))
       ) END AS hidden_accounts
FROM standing ORDER BY standing.key, standing.provider_id, standing.directory_id
"""


def standings(*, question: Question, nodes: Sequence[NodeKey]) -> dict[NodeKey, list[Standing]]:
    """How each node is visible in the whole period; unknown nodes are absent."""
    found = each_standing(question=question, nodes=nodes)
    return {node: rows for node, rows in zip(nodes, found, strict=True) if rows}


def each_standing(
    *, question: Question, nodes: Sequence[NodeKey], windows: Sequence[str] | None = None
) -> list[list[Standing]]:
    """How each node is visible: one row per directory for enterprises, one for others, none for unknown nodes.

    `windows` restricts each node to some months, as the text of a `datemultirange`; None = the whole period. A node may
    be asked for several times, with different windows. One statement.
    """
    if not nodes:
        return []
    parts = visible_parts(question, asked_for(nodes, question.view, windows))
    found: list[list[Standing]] = [[] for _ in nodes]
    rows = rows_of(parts.text + _statement(parts), parts.params)
    for key, provider_id, asked, whole, part, switched_off, hidden in rows:
        found[key - 1].append(
            Standing(provider_id, _months(asked), _months(whole), _months(part), _months(switched_off), hidden)
        )
    return found


def _statement(parts: Parts) -> str:
    sources = " UNION ALL ".join(text for name, text in _PARTS.items() if name in parts.names)
    subjects = " UNION ALL ".join(text for name, text in _SUBJECTS.items() if name in parts.asked)
    return _STANDING.replace("{parts}", sources).replace("{subjects}", subjects)


def _months(value: object) -> Months:
    spans = () if value is None else tuple((span.lower, span.upper) for span in value)  # type: ignore[attr-defined] # a psycopg Multirange
    return Months(spans)


def presence(rows: Sequence[Standing], month: date, published: Published) -> Presence:
    """Whether a node's amounts of one month are there."""
    if not rows:
        return Presence.NOT_PERMITTED
    found = [_presence_of(row, month, published) for row in rows if month in row.asked]
    there = [one for one in found if one in {Presence.WHOLE, Presence.PART}]
    if there and len(there) == len(found) and Presence.PART not in there:
        return Presence.WHOLE
    if there:
        return Presence.PART
    for absence in (Presence.NOT_PERMITTED, Presence.NOT_YET_PUBLISHED):
        if absence in found:
            return absence
    return Presence.NOT_COVERED


def _presence_of(row: Standing, month: date, published: Published) -> Presence:
    # Permission first: what is published of a hidden directory is not told.
    if month not in row.whole and month not in row.part:
        return Presence.NOT_PERMITTED
    if (row.provider_id, month) not in published.by_month:
        first = published.first_months.get(row.provider_id)
        return Presence.NOT_COVERED if first is not None and month < first else Presence.NOT_YET_PUBLISHED
    return Presence.WHOLE if month in row.whole else Presence.PART


def presence_over(rows: Sequence[Standing], period: Period, published: Published) -> Presence:
    """Whether a node's total over the months it was asked for is there."""
    found = {presence(rows, month, published) for month in period.months() if any(month in row.asked for row in rows)}
    if found == {Presence.WHOLE}:
        return Presence.WHOLE
    if found & {Presence.WHOLE, Presence.PART}:
        return Presence.PART
    for absence in (Presence.NOT_YET_PUBLISHED, Presence.NOT_COVERED):
        if absence in found and Presence.NOT_PERMITTED not in found:
            return absence
    return Presence.NOT_PERMITTED


def omissions(
    rows: Sequence[Standing], period: Period, published: Published, withheld: Mapping[Reason, Iterable[date]]
) -> list[Omission]:
    """Everything that is left out of a node's total over a period; `withheld` are months in which amounts are."""
    if not rows:
        return [Omission(Reason.NOT_PERMITTED, tuple(period.months()), None)]
    months: dict[Reason, set[date]] = defaultdict(set)
    for reason, withheld_in in withheld.items():
        months[reason].update(withheld_in)
    accounts: dict[Reason, int | None] = {}
    for row in rows:
        for month in period.months():
            found = _reason(row, month, published)
            if month in row.asked and found is not None:
                months[found].add(month)
        if row.hidden_accounts:
            told = accounts.get(Reason.MULTI_ACCOUNT_DISABLED) or 0
            accounts[Reason.MULTI_ACCOUNT_DISABLED] = told + row.hidden_accounts
    return [
        Omission(reason, tuple(sorted(months[reason])), accounts.get(reason)) for reason in Reason if months[reason]
    ]


def _reason(row: Standing, month: date, published: Published) -> Reason | None:
    found = _presence_of(row, month, published)
    if found is Presence.WHOLE:
        return None
    if found in {Presence.NOT_YET_PUBLISHED, Presence.NOT_COVERED}:
        return Reason(found.value)
    return Reason.MULTI_ACCOUNT_DISABLED if month in row.switched_off else Reason.NOT_PERMITTED
