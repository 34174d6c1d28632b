"""The parts that a viewer may add up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from allocation.policies.asked import ASKED_AS_IS
from allocation.policies.needs import Needs
from allocation.policies.nodes import Kind
from allocation.policies.question import SWITCHED_OFF

if TYPE_CHECKING:
    from allocation.policies.asked import Asked
    from allocation.policies.question import Question


class Parts(NamedTuple):
    """The beginning of a statement, its parameters, and which of the parts it has."""

    text: str
    params: dict[str, Any]
    names: frozenset[str]
    asked: frozenset[str]


def visible_parts(question: Question, asked: Asked) -> Parts:
    """Begin a statement that knows what the viewer may add up.

    Returns:
        CTEs `pin`; `asked_directory`, `_group`, `_miscellaneous`, `_account`, `_resource_group`, as far as such nodes
        were asked for (`whole`: the months seen as a whole; `Parts.asked` names them); and `part_directory`,
        `part_miscellaneous`, `part_group`, `part_account`, `part_resource_group` as far as they can have rows
        (key, provider_id, months and the id of the part; `Parts.names` names them).
    """
    as_is, roles = asked.text == ASKED_AS_IS, question.role_kinds
    operator = question.viewer.is_operator
    needs = Needs(asked.kinds, roles, operator, partly=not operator and (as_is or SWITCHED_OFF in roles), as_is=as_is)
    text = f"WITH {', '.join(cte.strip() for cte in [asked.text, *needs.ctes()])}"
    named = set(needs.containers) | {kind.value for kind in asked.kinds & {Kind.ACCOUNT, Kind.RESOURCE_GROUP}}
    return Parts(text, question.params() | asked.params, frozenset(needs.parts), frozenset(named))
