"""How many accounts lie in the visible parts of nodes: a breakdown that reads the ledger is refused for too many."""

from __future__ import annotations

from typing import TYPE_CHECKING

from accounts.statements import rows_of
from allocation.policies import JOINED, visible_parts
from allocation.selectors.members import members_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from allocation.policies import Asked, Question


def count_accounts(question: Question, *, asked: Asked) -> int:
    """How many accounts lie in the visible parts: those whose ledger rows a fine breakdown would read."""
    parts = visible_parts(question, asked)
    members = members_of(parts.names, as_of=False)
    if not members:
        return 1
    ((count,),) = rows_of(f"{parts.text}{members} SELECT count(DISTINCT account_id) FROM member", parts.params)  # noqa: S608 fixed texts
    return int(count)


def count_accounts_of_each(question: Question, *, asked: Asked, places: Sequence[tuple[int, str]]) -> list[int]:
    """The same for each of several (key of `asked`, months as the text of a `datemultirange`)."""
    parts = visible_parts(question, asked)
    members = members_of(parts.names, as_of=False)
    found = [0 if members else 1 for _ in places]
    if not members:
        return found
    params = {"place_keys": [key for key, _ in places], "place_months": [months for _, months in places]}
    for number, accounts in rows_of(parts.text + members + _COUNTED, parts.params | params):
        found[number - 1] = accounts
    return found


_COUNTED = f"""
SELECT place.number, count(DISTINCT member.account_id)
FROM unnest(%(place_keys)s::bigint[], %(place_months)s::datemultirange[])
    WITH ORDINALITY AS place (key, months, number)
JOIN member ON member.key %% {JOINED} = place.key AND member.months && place.months
GROUP BY place.number
"""  # noqa: S608 fixed texts
